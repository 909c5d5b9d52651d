"""The numpy specification computes what the training code's own rollouts do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from wm_dynamics import ranks
from wm_dynamics.checkpoint import load_checkpoint, save_checkpoint
from wm_dynamics.config import SIZES, ModelConfig
from wm_dynamics.ego import SPEED_SCALE
from wm_dynamics.errors import UserError
from wm_dynamics.heads import HEADS, head_values
from wm_dynamics.imagine import FastImagination
from wm_dynamics.model import WorldModel
from wm_dynamics.reference import Futures, imagine
from wm_dynamics.reference_layers import ndtri
from wm_dynamics.rollout import LatentState, Rollout
from wm_dynamics.rssm import drive_input
from wm_dynamics.weights import read_weights, weights_of

SHIPPED = Path(__file__).parents[2] / "models" / "driving-bev"
CLOSE = 1e-4
VARIANTS = [
    {"core": core, "latent": latent, "ensemble": ensemble}
    for core in ("gru", "block_gru")
    for latent in ("discrete", "gaussian")
    for ensemble in (1, 3)
]


def variant(changes: dict) -> ModelConfig:
    return SIZES["tiny"].model_copy(update=changes)


def actions(n: int, horizon: int = 15) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (n, horizon, 2)).astype(np.float32)


STATE = np.array([0.5, 0.02, 0.0, 0.1, 0.0], np.float32)


def assert_same(found: Futures, wanted: Rollout) -> None:
    assert wanted.end is not None
    heads = np.stack([wanted.heads[head.name].numpy() for head in HEADS], -1)
    end = wanted.end.latent
    for name, ours, theirs in (
        ("path", found.path, wanted.path.numpy()),
        ("speed", found.speed, wanted.speed.numpy()),
        ("heads", found.heads, heads),
        ("spreads", found.spreads, wanted.spreads.numpy()),
        ("disagreement", found.disagreement, wanted.disagreement.numpy()),
        ("deter", found.deter, end.deter.numpy()),
        ("stoch", found.stoch, end.stoch.numpy()),
        ("ego_state", found.ego_state, wanted.end.ego_state.numpy()),
    ):
        np.testing.assert_allclose(ours, theirs, atol=CLOSE, rtol=CLOSE, err_msg=name)


def check(model: WorldModel, n: int, every_member: bool) -> None:
    latent = model.initial()
    wanted = actions(n)
    repeats = model.members if every_member else 1
    theirs = FastImagination(model, torch.float32)(
        latent,
        torch.from_numpy(STATE),
        torch.from_numpy(wanted).repeat(repeats, 1, 1),
        every_member=every_member,
    )
    start = (latent.deter[0].numpy(), latent.stoch[0].numpy())
    assert_same(imagine(weights_of(model), *start, STATE, wanted, every_member), theirs)


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
@pytest.mark.parametrize("every_member", [False, True])
def test_every_variant_is_what_torch_computes(changes, every_member):
    check(WorldModel.untrained(variant(changes), seed=3), 7, every_member)


@pytest.mark.parametrize("every_member", [False, True])
def test_the_shipped_model_is_what_torch_computes(every_member):
    check(load_checkpoint(SHIPPED), 24, every_member)


@torch.inference_mode()
def torch_sampled(
    model: WorldModel, latent: LatentState, wanted: np.ndarray, uniforms: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Heads (N, H, L) and the last deter and flat stoch, from the training code's own parts."""
    rssm, n = model.rssm, len(wanted)
    given = torch.from_numpy(wanted)
    states, motions = model.ego.roll(torch.from_numpy(STATE).expand(n, -1), given)
    drive = drive_input(given, motions, states[..., :1])
    deter, stoch = latent.expand(n).deter, rssm.latent.flat(latent.expand(n).stoch)
    heads = []
    for t in range(given.shape[1]):
        deter, _ = rssm.transition(deter, stoch, drive[:, t])
        mixture = rssm.latent.average(torch.stack([rssm.dist(p(deter)) for p in rssm.priors]))
        draw = torch.from_numpy(uniforms[:, t])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ranks, "uniform", lambda shape, _, draw=draw: draw.reshape(shape))
            stoch = rssm.latent.take(mixture)
        values = head_values(model.head(torch.cat([deter, stoch], -1)))
        heads.append(torch.stack([values[head.name] for head in HEADS], -1))
    return torch.stack(heads, 1), deter, stoch


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_sampling_by_given_uniforms_is_what_torch_draws(changes):
    model = WorldModel.untrained(variant(changes), seed=5)
    latent, wanted = model.initial(), actions(5)
    width = latent.stoch.shape[1]
    uniforms = np.random.default_rng(1).random((5, 15, width), np.float32)
    heads, deter, stoch = torch_sampled(model, latent, wanted, uniforms)
    start = (latent.deter[0].numpy(), latent.stoch[0].numpy())
    found = imagine(weights_of(model), *start, STATE, wanted, uniforms=uniforms)
    np.testing.assert_allclose(found.heads, heads.numpy(), atol=CLOSE, rtol=CLOSE)
    np.testing.assert_allclose(found.deter, deter.numpy(), atol=CLOSE)
    flat = model.rssm.latent.flat(torch.from_numpy(found.stoch))
    np.testing.assert_allclose(flat.numpy(), stoch.numpy(), atol=CLOSE, rtol=CLOSE)
    assert found.spreads.shape == (5, 15)


def test_quantiles_of_the_normal():
    p = np.concatenate([np.geomspace(1e-12, 0.5, 50), 1.0 - np.geomspace(1e-12, 0.5, 50)])
    wanted = torch.special.ndtri(torch.from_numpy(p)).numpy()
    np.testing.assert_allclose(ndtri(p), wanted, rtol=1e-9, atol=1e-12)


def test_a_core_without_specification_is_refused():
    model = WorldModel.untrained(variant({"core": "transformer"}))
    with pytest.raises(UserError, match="transformer"):
        imagine(weights_of(model), np.zeros(32), np.zeros(4, int), STATE, actions(1))


def test_weights_that_are_not_finite_are_refused(tmp_path):
    model = WorldModel.untrained(SIZES["tiny"])
    with torch.no_grad():
        model.rssm.inp.bias[0] = float("nan")
    save_checkpoint(model, tmp_path)
    with pytest.raises(UserError, match=r"rssm.inp.bias is not finite"):
        read_weights(tmp_path)


def test_it_needs_no_torch():
    code = (
        "import sys; from wm_dynamics.reference import imagine; "
        "from wm_dynamics.weights import read_weights; "
        f"read_weights({str(SHIPPED)!r}); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_speed_is_scaled_back():
    weights = read_weights(SHIPPED)
    config = weights.config
    belief = (np.zeros(config.deter, np.float32), np.zeros(config.groups, np.int64))
    found = imagine(weights, *belief, STATE, np.zeros((1, 1, 2), np.float32))
    assert found.speed[0, 0] == pytest.approx(STATE[0] * SPEED_SCALE, abs=0.3)
