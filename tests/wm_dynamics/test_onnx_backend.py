"""An exported model under onnxruntime computes what the training code's own modules do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from wm_dynamics import reference
from wm_dynamics.array_latent import ArrayLatent
from wm_dynamics.backend import TorchBackend
from wm_dynamics.backend_onnx import OnnxBackend
from wm_dynamics.checkpoint import load_checkpoint, save_checkpoint
from wm_dynamics.config import ModelConfig
from wm_dynamics.errors import UserError
from wm_dynamics.export.folder import open_export
from wm_dynamics.export.write import write_export
from wm_dynamics.heads import HEADS
from wm_dynamics.imagine import FastImagination
from wm_dynamics.model import WorldModel
from wm_dynamics.rollout import LatentState
from wm_dynamics.synthetic import synthetic_window
from wm_dynamics.variants import variant
from wm_dynamics.weights import weights_of
from wm_perception.filter import LatentFilter
from wm_perception.frame import Command
from wm_perception.observation import Observation
from wm_perception.route import RoutePose

SHIPPED = Path(__file__).parents[2] / "models" / "driving-bev"
CLOSE = 1e-4
HORIZON = 15
VARIANTS = {
    "gru": variant("tiny", ensemble=3),
    "one-member": variant("tiny", ensemble=1, state=False),
    "block-gru": variant("tiny", "block_gru", "gaussian", "all"),
    "gaussian-lidar": variant("tiny", "gru", "gaussian", "lidar", ensemble=2),
    "transformer": variant("tiny", "transformer", "discrete", "camera-resnet", ensemble=2),
    "vit": variant("tiny", "block_gru", "discrete", "camera-vit", core_blocks=4, ensemble=2),
}


class Pair:
    """A model behind torch in float32, and its export behind onnxruntime."""

    def __init__(self, model: WorldModel, folder: Path):
        model._fast = FastImagination(model, torch.float32)
        self.model, self.config = model, model.config
        self.torch, self.onnx = TorchBackend(model), OnnxBackend(open_export(folder))

    def beliefs(self, steps: int = 3) -> tuple[LatentState, ArrayLatent]:
        """Both, after the same made-up observations."""
        batch = synthetic_window(self.config, 1, steps, seed=1)
        theirs, ours = self.torch.initial(), self.onnx.initial()
        for t in range(steps):
            action, motion, seen = moment(batch, t)
            theirs, _ = self.torch.observe(theirs, action, motion, seen)
            ours, _ = self.onnx.observe(ours, action, motion, seen)
        return theirs, ours


def moment(batch: dict[str, torch.Tensor], t: int, hide: tuple[str, ...] = ()):
    """Action, motion and sight at a step of a window."""
    now = {name: value[0, t].numpy() for name, value in batch.items()}
    sensors = {
        name: now[name] for name in now if name.startswith(("camera", "lidar")) and name not in hide
    }
    state, route = (now.get(n, np.zeros(w, np.float32)) for n, w in (("state", 5), ("route", 20)))
    seen = SimpleNamespace(bev=now["bev"], state=0.3 * state, route=route, sensors=sensors)
    return now["action"], now["motion"], seen


@pytest.fixture(scope="module", params=[*VARIANTS, "shipped"])
def pair(request, tmp_path_factory) -> Pair:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "shipped":
        source = SHIPPED
    else:
        source = folder / "model"
        save_checkpoint(WorldModel.untrained(VARIANTS[request.param], seed=3), source)
    write_export(source, folder / "export")
    return Pair(load_checkpoint(source), folder / "export")


def close(ours, theirs, name: str = "") -> None:
    np.testing.assert_allclose(ours, theirs, atol=CLOSE, rtol=CLOSE, err_msg=name)


def same_belief(ours: ArrayLatent, theirs: LatentState) -> None:
    close(ours.deter, theirs.deter, "deter")
    close(ours.stoch, theirs.stoch, "stoch")
    assert (ours.memory is None) == (theirs.memory is None)
    if theirs.memory is not None:
        close(ours.memory, theirs.memory, "memory")


def same_futures(ours, theirs) -> None:
    close(ours.path, theirs.path, "path")
    close(ours.speed, theirs.speed, "speed")
    for head in HEADS:
        close(ours.heads[head.name] / head.scale, theirs.heads[head.name] / head.scale, head.name)
    close(ours.spreads, theirs.spreads, "spreads")
    close(ours.disagreement, theirs.disagreement, "disagreement")
    close(ours.end.latent.deter, theirs.end.latent.deter, "last deter")
    close(ours.end.latent.stoch, theirs.end.latent.stoch, "last stoch")
    close(ours.end.ego_state, theirs.end.ego_state, "last ego state")


def actions(n: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (n, HORIZON, 2)).astype(np.float32)


STATE = np.array([0.5, 0.02, 0.0, 0.1, 0.0], np.float32)


def test_the_filter(pair: Pair):
    batch = synthetic_window(pair.config, 1, 5, seed=2)
    theirs, ours = pair.torch.initial(), pair.onnx.initial()
    same_belief(ours, theirs)
    for t in range(4):
        action, motion, seen = moment(batch, t)
        theirs, surprise = pair.torch.observe(theirs, action, motion, seen)
        ours, found = pair.onnx.observe(ours, action, motion, seen)
        same_belief(ours, theirs)
        assert found == pytest.approx(surprise, rel=1e-3, abs=CLOSE)
    action, motion, seen = moment(batch, 4)
    theirs = pair.torch.predict(theirs, action, motion, seen.state)
    ours = pair.onnx.predict(ours, action, motion, seen.state)
    same_belief(ours, theirs)
    heads = pair.torch.perceive(theirs)
    assert pair.onnx.perceive(ours) == pytest.approx(heads, rel=CLOSE, abs=CLOSE)


def test_imagined_futures(pair: Pair):
    theirs, ours = pair.beliefs()
    wanted = actions(9)
    same_futures(pair.onnx.imagine(ours, STATE, wanted), pair.torch.imagine(theirs, STATE, wanted))
    alone = actions(1)
    same_futures(pair.onnx.imagine(ours, STATE, alone), pair.torch.imagine(theirs, STATE, alone))
    assert pair.onnx.members == pair.torch.members
    same_futures(
        pair.onnx.imagine_members(ours, STATE, wanted),
        pair.torch.imagine_members(theirs, STATE, wanted),
    )


def test_drawn_futures_are_those_of_the_specification(pair: Pair):
    _, latent = pair.beliefs()
    wanted, config = actions(9), pair.config
    shape = (9, HORIZON, latent.stoch.shape[1])
    uniforms = np.random.default_rng(7).random(shape, np.float32)
    ours = pair.onnx.imagine_sampled(latent, STATE, wanted, uniforms)
    assert ours.spreads.shape == (9, HORIZON)
    if config.core == "transformer":
        pytest.skip("the specification has no transformer core")
    theirs = reference.imagine(
        weights_of(pair.model), latent.deter, latent.stoch, STATE, wanted, uniforms=uniforms
    )
    close(ours.path, theirs.path, "path")
    scale = np.array([head.scale for head in HEADS])
    found = np.stack([ours.heads[head.name] for head in HEADS], -1)
    close(found / scale, theirs.heads / scale, "heads")
    close(ours.spreads, theirs.spreads, "spreads")
    close(ours.end.latent.deter, theirs.deter, "deter")
    close(ours.end.latent.stoch, theirs.stoch, "stoch")


def test_streams_that_are_missing(pair: Pair):
    action, motion, seen = moment(synthetic_window(pair.config, 1, 1, seed=2), 0)
    if not seen.sensors:
        pytest.skip("a model whose streams are always there")
    name = next(iter(seen.sensors))
    seen.sensors = {n: value for n, value in seen.sensors.items() if n != name}
    args = (action, motion, seen)
    if not pair.config.modality_dropout:
        with pytest.raises(UserError, match=f"needs {name}"):
            pair.onnx.observe(pair.onnx.initial(), *args)
        return
    ours, found = pair.onnx.observe(pair.onnx.initial(), *args)
    theirs, surprise = pair.torch.observe(pair.torch.initial(), *args)
    same_belief(ours, theirs)
    assert found == pytest.approx(surprise, rel=1e-3)


def test_novelty_is_judged_the_same(tmp_path):
    write_export(SHIPPED, tmp_path / "export")
    pair = Pair(load_checkpoint(SHIPPED), tmp_path / "export")
    assert pair.onnx.novelty.threshold == pair.torch.novelty.threshold
    batch = synthetic_window(pair.config, 1, 8, seed=5)
    theirs, ours, before, trace = pair.torch.initial(), pair.onnx.initial(), None, None
    for t in range(8):
        args = moment(batch, t)
        theirs, _, before, wanted = pair.torch.observe_judged(theirs, before, *args)
        ours, _, trace, found = pair.onnx.observe_judged(ours, trace, *args)
        assert found == pytest.approx(wanted, rel=1e-3, abs=1e-3)
    assert found > 0.0


def test_the_filter_of_perception_runs_on_it(tmp_path):
    write_export(SHIPPED, tmp_path / "export")
    pair = Pair(load_checkpoint(SHIPPED), tmp_path / "export")
    batch = synthetic_window(pair.config, 1, 8, seed=6)
    filters = [LatentFilter(backend) for backend in (pair.torch, pair.onnx)]
    for t in [0, 1, 2, 3, 6, 7]:  # two frames never come: they are imagined
        _, _, seen = moment(batch, t)
        observation = Observation(
            stamp_ns=t * 100_000_000,
            bev=seen.bev,
            state=seen.state,
            route=seen.route,
            reference=np.zeros((51, 2), np.float32),
            pose=np.array([0.5 * t, 0.0, 0.01 * t]),
            command=Command(0.1, 0.2),
            on_route=RoutePose(0.0, 0.0, 0.0),
            arrived=False,
            reset=t == 0,
        )
        wanted, found = (one.update(observation) for one in filters)
        same_belief(found.latent, wanted.latent)
        assert found.novelty == pytest.approx(wanted.novelty, rel=1e-3, abs=1e-3)
        assert (found.imagined, found.failure) == (wanted.imagined, wanted.failure) == (False, "")


def test_a_belief_goes_through_a_message(pair: Pair):
    theirs, ours = pair.beliefs(1)
    arrays = ours.to_arrays(pair.onnx.classes)
    for mine, other in zip(arrays, theirs.to_arrays(pair.torch.classes), strict=True):
        close(mine, other)
    again = ArrayLatent.from_arrays(*arrays, pair.onnx.classes, pair.config.memory_shape)
    for name in ("deter", "stoch", "memory"):
        mine, other = getattr(ours, name), getattr(again, name)
        assert (mine is None) == (other is None)
        if mine is not None:
            np.testing.assert_array_equal(mine, other)
            assert mine.dtype == other.dtype


def test_what_does_not_fit_is_refused(tmp_path):
    write_export(SHIPPED, tmp_path / "export", ("fp32", "bf16"))
    export = open_export(tmp_path / "export")
    with pytest.raises(UserError, match=r"not int8; .*--precision int8"):
        OnnxBackend(export, "int8")
    backend = OnnxBackend(export, "bf16", threads=2)
    with pytest.raises(UserError, match=r"cannot run step\.bf16\.onnx .*fp32 runs everywhere"):
        backend.imagine(backend.initial(), STATE, actions(2))
    sight = SimpleNamespace(bev=np.zeros((8, 8), np.uint8), state=STATE, route=np.zeros(20))
    with pytest.raises(UserError, match="'bev' arrives as"):
        backend.observe(backend.initial(), np.zeros(2), np.zeros(3), sight)


def test_it_runs_without_torch(tmp_path):
    write_export(SHIPPED, tmp_path / "export")
    script = f"""
import sys
import numpy as np
from types import SimpleNamespace
from wm_dynamics.backend_onnx import OnnxBackend
from wm_dynamics.export.folder import open_export
backend = OnnxBackend(open_export({str(tmp_path / "export")!r}))
still, latent = (np.zeros(2), np.zeros(3)), backend.initial()
sight = SimpleNamespace(
    bev=np.zeros((64, 64), np.uint8), state=np.zeros(5), route=np.zeros(20), sensors={{}}
)
latent, surprise, trace, score = backend.observe_judged(latent, None, *still, sight)
latent = backend.predict(latent, *still, sight.state)
futures = backend.imagine(latent, sight.state, np.zeros((4, 15, 2)))
assert np.isfinite(futures.path).all() and backend.perceive(latent)
assert "torch" not in sys.modules and "onnx" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_step_of_the_config_is_the_backends(pair: Pair):
    config: ModelConfig = pair.onnx.config
    assert (pair.onnx.dt, pair.onnx.classes) == (config.dt, config.stoch_classes)
    assert pair.onnx.hash == pair.torch.hash
