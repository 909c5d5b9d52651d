"""Engines on disk: in an export's folder ``engines``, each with a sidecar that says where it fits.

An engine runs on the kind of GPU and the version of TensorRT it was built with and holds the
weights of one model; anything else is refused before TensorRT sees the file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wm_dynamics.artefact_files import write_text
from wm_dynamics.errors import UserError
from wm_dynamics.export.folder import Export, Port
from wm_dynamics.tensorrt_build import Rows, build, is_rtx, parse, product

FOLDER = "engines"
FORMAT = 1
PORTABLE = "portable"  # in the place of a compute capability


@dataclass(frozen=True)
class Engine:
    """A serialised engine and what it fits.

    Attributes:
        graph: name of the graph it was built from.
        module, version: of what built it, see ``tensorrt_build.product``.
        capability: of the GPU, "8.9"; the names asked for of TensorRT-RTX; or "portable".
        rows: candidates it takes.
        inputs, outputs: its tensors.
        data: the engine.
    """

    graph: str
    module: str
    version: str
    capability: str
    rows: Rows
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    data: bytes


def write_engine(
    trt: Any,
    export: Export,
    name: str,
    rows: Rows,
    capabilities: tuple[str, ...] = (),
    device: str = "",
) -> Engine:
    """Build the engine of graph ``name`` into an export.

    Args:
        trt: bindings, see :func:`wm_dynamics.tensorrt_build.find_tensorrt`.
        export: which; the engine is written beside its graphs.
        name: of the graph.
        rows: candidates it is to take.
        capabilities: see :func:`wm_dynamics.tensorrt_build.build`.
        device: compute capability of the GPU here, "9.0"; needed of all but TensorRT-RTX.

    Raises:
        UserError: TensorRT cannot read or build it.
    """
    if not is_rtx(trt) and not device:
        raise UserError(f"{trt.__name__} builds for the GPU it finds, and there is none here")
    made = parse(trt, export.read(name))
    data = build(trt, made, rows, capabilities)
    capability = (",".join(capabilities) or PORTABLE) if is_rtx(trt) else device
    engine = Engine(
        name, product(trt), trt.__version__, capability, rows, made.inputs, made.outputs, data
    )
    folder = export.path / FOLDER
    folder.mkdir(exist_ok=True)
    draft = folder / f"{name}.engine.tmp"
    draft.write_bytes(data)
    os.replace(draft, folder / f"{name}.engine")
    facts = asdict(engine) | {
        "format": FORMAT,
        "data": hashlib.sha256(data).hexdigest(),
        "onnx_sha256": export.graphs[name].sha256,
        "weights_sha256": export.facts["weights_sha256"],
    }
    write_text(folder / f"{name}.json", json.dumps(facts, indent=2) + "\n")
    return engine


def read_engine(trt: Any, export: Export, name: str, device: str) -> Engine:
    """The engine of graph ``name``, if it fits.

    Args:
        trt: bindings that are to run it.
        export: where it is.
        name: of the graph.
        device: compute capability of the GPU that is to run it, "8.9".

    Raises:
        UserError: there is none, its files do not belong together, or it was built for another
            GPU, version, graph or model; the message says which.
    """
    file, sidecar = (export.path / FOLDER / f"{name}.{kind}" for kind in ("engine", "json"))
    again = "build it again: wm export --engines"
    if not (file.is_file() and sidecar.is_file()):
        raise UserError(f"no engine of {name} in {export.path}; {again}")
    try:
        facts = json.loads(sidecar.read_text())
        if facts["format"] != FORMAT:
            raise UserError(f"{sidecar} has format {facts['format']}, not {FORMAT}; {again}")
        ports = {
            side: tuple(Port(p["name"], p["dtype"], tuple(p["shape"])) for p in facts[side])
            for side in ("inputs", "outputs")
        }
        data, rows = file.read_bytes(), Rows(**facts["rows"])
        wanted = {
            "data": hashlib.sha256(data).hexdigest(),
            "onnx_sha256": export.graphs[name].sha256,
            "weights_sha256": export.facts["weights_sha256"],
            "module": product(trt),
            "version": trt.__version__,
        }
        _refuse_others(sidecar, facts, wanted, again)
        capability = str(facts["capability"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{sidecar} cannot be read ({error!r}); {again}") from None
    if capability != PORTABLE and device not in map(_as_number, capability.split(",")):
        raise UserError(f"{file} was built for {capability}, this GPU has {device}; {again}")
    return Engine(
        name, product(trt), trt.__version__, capability, rows, ports["inputs"], ports["outputs"],
        data,
    )  # fmt: skip


def _refuse_others(
    sidecar: Path, facts: Mapping[str, Any], wanted: Mapping[str, str], again: str
) -> None:
    says = {
        "data": "of another engine file",
        "onnx_sha256": "built from another graph",
        "weights_sha256": "built from other weights",
        "module": "built with another TensorRT",
        "version": "built with another version",
    }
    for key, value in wanted.items():
        if facts[key] != value:
            raise UserError(
                f"{sidecar} is {says[key]} ({str(facts[key])[:12]}, here {value[:12]}); {again}"
            )


def _as_number(capability: str) -> str:
    """The capability SM89, or 8.9, as 8.9."""
    digits = capability.removeprefix("SM")
    return digits if "." in digits else f"{digits[:-1]}.{digits[-1]}"
