"""The filter of numpy against the training code's, and what a process that filters imports."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from wm_dynamics.array_latent import ArrayLatent
from wm_dynamics.backend import TorchBackend
from wm_dynamics.backend_cpp import CppBackend
from wm_dynamics.checkpoint import load_checkpoint
from wm_dynamics.engine import instruction_sets
from wm_dynamics.errors import UserError
from wm_dynamics.export.write import write_export
from wm_dynamics.model import WorldModel
from wm_dynamics.reference_filter import Filter
from wm_dynamics.runtime_names import EXPORT_FOLDER
from wm_dynamics.synthetic import synthetic_window
from wm_dynamics.variants import CORES, LATENTS, variant
from wm_dynamics.weights import Weights, read_weights, weights_of

MODELS = Path(__file__).parents[2] / "models"
SHIPPED = ("driving-bev", "driving-camera")
STEPS = 12
needs_engine = pytest.mark.skipif(not instruction_sets(), reason="built without a compiler")


def window(model: WorldModel) -> list[tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]]:
    """Action (1, 2), motion (1, 3) and streams (1, ...) of some steps; every step looks new."""
    made = [synthetic_window(model.config, 1, 1, seed) for seed in range(STEPS)]
    return [
        (
            step["action"][:, 0].numpy(),
            step["motion"][:, 0].numpy(),
            {name: step[name][:, 0].numpy() for name in (*model.config.streams, "state", "bev")
             if name in step},
        )
        for step in made
    ]  # fmt: skip


def assert_same(model: WorldModel, hidden: tuple[str, ...] = ()) -> None:
    """Both filters, each from its own belief, along a window; ``hidden`` streams are missing."""
    ours, theirs = Filter(weights_of(model)), model
    belief, latent = ours.initial(), theirs.initial()
    np.testing.assert_allclose(belief.deter, latent.deter.numpy(), atol=1e-6)
    np.testing.assert_allclose(belief.stoch, latent.stoch.numpy(), atol=1e-5)
    for action, motion, seen in window(model):
        streams = {name: values for name, values in seen.items() if name not in hidden}
        moved, done = torch.from_numpy(action), torch.from_numpy(motion)
        tensors = {name: torch.from_numpy(values) for name, values in streams.items()}
        state = streams.get("state")
        foreseen = ours.predict(belief, action, motion, state)
        wanted = theirs.predict_step(latent, moved, done, tensors.get("state"))
        np.testing.assert_allclose(foreseen.deter, wanted.deter.numpy(), atol=1e-4)
        np.testing.assert_allclose(foreseen.stoch, wanted.stoch.numpy(), atol=1e-4)
        found = ours.observe(belief, action, motion, streams)
        due = theirs.observe_closely(latent, moved, done, tensors)
        belief, latent = found.latent, due.latent
        np.testing.assert_allclose(belief.deter, latent.deter.numpy(), atol=1e-4)
        np.testing.assert_allclose(belief.stoch, latent.stoch.numpy(), atol=1e-4)
        for name in ("surprise", "disagreement", "embedding"):
            np.testing.assert_allclose(
                getattr(found, name), getattr(due, name).numpy(), atol=1e-4, rtol=1e-4, err_msg=name
            )


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_believes_what_it_does_in_torch(name):
    assert_same(load_checkpoint(MODELS / name))


@pytest.mark.parametrize("latent", LATENTS)
@pytest.mark.parametrize("core", [core for core in CORES if core != "transformer"])
@pytest.mark.parametrize("inputs", ["bev", "camera", "camera-resnet", "cameras-3", "lidar"])
def test_every_kind_of_model_believes_what_it_does_in_torch(inputs, core, latent):
    model = WorldModel.untrained(variant("tiny", inputs=inputs, core=core, latent=latent), seed=3)
    assert_same(model)


@pytest.mark.parametrize(
    "hidden", [(), ("bev",), ("state",), ("camera_left", "lidar_bev"), ("route", "camera_front")]
)
def test_streams_may_be_missing_where_the_model_learned_it(hidden):
    assert_same(WorldModel.untrained(variant("tiny", inputs="all"), seed=4), hidden)


def test_a_stream_that_is_missing_or_misshapen_is_named():
    model = WorldModel.untrained(variant("tiny", inputs="camera"))
    ours = Filter(weights_of(model))
    action, motion, seen = window(model)[0]
    without = {name: values for name, values in seen.items() if name != "camera_front"}
    with pytest.raises(UserError, match="needs camera_front, which is missing"):
        ours.observe(ours.initial(), action, motion, without)
    small = {**seen, "camera_front": seen["camera_front"][:, ::2]}
    with pytest.raises(UserError, match=r"'camera_front' arrives as \(40, 144, 3\)"):
        ours.observe(ours.initial(), action, motion, small)


@pytest.mark.parametrize("change", [{"core": "transformer"}, {"inputs": "camera-vit"}])
def test_what_only_torch_can_filter_is_refused(change):
    model = WorldModel.untrained(variant("tiny", **change))
    with pytest.raises(UserError, match="use the torch backend"):
        Filter(weights_of(model))


@needs_engine
@pytest.mark.parametrize("name", SHIPPED)
def test_novelty_is_that_of_torch(name):
    model = load_checkpoint(MODELS / name)
    ours, theirs = CppBackend(read_weights(MODELS / name)), TorchBackend(model)
    belief, latent, trace, other = ours.initial(), theirs.initial(), None, None
    for action, motion, seen in window(model):
        sight = SimpleNamespace(
            **{key: seen[key][0] for key in ("bev", "state", "route")},
            sensors={key: seen[key][0] for key in model.config.cameras},
        )
        belief, surprise, trace, score = ours.observe_judged(
            belief, trace, action[0], motion[0], sight
        )
        latent, due_surprise, other, due = theirs.observe_judged(
            latent, other, action[0], motion[0], sight
        )
        assert surprise == pytest.approx(due_surprise, abs=1e-3)
        assert score == pytest.approx(due, abs=1e-3)
    assert score > 0.0, "random blocks are unusual, or nothing was compared"
    assert ours.perceive(belief) == pytest.approx(theirs.perceive(latent), abs=1e-3)


@needs_engine
def test_a_belief_survives_a_message():
    backend = CppBackend(read_weights(MODELS / "driving-bev"))
    first = backend.initial()
    again = backend.belief(*first.to_arrays(backend.classes))
    assert isinstance(again, ArrayLatent)
    np.testing.assert_array_equal(again.deter, first.deter)
    np.testing.assert_array_equal(again.stoch, first.stoch)


def test_the_hash_of_weights_is_the_models():
    model = WorldModel.untrained(variant("tiny", inputs="camera"), seed=5)
    weights = weights_of(model)
    assert weights.hash == model.hash
    changed = {**weights.tensors, "ego.scale": weights.tensors["ego.scale"] + 1}
    assert replace(weights, tensors=changed).hash != model.hash
    assert isinstance(weights, Weights)


@needs_engine
@pytest.mark.parametrize("runtime", ["cpp", "onnxruntime"])
def test_who_filters_and_imagines_with_a_shipped_model_imports_no_torch(tmp_path, runtime):
    for name in SHIPPED:
        shutil.copytree(MODELS / name, tmp_path / name)
        if runtime == "onnxruntime":
            write_export(tmp_path / name, tmp_path / name / EXPORT_FOLDER)
    program = f"""
import sys
sys.modules["torch"] = None  # an import raises
from pathlib import Path
import numpy as np
import wm_perception.perception_node, wm_planner.planner_node, wm_planner.gate_node
from wm_dynamics.backends import make_backend_of
from wm_dynamics.weights import read_weights
from wm_perception.camera_stream import camera_stream
from wm_perception.perceiver import Perceiver
for folder in (Path("{tmp_path}") / name for name in {SHIPPED!r}):
    backend = make_backend_of(read_weights(folder), "{runtime}", folder=folder)
    assert not backend.notice and backend.name.startswith("{runtime}"), backend.notice
    Perceiver(backend, 0.1, camera_stream(backend.config))  # filters what it warms up with
    backend.imagine(backend.initial(), np.zeros(5, np.float32), np.zeros((4, 15, 2), np.float32))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
