"""Which runtime imagines: asked for by name, tested when it is made, replaced when it fails."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from wm_dynamics.backend_array import ArrayBackend
from wm_dynamics.errors import UserError
from wm_dynamics.runtime_names import EXPORT_FOLDER, BackendName, Precision
from wm_dynamics.weights import Weights, weights_of

if TYPE_CHECKING:  # what drives runs without torch
    from wm_dynamics.backend import TorchBackend
    from wm_dynamics.model import WorldModel

Backend: TypeAlias = "ArrayBackend | TorchBackend"


def make_backend_of(
    model: Weights | WorldModel,
    name: BackendName = "auto",
    precision: Precision = "fp32",
    threads: int = 1,
    folder: Path | None = None,
) -> Backend:
    """A backend for a world model: what was asked for, else the engine, else torch.

    Args:
        model: its weights, or the model of the training code.
        name: cpp is the C++ engine, onnxruntime and tensorrt run the model's export, torch the
            training code's modules; auto is the engine.
        precision: of the large products, where the runtime has a choice.
        threads: of the runtime.
        folder: of the model, for its export.

    Returns:
        The backend. Its ``notice`` says why it is not what was asked for; empty when it is.
    """
    if name == "torch":
        return _torch(model)
    weights = model if isinstance(model, Weights) else weights_of(model)
    reasons = []
    backend: Backend
    for wanted in dict.fromkeys([name, "cpp"]):
        precise = precision if wanted == name else "fp32"
        try:
            backend = _make(wanted, weights, precise, threads, folder)
            break
        except UserError as error:
            reasons.append(str(error))
    else:
        backend = _torch(model)
    if reasons:
        backend.notice = f"imagined by {backend.name}: {'; '.join(dict.fromkeys(reasons))}"
    return backend


def _torch(model: Weights | WorldModel) -> TorchBackend:
    from wm_dynamics.backend import TorchBackend
    from wm_dynamics.checkpoint import model_of

    return TorchBackend(model_of(model) if isinstance(model, Weights) else model)


def _make(
    name: str, weights: Weights, precision: Precision, threads: int, folder: Path | None
) -> ArrayBackend:
    """Raises UserError where it cannot be."""
    if name not in ("onnxruntime", "tensorrt"):
        from wm_dynamics.backend_cpp import CppBackend

        return CppBackend(weights, precision, threads)
    if folder is None:
        raise UserError(f"{name} needs a model that is a directory, with its export inside")
    return _exported(name, weights, folder / EXPORT_FOLDER, precision, threads)


def _exported(
    name: str, weights: Weights, export: Path, precision: str, threads: int
) -> ArrayBackend:
    """Raises UserError where there is none, or not of these weights, or its numbers are off."""
    try:
        from wm_dynamics.backend_onnx import OnnxBackend
        from wm_dynamics.backend_tensorrt import TensorRTBackend
    except ImportError as error:
        raise UserError(f"onnxruntime cannot be imported ({error})") from None
    from wm_dynamics.export.folder import open_export
    from wm_dynamics.self_test import check_backend
    from wm_dynamics.tensorrt_build import find_tensorrt

    bindings = find_tensorrt() if name == "tensorrt" else None
    opened = open_export(export, weights.metadata.get("weights_sha256"))
    backend: OnnxBackend
    if bindings is None:
        backend = OnnxBackend(opened, precision, threads)
    else:
        backend = TensorRTBackend(opened, bindings, precision, threads)
    check_backend(backend, weights, exact=precision == "fp32")
    return backend
