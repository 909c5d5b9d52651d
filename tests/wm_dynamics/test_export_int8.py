"""Imagined steps in int8: where numbers are rounded, and how much it changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from wm_dynamics.backend_onnx import OnnxBackend
from wm_dynamics.export.folder import open_export
from wm_dynamics.export.int8 import QUANTISED, Quantiser, Situations, imagined_feeds
from wm_dynamics.export.write import initial_belief, write_export
from wm_dynamics.weights import read_weights

SHIPPED = Path(__file__).parents[2] / "models" / "driving-bev"
STEPS = 4


def tried(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (n, STEPS, 2)).astype(np.float32)


def moments(n: int) -> Situations:
    start = initial_belief(read_weights(SHIPPED))
    states = np.random.default_rng(0).normal(0, 0.3, (n, 5)).astype(np.float32)
    deter, stoch = (start[name].repeat(n, 0) for name in ("next_deter", "next_stoch"))
    return Situations(deter, stoch, None, states, tried(n, 1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("int8") / "export"
    quantiser = Quantiser(read_weights(SHIPPED), moments(16))
    write_export(SHIPPED, out, ("fp32", "int8"), quantiser, {"moments": 16})
    return out


def test_ranges_are_measured_along_imagined_futures():
    feeds = imagined_feeds(read_weights(SHIPPED), moments(3))
    assert [int(feed["member"]) for feed in feeds] == [0, 1, 2, 0]
    assert not np.allclose(feeds[0]["deter"], feeds[3]["deter"])
    again = imagined_feeds(read_weights(SHIPPED), moments(3))
    for one, other in zip(feeds, again, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_the_large_products_read_int8_on_both_sides(folder):
    export = open_export(folder)
    assert export.precisions == ("fp32", "int8") and export.facts["calibration"] == {"moments": 16}
    for name in ("step", "step_checked", "step_sampled"):
        graph = onnx.load_from_string(export.read(f"{name}.int8")).graph
        made = {node.output[0]: node for node in graph.node}
        constants = {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type != "MatMul":
                continue
            reduced = node.name.startswith(QUANTISED)
            sources = [made[value].op_type if value in made else "" for value in node.input]
            assert (sources == ["DequantizeLinear"] * 2) is reduced, node.name
            if reduced:
                weight = constants[made[node.input[1]].input[0]]
                assert weight.data_type == onnx.TensorProto.INT8
                scale = constants[made[node.input[1]].input[1]]
                assert tuple(scale.dims) == (weight.dims[1],), "one scale per output"
        zeros = [t for name, t in constants.items() if name.endswith("zero_point")]
        assert zeros and all(not onnx.numpy_helper.to_array(t).any() for t in zeros)


def test_one_step_of_it_is_near_float32(folder):
    export = open_export(folder)
    exact, rounded = OnnxBackend(export), OnnxBackend(export, "int8")
    state = np.array([0.5, 0.0, 0.0, 0.1, 0.0], np.float32)
    wanted = tried(32, 2)[:, :1]
    one, other = (b.imagine(b.initial(), state, wanted) for b in (exact, rounded))
    np.testing.assert_array_equal(one.path, other.path)  # the ego network is not touched
    off = np.abs(one.end.latent.deter - other.end.latent.deter)
    assert 0.0 < off.max() < 0.05
    flips = (one.end.latent.stoch != other.end.latent.stoch).mean()
    assert flips < 0.05
