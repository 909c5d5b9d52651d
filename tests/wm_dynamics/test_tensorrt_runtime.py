"""A rollout as one CUDA graph: the layout of its memory, and that what is launched is right.

There is no GPU: ``FakeCudart`` has the functions of the CUDA runtime that are used, on the host's
memory, and ``FakeContext`` runs a graph in onnxruntime at the addresses it is given. What they
cannot show is whether real TensorRT accepts being captured, and how fast it is.
"""

from __future__ import annotations

import ctypes
import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from wm_dynamics.array_latent import ArrayLatent
from wm_dynamics.backend_onnx import OnnxBackend
from wm_dynamics.backend_tensorrt import TensorRTBackend
from wm_dynamics.backends import make_backend_of
from wm_dynamics.checkpoint import save_checkpoint
from wm_dynamics.errors import UserError
from wm_dynamics.export.folder import Export, open_export
from wm_dynamics.export.write import write_export
from wm_dynamics.heads import HEADS
from wm_dynamics.model import WorldModel
from wm_dynamics.onnx_sessions import Sessions
from wm_dynamics.runtime_names import EXPORT_FOLDER
from wm_dynamics.tensorrt_build import Rows
from wm_dynamics.tensorrt_cuda import Cuda, find_cuda
from wm_dynamics.tensorrt_engine import Engine
from wm_dynamics.tensorrt_plan import ALIGNMENT, plan_rollout
from wm_dynamics.variants import variant
from wm_dynamics.weights import read_weights

HORIZON = 7
CONFIGS = {
    "gru": variant("tiny", ensemble=3),
    "one-member": variant("tiny", "block_gru", "gaussian", ensemble=1),
    "transformer": variant("tiny", "transformer", ensemble=2),
}
STATE = np.array([0.5, 0.02, 0.0, 0.1, 0.0], np.float32)


class FakeCudart:
    """The CUDA runtime on the host: a stream does at once what it is told, or records it."""

    def __init__(self, devices: int = 1):
        self.devices = devices
        self.kept: list[np.ndarray] = []
        self.recorded: list | None = None
        self.graphs: list[list] = []
        self.calls: list[str] = []
        self.cudaGetErrorString = _Text(lambda code: f"error {code}".encode())

    def do(self, work) -> None:
        """Put on the stream."""
        work() if self.recorded is None else self.recorded.append(work)

    def __getattr__(self, name: str):
        if name not in _CUDA:
            raise AttributeError(f"the CUDA runtime has no {name}")

        def call(*arguments) -> int:
            self.calls.append(name)
            return _CUDA[name](self, *arguments) or 0

        return call

    def get_count(self, count) -> int:
        count._obj.value = self.devices
        return 0 if self.devices >= 0 else 35  # the driver is missing

    def get_attribute(self, value, kind: int, device: int) -> None:
        value._obj.value = {75: 9, 76: 0}[kind]

    def make_stream(self, stream, flags: int) -> None:
        stream._obj.value = 77

    def allocate(self, pointer, size, flags: int = 0) -> None:
        block = np.full(size.value + ALIGNMENT, 0xAB, np.uint8)
        self.kept.append(block)
        pointer._obj.value = -(-block.ctypes.data // ALIGNMENT) * ALIGNMENT

    def copy(self, target, source, size, kind: int, stream) -> None:
        self.do(lambda: ctypes.memmove(target, source, size.value))

    def begin(self, stream, mode: int) -> None:
        self.recorded = []

    def end(self, stream, graph) -> None:
        assert self.recorded is not None
        self.graphs.append(self.recorded)
        self.recorded, graph._obj.value = None, len(self.graphs)

    def instantiate(self, made, graph, flags) -> None:
        made._obj.value = graph.value

    def launch(self, graph, stream) -> None:
        for work in self.graphs[graph.value - 1]:
            work()


class _Text:
    def __init__(self, text):
        self._text, self.restype = text, None

    def __call__(self, code: int) -> bytes:
        return self._text(code)


_CUDA = {
    "cudaGetDeviceCount": FakeCudart.get_count,
    "cudaSetDevice": lambda self, device: 0,
    "cudaDeviceGetAttribute": FakeCudart.get_attribute,
    "cudaStreamCreateWithFlags": FakeCudart.make_stream,
    "cudaMalloc": FakeCudart.allocate,
    "cudaHostAlloc": FakeCudart.allocate,
    "cudaMemcpyAsync": FakeCudart.copy,
    "cudaStreamBeginCapture": FakeCudart.begin,
    "cudaStreamEndCapture": FakeCudart.end,
    "cudaGraphInstantiateWithFlags": FakeCudart.instantiate,
    "cudaGraphLaunch": FakeCudart.launch,
    "cudaStreamSynchronize": lambda self, stream: 0,
}


class FakeContext:
    """TensorRT's execution context of one graph, run by onnxruntime in the memory it is given."""

    def __init__(self, cudart: FakeCudart, export: Export, name: str):
        self._cudart, self._name, self._run = cudart, name, Sessions(export).run
        self._graph = export.graphs[name]
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._shapes[name] = shape
        return True

    def set_tensor_address(self, name: str, address: int) -> bool:
        assert address % ALIGNMENT == 0
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == 77 and set(self._shapes) == {p.name for p in self._graph.inputs}
        addresses, shapes = dict(self._addresses), dict(self._shapes)  # those of now
        self._addresses.clear()  # each launch must say all of its own

        def work() -> None:
            feed = {
                port.name: _at(addresses[port.name], port.dtype, shapes[port.name])
                for port in self._graph.inputs
            }
            for name, value in self._run(self._name, feed).items():
                _at(addresses[name], value.dtype, value.shape)[...] = value

        self._cudart.do(work)
        return True


def _at(address: int, dtype, shape: tuple[int, ...]) -> np.ndarray:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.ndarray(shape, dtype, (ctypes.c_uint8 * size).from_address(address))


@pytest.fixture(scope="module", params=CONFIGS)
def export(request, tmp_path_factory) -> Export:
    folder = tmp_path_factory.mktemp(request.param)
    save_checkpoint(WorldModel.untrained(CONFIGS[request.param], seed=3), folder / "model")
    write_export(folder / "model", folder / "export")
    return open_export(folder / "export")


class FakeTensorRT:
    """The bindings: an engine's data are the name of its graph."""

    __name__, __version__ = "tensorrt", "10.9"
    Logger = type("Logger", (), {"ERROR": 1, "__init__": lambda self, level: None})

    def __init__(self, library: FakeCudart, export: Export):
        self._library, self._export = library, export

    def Runtime(self, logger):  # noqa: N802
        return SimpleNamespace(deserialize_cuda_engine=self._engine)

    def _engine(self, data: bytes):
        context = FakeContext(self._library, self._export, data.decode())
        return SimpleNamespace(create_execution_context=lambda: context)


def pretend(patch: pytest.MonkeyPatch, export: Export, rows: Rows) -> FakeCudart:
    """From now on there is a GPU, and engines whose work is done by onnxruntime."""
    library = FakeCudart()

    def read_engine(trt, export: Export, name: str, device: str) -> Engine:
        graph = export.graphs[name]
        return Engine(name, "fake", "0", device, rows, graph.inputs, graph.outputs, name.encode())

    here = "wm_dynamics.backend_tensorrt"
    patch.setattr(f"{here}.find_cuda", lambda device: Cuda(library, device))
    patch.setattr(f"{here}.read_engine", read_engine)
    patch.setattr("wm_dynamics.tensorrt_build.find_tensorrt", lambda: FakeTensorRT(library, export))
    return library


def on_a_fake_gpu(export: Export, rows: Rows) -> tuple[TensorRTBackend, FakeCudart]:
    """A backend whose engines are onnxruntime's."""
    with pytest.MonkeyPatch.context() as patch:
        library = pretend(patch, export, rows)
        return TensorRTBackend(export, FakeTensorRT(library, export), "fp32"), library


def tried(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (n, HORIZON, 2)).astype(np.float32)


def assert_same(found, wanted) -> None:
    for name in ("path", "speed", "disagreement", "spreads"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name), name)
    for head in HEADS:
        np.testing.assert_array_equal(found.heads[head.name], wanted.heads[head.name])
    np.testing.assert_array_equal(found.end.latent.deter, wanted.end.latent.deter)
    np.testing.assert_array_equal(found.end.latent.stoch, wanted.end.latent.stoch)
    np.testing.assert_array_equal(found.end.ego_state, wanted.end.ego_state)


def test_what_is_launched_is_the_rollout(export):
    plain = OnnxBackend(export)
    backend, _ = on_a_fake_gpu(export, Rows(1, 4, 8))
    latent = plain.initial()
    for seed in range(2):
        wanted = tried(5, seed)
        assert_same(backend.imagine(latent, STATE, wanted), plain.imagine(latent, STATE, wanted))
        assert_same(
            backend.imagine_members(latent, STATE, wanted),
            plain.imagine_members(latent, STATE, wanted),
        )
    first = backend.imagine(latent, STATE, tried(5, 0))
    kept = first.path.copy()
    end = first.end.latent
    backend.imagine(latent, STATE, tried(5, 1))
    # What was given out is not overwritten by the next rollout.
    np.testing.assert_array_equal(first.path, kept)
    own = ArrayLatent(end.deter, end.stoch, None if latent.memory is None else
                      latent.memory.repeat(5, 0))  # fmt: skip
    assert_same(backend.imagine(own, STATE, tried(5, 2)), plain.imagine(own, STATE, tried(5, 2)))


def test_a_plan_is_recorded_once_and_waits_once(export):
    backend, library = on_a_fake_gpu(export, Rows(1, 4, 8))
    backend.imagine(backend.initial(), STATE, tried(4, 0))
    assert len(library.graphs) == 1
    library.calls.clear()
    backend.imagine(backend.initial(), STATE, tried(4, 1))
    assert library.calls == ["cudaGraphLaunch", "cudaStreamSynchronize"]
    backend.imagine(backend.initial(), STATE, tried(3, 1))
    assert len(library.graphs) == 2, "another shape is another graph"
    with pytest.raises(UserError, match="1 to 8 candidates, not 9"):
        backend.imagine(backend.initial(), STATE, tried(9, 0))


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model"
    save_checkpoint(WorldModel.untrained(CONFIGS["gru"], seed=3), path)
    write_export(path, path / EXPORT_FOLDER)
    return path


def test_it_imagines_where_there_is_a_gpu(model, monkeypatch):
    library = pretend(monkeypatch, open_export(model / EXPORT_FOLDER), Rows(1, 4, 8))
    backend = make_backend_of(read_weights(model), "tensorrt", folder=model)
    assert isinstance(backend, TensorRTBackend) and not backend.notice
    assert backend.name == "tensorrt 10.9 (fp32, GPU 0)"
    assert library.graphs, "the self-test ran on the GPU"


def test_numbers_that_are_off_are_not_driven_by(model, monkeypatch):
    pretend(monkeypatch, open_export(model / EXPORT_FOLDER), Rows(1, 4, 8))
    right = TensorRTBackend.imagine

    def wrong(self, *given):
        futures = right(self, *given)
        return replace(futures, path=futures.path + 0.01)

    monkeypatch.setattr(TensorRTBackend, "imagine", wrong)
    backend = make_backend_of(read_weights(model), "tensorrt", folder=model)
    assert "failed its self-test: path" in backend.notice


def test_what_is_missing_for_a_gpu_is_said(model, monkeypatch):
    export = open_export(model / EXPORT_FOLDER)
    pretend(monkeypatch, export, Rows(1, 4, 8))
    monkeypatch.setattr(
        "wm_dynamics.backend_tensorrt.find_cuda", lambda device: Cuda(FakeCudart(devices=0))
    )
    backend = make_backend_of(read_weights(model), "tensorrt", folder=model)
    assert "no GPU 0 here" in backend.notice and not backend.name.startswith("tensorrt")


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("every_member", [False, True])
def test_blocks_lie_apart_and_aligned(name, every_member):
    plan = plan_rollout(CONFIGS[name], 5, HORIZON, every_member)
    buffers = list(plan.buffers.values())
    for before, after in itertools.pairwise(buffers):
        assert before.end == after.offset
    for buffer in buffers:
        size = int(np.prod(buffer.shape)) * np.dtype(buffer.dtype).itemsize
        assert buffer.stride >= size and buffer.stride % ALIGNMENT == 0
        with pytest.raises(IndexError, match=buffer.name):
            buffer.address(buffer.blocks)
    assert buffers[-1].end == plan.size and plan.inputs_end < plan.outputs_start
    assert len(plan.launches) == HORIZON * plan.chunks
    for launch in plan.launches:
        places = launch.tensors
        written = {places[t] for t in places if t.startswith(("next_", "motion", "heads"))}
        read = {places[t] for t in ("deter", "stoch", "ego_state", "action")}
        assert not read & written, "nothing is written where it is read"
    for place in (f"last_{part}" for part in ("deter", "stoch")):
        assert plan.buffers[place].offset >= plan.outputs_start


def test_without_a_gpu_it_says_so(monkeypatch):
    with pytest.raises(UserError, match="no GPU 0 here, there are 0"):
        Cuda(FakeCudart(devices=0))
    with pytest.raises(UserError, match="cudaGetDeviceCount: error 35"):
        Cuda(FakeCudart(devices=-1))
    assert Cuda(FakeCudart()).capability == "9.0"
    monkeypatch.setattr("wm_dynamics.tensorrt_cuda.LIBRARIES", ("libno-such.so",))
    with pytest.raises(UserError, match=r"no CUDA runtime here \(libno-such"):
        find_cuda()
