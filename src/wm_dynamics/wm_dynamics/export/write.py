"""Writes an export; see :mod:`wm_dynamics.export.folder` for what lies in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper
from safetensors.numpy import save

from wm_dynamics.artefact_files import WEIGHTS, file_sha256
from wm_dynamics.errors import UserError
from wm_dynamics.export.folder import (
    COPIED,
    FORMAT,
    INITIAL,
    SIDECAR,
    FolderDraft,
    Port,
    graph_entry,
)
from wm_dynamics.export.graph import OPSET, PRODUCTS
from wm_dynamics.export.graphs import FILTER, imagine_graphs, make_graph
from wm_dynamics.provenance import code_version
from wm_dynamics.weights import Weights, read_weights

# Makes an int8 graph of an fp32 one: (name, graph) -> graph.
Quantise = Callable[[str, onnx.ModelProto], onnx.ModelProto]
PRECISIONS = (*PRODUCTS, "int8")


def write_export(
    model: Path,
    out: Path,
    precisions: Sequence[str] = ("fp32",),
    quantise: Quantise | None = None,
    calibration: Mapping[str, Any] | None = None,
) -> None:
    """Export a model directory.

    Args:
        model: the model directory.
        out: folder to write; an export there is replaced at once, when the new one is complete.
        precisions: of the imagined steps, out of ``PRECISIONS``; the filter is always float32.
        quantise: makes the int8 graphs; needed for "int8".
        calibration: JSON-able facts about that.

    Raises:
        UserError: an unknown precision, int8 without calibration, a broken model directory, or
            something that is no export at ``out``.
    """
    unknown = [p for p in precisions if p not in PRECISIONS]
    if unknown or not precisions:
        raise UserError(
            f"unknown precision {', '.join(unknown) or '(none)'}; choose of {', '.join(PRECISIONS)}"
        )
    if "int8" in precisions and quantise is None:
        raise UserError("int8 needs a quantiser: ranges measured in driving")
    weights = read_weights(model)
    with FolderDraft(out) as draft:
        for name in COPIED:
            if (model / name).is_file():
                shutil.copyfile(model / name, draft / name)
        entries = {
            name: _write(draft / f"{name}.onnx", make_graph(name, weights), "fp32")
            for name in FILTER
        }
        for precision in dict.fromkeys(precisions):
            for name in imagine_graphs(weights.config):
                if precision == "int8":
                    assert quantise is not None, "checked before"
                    graph = quantise(name, make_graph(name, weights))
                else:
                    graph = make_graph(name, weights, precision)
                key = f"{name}.{precision}"
                entries[key] = _write(draft / f"{key}.onnx", graph, precision)
        (draft / INITIAL).write_bytes(save(initial_belief(weights)))
        facts = {
            "format": FORMAT,
            "code_version": code_version(),
            "weights_sha256": file_sha256(draft / WEIGHTS),
            "initial_sha256": file_sha256(draft / INITIAL),
            "model_hash": weights.hash,
            "opset": OPSET,
            "precisions": list(dict.fromkeys(precisions)),
            "calibration": dict(calibration) if calibration else None,
            "config": weights.config.model_dump(),
            "graphs": entries,
        }
        (draft / SIDECAR).write_text(json.dumps(facts, indent=2) + "\n")


def initial_belief(weights: Weights) -> dict[str, np.ndarray]:
    """Outputs of the graph "initial", by name."""
    session = onnxruntime.InferenceSession(
        make_graph("initial", weights).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return {
        name: np.ascontiguousarray(value)
        for name, value in zip(names, session.run(None, {}), strict=True)
    }


def _write(file: Path, graph: onnx.ModelProto, precision: str) -> dict[str, Any]:
    """Write a graph; the sidecar's entry of it."""
    file.write_bytes(graph.SerializeToString())
    return graph_entry(file, precision, _ports(graph.graph.input), _ports(graph.graph.output))


def _ports(values: Sequence[onnx.ValueInfoProto]) -> list[Port]:
    return [
        Port(
            value.name,
            helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name,
            tuple(d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim),
        )
        for value in values
    ]
