"""Engines: graphs that TensorRT reads and builds, calls that 10 and 11 have, and what is refused.

TensorRT-RTX is the real one, where `pip install wm-drive[tensorrt]` put it; it builds without a
GPU. TensorRT 10 and 11 cannot be had here: ``FakeTensorRT`` has the part of their interface that is
used, and nothing that either lacks.
"""

from __future__ import annotations

import importlib
import json
import shutil
from enum import IntEnum
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_dynamics.export.folder import Export, Port, open_export
from wm_dynamics.export.int8 import Quantiser, Situations
from wm_dynamics.export.write import initial_belief, write_export
from wm_dynamics.tensorrt_build import (
    Rows,
    build,
    check_version,
    find_tensorrt,
    parse,
)
from wm_dynamics.tensorrt_engine import read_engine, write_engine
from wm_dynamics.weights import read_weights
from wm_training.commands import export as command

SHIPPED = Path(__file__).parents[2] / "models" / "driving-bev"
ROWS = Rows(1, 16, 64)


class FakeTensorRT:
    """TensorRT ``version`` as far as it is used: reads any graph as one input and one output."""

    def __init__(self, version: str):
        self.__name__, self.__version__ = "tensorrt", version
        flags = {"STRONGLY_TYPED": 1} if version.startswith("11") else {
            "EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1}  # fmt: skip
        self.NetworkDefinitionCreationFlag = IntEnum("NetworkDefinitionCreationFlag", flags)
        self.BuilderFlag = IntEnum("BuilderFlag", {"TF32": 7})
        self.asked = SimpleNamespace(flags=-1, profiles=[], graph=b"", shapes={}, cleared=[])
        self.refuses = False

    class Logger:
        ERROR = 1

        def __init__(self, level: int):
            assert level == self.ERROR

    def Builder(self, logger: Logger):  # noqa: N802
        return _FakeBuilder(self)

    def OnnxParser(self, network, logger: Logger):  # noqa: N802
        def parse(graph: bytes) -> bool:
            self.asked.graph = graph
            return not self.refuses

        return SimpleNamespace(
            parse=parse, num_errors=1, get_error=lambda i: "no such operator", network=network
        )


class _FakeBuilder:
    def __init__(self, trt: FakeTensorRT):
        self._trt = trt

    def create_network(self, flags: int):
        self._trt.asked.flags = flags
        tensors = [
            SimpleNamespace(name=name, dtype="DataType.FLOAT", shape=(-1, 5)) for name in "xy"
        ]
        return SimpleNamespace(
            num_layers=1,
            get_layer=lambda i: SimpleNamespace(type="LayerType.MATRIX_MULTIPLY"),
            num_inputs=1,
            get_input=lambda i: tensors[0],
            num_outputs=1,
            get_output=lambda i: tensors[1],
        )

    def create_builder_config(self):
        asked = self._trt.asked
        return SimpleNamespace(
            add_optimization_profile=asked.profiles.append, clear_flag=asked.cleared.append
        )

    def create_optimization_profile(self):
        def set_shape(name: str, *shapes: tuple[int, ...]) -> None:
            self._trt.asked.shapes[name] = shapes

        return SimpleNamespace(set_shape=set_shape)

    def build_serialized_network(self, network, config):
        return memoryview(b"engine of " + self._trt.__version__.encode())


@pytest.fixture(scope="module")
def export(tmp_path_factory) -> Export:
    folder = tmp_path_factory.mktemp("export") / "export"
    weights = read_weights(SHIPPED)
    start = initial_belief(weights)
    rng = np.random.default_rng(0)
    moments = Situations(
        start["next_deter"].repeat(4, 0),
        start["next_stoch"].repeat(4, 0),
        None,
        rng.normal(0, 0.3, (4, 5)).astype(np.float32),
        rng.uniform(-1, 1, (4, 2, 2)).astype(np.float32),
    )
    precisions = ("fp32", "fp16", "bf16", "int8")
    write_export(SHIPPED, folder, precisions, Quantiser(weights, moments))
    return open_export(folder)


@pytest.fixture(scope="module")
def rtx():
    for name in ("tensorrt_rtx", "tensorrt_rtx_bindings"):
        try:
            return importlib.import_module(name)
        except Exception as error:  # its libraries may be missing in many ways
            reason = str(error)
    pytest.skip(f"no TensorRT-RTX ({reason}); pip install 'wm-drive[tensorrt]'")


@pytest.mark.parametrize(
    "version, flags", [("10.16.0", 0b11), ("10.0.1", 0b11), ("11.4.0.106", 0b10)]
)
def test_one_way_to_build_for_10_and_11(version, flags):
    trt = FakeTensorRT(version)
    check_version(trt)
    made = parse(trt, b"graph")
    assert trt.asked.flags == flags and trt.asked.graph == b"graph"
    assert made.inputs == (Port("x", "float32", ("N", 5)),) and made.layers == {
        "MATRIX_MULTIPLY": 1
    }
    assert build(trt, made, ROWS) == b"engine of " + version.encode()
    assert trt.asked.shapes == {"x": ((1, 5), (16, 5), (64, 5))} and len(trt.asked.profiles) == 1
    assert trt.asked.cleared == [trt.BuilderFlag.TF32], "float32 is to be float32"
    with pytest.raises(UserError, match="cannot be asked for SM89"):
        build(trt, made, ROWS, ("SM89",))
    trt.refuses = True
    with pytest.raises(UserError, match="no such operator"):
        parse(trt, b"graph")


@pytest.mark.parametrize("version", ["8.6.1", "9.0", "12.0.0"])
def test_an_unknown_version_is_refused(version):
    with pytest.raises(UserError, match=r"install version 10\.x or 11\.x"):
        check_version(FakeTensorRT(version))


def test_without_tensorrt_it_says_so():
    with pytest.raises(UserError, match="no TensorRT here.*no_such_module"):
        find_tensorrt("no_such_module")
    with pytest.raises(UserError, match="rise"):
        Rows(2, 1, 3)


def test_an_engine_is_read_again_only_where_it_fits(export, tmp_path):
    mine = open_export(shutil.copytree(export.path, tmp_path / "export"))
    trt = FakeTensorRT("10.16.0")
    with pytest.raises(UserError, match="there is none here"):
        write_engine(trt, mine, "step.fp16", ROWS)
    with pytest.raises(UserError, match="no engine"):
        read_engine(trt, mine, "step.fp16", "9.0")
    written = write_engine(trt, mine, "step.fp16", ROWS, device="9.0")
    assert read_engine(trt, mine, "step.fp16", "9.0") == written
    assert trt.asked.graph == mine.read("step.fp16")
    with pytest.raises(UserError, match=r"built for 9\.0, this GPU has 8\.9"):
        read_engine(trt, mine, "step.fp16", "8.9")
    with pytest.raises(UserError, match="with another version"):
        read_engine(FakeTensorRT("10.16.1"), mine, "step.fp16", "9.0")
    sidecar = mine.path / "engines" / "step.fp16.json"
    facts = json.loads(sidecar.read_text())
    for changes, reason in (
        ({"format": 0}, "has format 0"),
        ({"onnx_sha256": "0"}, "from another graph"),
        ({"weights_sha256": "0"}, "from other weights"),
        ({"module": "tensorrt_rtx"}, "with another TensorRT"),
        ({"rows": {}, "inputs": 1}, "cannot be read"),
    ):
        sidecar.write_text(json.dumps(facts | changes))
        with pytest.raises(UserError, match=reason):
            read_engine(trt, mine, "step.fp16", "9.0")
    sidecar.write_text(json.dumps(facts))
    (mine.path / "engines" / "step.fp16.engine").write_bytes(b"another")
    with pytest.raises(UserError, match="of another engine file"):
        read_engine(trt, mine, "step.fp16", "9.0")


def test_capabilities_of_rtx_engines_are_compared_as_numbers(export, tmp_path):
    mine = open_export(shutil.copytree(export.path, tmp_path / "export"))
    trt = FakeTensorRT("1.7.1")
    trt.__name__ = "tensorrt_rtx"
    write_engine(trt, mine, "step.fp16", ROWS)
    assert read_engine(trt, mine, "step.fp16", "9.0").capability == "portable"
    sidecar = mine.path / "engines" / "step.fp16.json"
    facts = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps(facts | {"capability": "SM89,SM120"}))
    for device in ("8.9", "12.0"):
        read_engine(trt, mine, "step.fp16", device)
    with pytest.raises(UserError, match="this GPU has 9"):
        read_engine(trt, mine, "step.fp16", "9.0")


@pytest.mark.parametrize("name", ["observe", "predict", "perceive", "ego", "step_sampled.fp32",
                                  "step.fp16", "step_checked.bf16", "step.int8"])  # fmt: skip
def test_tensorrt_rtx_reads_every_graph_as_it_is(rtx, export, name):
    made = parse(rtx, export.read(name))
    wanted = export.graphs[name]
    assert set(made.inputs) == set(wanted.inputs) and set(made.outputs) == set(wanted.outputs)
    tensors = [made.network.get_input(i) for i in range(made.network.num_inputs)]
    assert not any(tensor.is_shape_tensor for tensor in tensors), "all are read on the device"
    assert made.layers["MATRIX_MULTIPLY"] >= 3
    assert made.layers.get("NORMALIZATION", 0) >= (0 if name == "ego" else 2)


def test_tensorrt_rtx_builds_engines_without_a_gpu(rtx, export, tmp_path):
    mine = open_export(shutil.copytree(export.path, tmp_path / "export"))
    engine = write_engine(rtx, mine, "step.fp16", ROWS)
    assert len(engine.data) > 100_000 and engine.capability == "portable"
    assert read_engine(rtx, mine, "step.fp16", "8.9") == engine
    for_one = write_engine(rtx, mine, "step.fp16", ROWS, ("SM89",))
    assert for_one.capability == "SM89" and for_one.data != engine.data
    with pytest.raises(UserError, match="this GPU has 9"):
        read_engine(rtx, mine, "step.fp16", "9.0")
    assert len(write_engine(rtx, mine, "step_checked.int8", ROWS).data) > 100_000
    with pytest.raises(UserError, match="cannot be asked for SM10"):
        write_engine(rtx, mine, "step.fp16", ROWS, ("SM10",))


def test_the_command_builds_engines_where_tensorrt_is(rtx, tmp_path, monkeypatch):
    monkeypatch.setattr("wm_dynamics.tensorrt_build.MODULES", (rtx.__name__,))
    out = tmp_path / "export"
    command.main(command.Args(SHIPPED, out, ("fp16",), engines=True, rows=(1, 8, 16)))
    for name in ("step.fp16", "step_checked.fp16"):
        engine = read_engine(rtx, open_export(out), name, "12.0")
        assert engine.rows == Rows(1, 8, 16) and engine.module == "tensorrt_rtx"


def test_the_command_says_so_where_it_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr("wm_dynamics.tensorrt_build.MODULES", ("no_such_module",))
    with pytest.raises(UserError, match="no TensorRT here"):
        command.main(command.Args(SHIPPED, tmp_path / "export", engines=True))
    assert not list(tmp_path.iterdir())
