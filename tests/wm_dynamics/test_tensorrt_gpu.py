"""TensorRT on a real GPU: `pytest -m gpu`, where TensorRT and a GPU are."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from wm_dynamics.backend_tensorrt import TensorRTBackend
from wm_dynamics.backends import make_backend_of
from wm_dynamics.checkpoint import load_checkpoint, save_checkpoint
from wm_dynamics.export.folder import open_export
from wm_dynamics.export.write import write_export
from wm_dynamics.reference import imagine
from wm_dynamics.runtime_names import EXPORT_FOLDER
from wm_dynamics.tensorrt_build import MODULES, Rows, find_tensorrt
from wm_dynamics.tensorrt_cuda import find_cuda
from wm_dynamics.tensorrt_engine import write_engine
from wm_dynamics.weights import read_weights

SHIPPED = Path(__file__).parents[2] / "models" / "driving-bev"
STATE = np.array([0.5, 0.02, 0.0, 0.1, 0.0], np.float32)
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not any(map(importlib.util.find_spec, MODULES)), reason="TensorRT is not installed"
    ),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """The shipped model with an export and engines of both precisions."""
    path = tmp_path_factory.mktemp("gpu") / "model"
    save_checkpoint(load_checkpoint(SHIPPED), path)
    write_export(path, path / EXPORT_FOLDER, ("fp32", "fp16"))
    export, trt, cuda = open_export(path / EXPORT_FOLDER), find_tensorrt(), find_cuda()
    for graph in ("step", "step_checked"):
        for precision in ("fp32", "fp16"):
            write_engine(trt, export, f"{graph}.{precision}", Rows(), device=cuda.capability)
    return path


@pytest.mark.parametrize("precision, close", [("fp32", 1e-4), ("fp16", 0.03)])
def test_a_gpu_imagines_what_the_specification_says(model, precision, close):
    weights = read_weights(model)
    backend = make_backend_of(weights, "tensorrt", precision, folder=model)
    assert isinstance(backend, TensorRTBackend), backend.notice
    horizon = weights.config.horizon if precision == "fp32" else 1  # later a class may flip
    actions = np.random.default_rng(0).uniform(-1, 1, (110, horizon, 2)).astype(np.float32)
    latent = backend.initial()
    for every_member, ask in ((False, backend.imagine), (True, backend.imagine_members)):
        found = ask(latent, STATE, actions)
        wanted = imagine(weights, latent.deter[0], latent.stoch[0], STATE, actions, every_member)
        np.testing.assert_allclose(found.path, wanted.path, atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(found.end.latent.deter, wanted.deter, atol=close, rtol=close)
