"""Which runtime imagines, and what happens when it cannot."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from wm_dynamics import backend_cpp
from wm_dynamics.backend import TorchBackend
from wm_dynamics.backend_cpp import CppBackend
from wm_dynamics.backends import make_backend_of
from wm_dynamics.checkpoint import load_checkpoint, save_checkpoint
from wm_dynamics.config import SIZES
from wm_dynamics.engine import Engine, instruction_sets
from wm_dynamics.errors import UserError
from wm_dynamics.export.write import write_export
from wm_dynamics.imagine import FastImagination
from wm_dynamics.model import WorldModel
from wm_dynamics.runtime_names import EXPORT_FOLDER
from wm_dynamics.weights import read_weights

SHIPPED = Path(__file__).parents[2] / "models" / "driving-bev"
STATE = np.array([0.5, 0.02, 0.0, 0.1, 0.0], np.float32)
needs_engine = pytest.mark.skipif(not instruction_sets(), reason="built without a compiler")


def actions(n: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (n, 15, 2)).astype(np.float32)


@needs_engine
def test_the_engine_imagines_what_torch_does():
    model = load_checkpoint(SHIPPED)
    engine, exact = make_backend_of(model), TorchBackend(model)
    model._fast = FastImagination(model, torch.float32)
    assert isinstance(engine, CppBackend) and not engine.notice
    assert engine.name.startswith("cpp (") and "fp32, 1 threads" in engine.name
    latent, start = engine.initial(), exact.initial()
    for ours, theirs in (
        (engine.imagine(latent, STATE, actions(9)), exact.imagine(start, STATE, actions(9))),
        (
            engine.imagine_members(latent, STATE, actions(4)),
            exact.imagine_members(start, STATE, actions(4)),
        ),
    ):
        for name in ("path", "speed", "disagreement", "spreads"):
            found, wanted = getattr(ours, name), getattr(theirs, name)
            np.testing.assert_allclose(found, wanted, atol=1e-4, rtol=1e-4, err_msg=name)
        assert ours.heads.keys() == theirs.heads.keys()
        for name, values in ours.heads.items():
            np.testing.assert_allclose(
                values, theirs.heads[name], atol=1e-4, rtol=1e-4, err_msg=name
            )
        assert ours.end is not None and theirs.end is not None
        np.testing.assert_allclose(ours.end.latent.deter, theirs.end.latent.deter, atol=1e-4)
        np.testing.assert_array_equal(ours.end.latent.stoch, theirs.end.latent.stoch)
    seen, wanted = engine.perceive(latent), exact.perceive(start)
    assert seen == pytest.approx(wanted, abs=1e-4)


def test_torch_can_be_asked_for():
    backend = make_backend_of(WorldModel.untrained(SIZES["tiny"]), "torch")
    assert type(backend) is TorchBackend and backend.name == "torch" and not backend.notice


@needs_engine
def test_a_model_the_engine_has_no_core_for_falls_back_and_says_so():
    config = SIZES["tiny"].model_copy(update={"core": "transformer"})
    backend = make_backend_of(WorldModel.untrained(config), "cpp")
    assert type(backend) is TorchBackend
    assert "imagined by torch" in backend.notice and "transformer" in backend.notice


def test_without_the_extension_torch_imagines_and_says_so(monkeypatch):
    def missing():
        raise UserError("the C++ engine was not built")

    monkeypatch.setattr("wm_dynamics.engine.extension", missing)
    assert instruction_sets() == []
    backend = make_backend_of(WorldModel.untrained(SIZES["tiny"]))
    assert backend.name == "torch" and "not built" in backend.notice
    assert backend.imagine(backend.initial(), STATE, actions(2)).path.shape == (2, 15, 3)


@needs_engine
@pytest.mark.parametrize("spoilt", ["path", "heads", "deter"])
def test_an_engine_whose_numbers_are_wrong_is_not_used(monkeypatch, spoilt):
    right = Engine.imagine

    def wrong(self, *given):
        futures = right(self, *given)
        return replace(futures, **{spoilt: getattr(futures, spoilt) + 0.01})

    monkeypatch.setattr(backend_cpp.Engine, "imagine", wrong)
    backend = make_backend_of(WorldModel.untrained(SIZES["tiny"]))
    assert backend.name == "torch" and f"self-test: {spoilt}" in backend.notice


@needs_engine
def test_an_observer_whose_numbers_are_wrong_is_not_used(monkeypatch):
    right = CppBackend._look

    def wrong(self, *given):
        seen = right(self, *given)
        return replace(seen, latent=replace(seen.latent, deter=seen.latent.deter + 0.01))

    monkeypatch.setattr(CppBackend, "_look", wrong)
    backend = make_backend_of(WorldModel.untrained(SIZES["tiny"]))
    assert backend.name == "torch" and "self-test: belief" in backend.notice


def test_weights_alone_are_enough_for_torch():
    weights = read_weights(SHIPPED)
    backend = make_backend_of(weights, "torch")
    assert type(backend) is TorchBackend and backend.hash == weights.hash
    assert backend.novelty is not None and backend.model.metadata == weights.metadata
    state, stored = backend.model.state_dict(), load_checkpoint(SHIPPED).state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in stored.items())


def test_an_export_is_run_by_onnxruntime(tmp_path):
    path = tmp_path / "model"
    save_checkpoint(WorldModel.untrained(SIZES["tiny"], seed=2), path)
    write_export(path, path / EXPORT_FOLDER)
    model = load_checkpoint(path)
    backend = make_backend_of(model, "onnxruntime", folder=path)
    assert backend.name.startswith("onnxruntime") and not backend.notice
    model._fast = FastImagination(model, torch.float32)
    exact = TorchBackend(model)
    for ask in ("imagine", "imagine_members"):
        found = getattr(backend, ask)(backend.initial(), STATE, actions(4))
        wanted = getattr(exact, ask)(exact.initial(), STATE, actions(4))
        np.testing.assert_allclose(found.path, wanted.path, atol=1e-4)
        np.testing.assert_allclose(
            found.heads["collision"], wanted.heads["collision"], atol=1e-4, rtol=1e-4
        )


@needs_engine
@pytest.mark.parametrize(
    "name, says", [("onnxruntime", "no export"), ("tensorrt", "no TensorRT here|no export")]
)
def test_without_what_was_asked_for_the_engine_imagines_and_says_so(tmp_path, name, says):
    backend = make_backend_of(WorldModel.untrained(SIZES["tiny"]), name, folder=tmp_path)
    assert backend.name.startswith("cpp") and re.search(says, backend.notice)
    assert backend.notice.startswith("imagined by cpp")


@needs_engine
def test_a_precision_the_engine_has_not_is_refused_and_said():
    backend = make_backend_of(WorldModel.untrained(SIZES["tiny"]), precision="fp16")
    assert "fp32" in backend.name and "unknown precision fp16" in backend.notice


@needs_engine
def test_torch_imagines_from_the_belief_of_another_runtime():
    model = load_checkpoint(SHIPPED)
    model._fast = FastImagination(model, torch.float32)
    exact, engine = TorchBackend(model), make_backend_of(read_weights(SHIPPED))
    for ask in ("imagine", "imagine_members"):
        found = getattr(exact, ask)(engine.initial(), STATE, actions(3))
        wanted = getattr(exact, ask)(exact.initial(), STATE, actions(3))
        np.testing.assert_allclose(found.path, wanted.path, atol=1e-4)
    assert exact.perceive(engine.initial()) == pytest.approx(exact.perceive(exact.initial()))
