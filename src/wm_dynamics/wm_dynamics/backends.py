"""Which runtime imagines: asked for by name, tested when it is made, replaced when it fails."""

from __future__ import annotations

from pathlib import Path

from wm_dynamics.backend import TorchBackend
from wm_dynamics.backend_cpp import CppBackend
from wm_dynamics.errors import UserError
from wm_dynamics.runtime_names import EXPORT_FOLDER, BackendName, Precision


def make_backend_of(
    model,
    name: BackendName = "auto",
    precision: Precision = "fp32",
    threads: int = 1,
    folder: Path | None = None,
) -> TorchBackend:
    """A backend for a world model: what was asked for, else the engine, else torch.

    Args:
        model: a :class:`~wm_dynamics.model.WorldModel`.
        name: cpp is the C++ engine, onnxruntime runs the model's export, torch the training
            code's modules; auto is the engine.
        precision: of the large products, where the runtime has a choice.
        threads: of the runtime.
        folder: of the model, for its export.

    Returns:
        The backend. Its ``notice`` says why it is not what was asked for; empty when it is.
    """
    if name == "torch":
        return TorchBackend(model)
    reasons = []
    for wanted in dict.fromkeys([name, "cpp"]):
        try:
            backend = _make(wanted, model, precision if wanted == name else "fp32", threads, folder)
            break
        except UserError as error:
            reasons.append(str(error))
    else:
        backend = TorchBackend(model)
    if reasons:
        backend.notice = f"imagined by {backend.name}: {'; '.join(dict.fromkeys(reasons))}"
    return backend


def _make(
    name: str, model, precision: Precision, threads: int, folder: Path | None
) -> TorchBackend:
    """Raises UserError where it cannot be."""
    if name == "tensorrt":
        raise UserError("there is no TensorRT runtime yet")
    if name != "onnxruntime":
        return CppBackend(model, precision, threads)
    if folder is None:
        raise UserError("onnxruntime needs a model that is a directory, with its export inside")
    try:
        from wm_dynamics.backend_export import ExportBackend
    except ImportError as error:
        raise UserError(f"onnxruntime cannot be imported ({error})") from None
    return ExportBackend(model, folder / EXPORT_FOLDER, precision, threads)
