"""Imagined steps in int8: Q/DQ nodes around the large products, ranges taken from driving.

Quantised are the products of the core and of the heads' hidden layers, weights per output channel,
activations per tensor, both symmetric, as TensorRT asks for. The prior stays float32: its outputs
choose classes, where a small error is another future; so do the first and the last layers.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from wm_dynamics.export.graphs import make_graph
from wm_dynamics.weights import Weights

QUANTISED = ("rssm.cell.", "head.0.", "head.3.")  # products whose names begin so
Feed = dict[str, np.ndarray]


@dataclass(frozen=True)
class Situations:
    """Moments of driving, and what was done from there on, S of them.

    Attributes:
        deter: (S, D) belief.
        stoch: (S, G) int64 or (S, Z).
        memory: of a transformer, or None.
        ego_state: (S, 5).
        actions: (S, H, 2).
    """

    deter: np.ndarray
    stoch: np.ndarray
    memory: np.ndarray | None
    ego_state: np.ndarray
    actions: np.ndarray


class Quantiser:
    """Makes int8 graphs of a model's float32 ones.

    Args:
        weights: of the model.
        situations: to measure ranges in; they are imagined on by the float32 graph.
        seed: of the uniforms of the sampled step.
    """

    def __init__(self, weights: Weights, situations: Situations, seed: int = 0):
        self._feeds = imagined_feeds(weights, situations, seed)

    def __call__(self, name: str, graph: onnx.ModelProto) -> onnx.ModelProto:
        """The graph ``name`` in int8.

        Args:
            name: one of ``graphs.IMAGINE``.
            graph: in float32.
        """
        wanted = [value.name for value in graph.graph.input]
        nodes = [
            node.name
            for node in graph.graph.node
            if node.op_type == "MatMul" and node.name.startswith(QUANTISED)
        ]
        with tempfile.TemporaryDirectory() as folder, _without_advice():
            source, target = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
            onnx.save(graph, source)
            quantize_static(
                source,
                target,
                _Reader([{key: feed[key] for key in wanted} for feed in self._feeds]),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["MatMul"],
                nodes_to_quantize=nodes,
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                extra_options={"ActivationSymmetric": True, "WeightSymmetric": True},
            )
            made = onnx.load(target)
        del made.metadata_props[:]
        onnx.checker.check_model(made, full_check=True)
        return made


def imagined_feeds(weights: Weights, situations: Situations, seed: int = 0) -> list[Feed]:
    """Inputs of all variants of a step along imagined futures, one per step.

    Args:
        weights, situations, seed: see :class:`Quantiser`.
    """
    session = onnxruntime.InferenceSession(
        make_graph("step", weights).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    inputs = {value.name for value in session.get_inputs()}
    outputs = [value.name for value in session.get_outputs()]
    rng, members = np.random.default_rng(seed), weights.config.ensemble
    state: dict[str, Any] = {
        "deter": situations.deter,
        "stoch": situations.stoch,
        "memory": situations.memory,
        "ego_state": situations.ego_state,
    }
    feeds = []
    for t, action in enumerate(situations.actions.swapaxes(0, 1)):
        feed = {name: value for name, value in state.items() if value is not None}
        feed["action"] = np.ascontiguousarray(action, np.float32)
        feed["member"] = np.asarray(t % members, np.int64)
        feed["uniforms"] = rng.random(situations.stoch.shape, np.float32)
        feeds.append(feed)
        known = {name: value for name, value in feed.items() if name in inputs}
        out = dict(zip(outputs, session.run(None, known), strict=True))
        state = {name: out.get(f"next_{name}") for name in state}
    return feeds


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep quiet about pre-processing, which these graphs are written not to need."""
    root = logging.getLogger()
    root.addFilter(_is_no_advice)
    try:
        yield
    finally:
        root.removeFilter(_is_no_advice)


def _is_no_advice(record: logging.LogRecord) -> bool:
    return "pre-processing" not in record.getMessage()


class _Reader(CalibrationDataReader):
    """Feeds one after the other."""

    def __init__(self, feeds: Sequence[Feed]):
        self._left = iter(feeds)

    def get_next(self) -> Feed | None:
        """The next, or None."""
        return next(self._left, None)
