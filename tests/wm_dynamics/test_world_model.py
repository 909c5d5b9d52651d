"""Shapes, determinism and the fast imagination against the plain step-by-step one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from wm_dynamics.backend import TorchBackend
from wm_dynamics.bev import pack_bev, unpack_bev
from wm_dynamics.blind import FAR_M, BlindBackend
from wm_dynamics.config import SIZES
from wm_dynamics.ego import EgoNet, integrate
from wm_dynamics.heads import HEADS, LABELS, head_values
from wm_dynamics.imagine import FastImagination
from wm_dynamics.model import WorldModel
from wm_dynamics.rollout import LatentState
from wm_dynamics.rssm import drive_input
from wm_dynamics.weights import weights_of

CONFIG = SIZES["tiny"]


@pytest.fixture(scope="module")
def model() -> WorldModel:
    return WorldModel.untrained(CONFIG, seed=3)


def sight(batch: int, seed: int = 0) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(batch, 2, generator=generator).clamp(-1, 1),
        torch.randn(batch, 3, generator=generator) * 0.1,
        torch.randint(0, 64, (batch, 64, 64), generator=generator, dtype=torch.uint8),
        torch.randn(batch, 5, generator=generator) * 0.3,
        torch.randn(batch, 20, generator=generator),
    )


def test_bev_bits_survive_packing():
    masks = np.random.default_rng(0).integers(0, 2, (3, 6, 64, 64)).astype(np.uint8)
    packed = pack_bev(masks)
    assert packed.shape == (3, 64, 64) and packed.dtype == np.uint8
    np.testing.assert_array_equal(unpack_bev(torch.from_numpy(packed), 6).numpy(), masks)


def test_every_label_supervises_exactly_one_head():
    assert sorted(head.label for head in HEADS) == sorted(LABELS)
    assert {head.presence for head in HEADS} - {None} <= set(LABELS)


def test_head_values_are_in_units():
    values = head_values(torch.zeros(2, len(HEADS)))
    assert list(values) == [head.name for head in HEADS]
    # Zero output of a logit trained with weight w on positives means odds of 1 : w.
    assert values["collision"][0] == pytest.approx(0.2)
    raw = torch.full((1, len(HEADS)), 2.0)
    assert head_values(raw)["leader_gap"].item() == pytest.approx(30.0)


def test_observe_step_shapes_and_surprise(model):
    action, motion, bev, state, route = sight(4)
    latent, surprise = model.observe_step(model.initial(4), action, motion, bev, state, route)
    assert latent.deter.shape == (4, CONFIG.deter)
    assert latent.stoch.shape == (4, CONFIG.groups) and latent.stoch.dtype == torch.int64
    assert (surprise >= 0).all() and torch.isfinite(surprise).all()
    unpacked = unpack_bev(bev, 6)
    again, _ = model.observe_step(model.initial(4), action, motion, unpacked, state, route)
    torch.testing.assert_close(again.deter, latent.deter)


def test_latent_survives_a_message(model):
    action, motion, bev, state, route = sight(1)
    latent, _ = model.observe_step(model.initial(), action, motion, bev, state, route)
    deter, onehot = latent.to_arrays(CONFIG.classes)
    assert onehot.shape == (CONFIG.stoch,) and onehot.sum() == CONFIG.groups
    back = LatentState.from_arrays(deter, onehot, CONFIG.classes)
    torch.testing.assert_close(back.deter, latent.deter)
    torch.testing.assert_close(back.stoch, latent.stoch)


def test_rollout_shapes_ranges_and_determinism(model):
    latent, _ = model.observe_step(model.initial(), *sight(1))
    actions = torch.rand(7, 15, 2) * 2 - 1
    state = torch.tensor([0.5, 0.0, 0.0, 0.0, 0.0])
    rollout = model.imagine(latent, state, actions)
    assert rollout.path.shape == (7, 15, 3) and rollout.speed.shape == (7, 15)
    assert rollout.disagreement.shape == (7,) and (rollout.disagreement >= 0).all()
    assert set(rollout.heads) == {head.name for head in HEADS}
    for head in HEADS:
        value = rollout.heads[head.name]
        assert value.shape == (7, 15) and torch.isfinite(value).all()
        assert head.kind == "regression" or ((value >= 0) & (value <= 1)).all()
    torch.testing.assert_close(model.imagine(latent, state, actions).path, rollout.path)


def test_a_candidate_does_not_depend_on_its_neighbours(model):
    latent, _ = model.observe_step(model.initial(), *sight(1))
    actions = torch.rand(6, 15, 2) * 2 - 1
    imagine = FastImagination(model, torch.float32)
    together = imagine(latent, torch.zeros(5), actions)
    alone = imagine(latent, torch.zeros(5), actions[4:5])
    torch.testing.assert_close(together.heads["leader_gap"][4:5], alone.heads["leader_gap"])
    torch.testing.assert_close(together.path[4:5], alone.path)


def test_imagination_equals_the_step_by_step_loop(model):
    latent, _ = model.observe_step(model.initial(3), *sight(3))
    ego_state = sight(3, seed=1)[3]
    actions = torch.rand(3, 15, 2) * 2 - 1
    rollout = FastImagination(model, torch.float32)(latent, ego_state, actions)
    rssm, state = model.rssm, ego_state
    deter = latent.deter
    stoch = torch.nn.functional.one_hot(latent.stoch, CONFIG.classes).float().flatten(-2)
    with torch.no_grad():
        for t in range(15):
            state, motion = model.ego(state, actions[:, t])
            drive = drive_input(actions[:, t], motion, state[:, :1])
            deter, _ = rssm.transition(deter, stoch, drive)
            best = rssm.dist(rssm.priors[t % CONFIG.ensemble](deter)).argmax(-1)
            stoch = torch.nn.functional.one_hot(best, CONFIG.classes).float().flatten(-2)
            expected = head_values(model.head(torch.cat([deter, stoch], -1)))
            for name, value in expected.items():
                torch.testing.assert_close(
                    rollout.heads[name][:, t], value, rtol=1e-3, atol=1e-4, msg=f"{name} {t}"
                )


def test_bfloat16_imagination_stays_close(model):
    latent, _ = model.observe_step(model.initial(16), *sight(16))
    actions = torch.rand(16, 15, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    ego_state = sight(16, seed=1)[3]
    exact = FastImagination(model, torch.float32)(latent, ego_state, actions)
    quick = FastImagination(model, torch.bfloat16)(latent, ego_state, actions)
    torch.testing.assert_close(quick.path, exact.path)
    for head in HEADS:
        error = (quick.heads[head.name] - exact.heads[head.name]).abs().mean()
        assert error < 0.05 * head.scale, head.name


def test_initial_weights_depend_on_the_seed_only():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = WorldModel.untrained(CONFIG, seed=5)
    torch.testing.assert_close(torch.get_rng_state(), before)
    assert WorldModel.untrained(CONFIG, seed=5).hash == first.hash
    assert WorldModel.untrained(CONFIG, seed=6).hash != first.hash


def test_changed_weights_change_hash_and_rollouts():
    model = WorldModel.untrained(CONFIG)
    args = (model.initial(), torch.zeros(5), torch.zeros(1, 5, 2))
    old_hash, old = model.hash, model.imagine(*args).heads["leader_gap"]
    with torch.no_grad():
        model.head[-1].bias += 1.0
    model.eval()
    assert model.hash != old_hash
    assert not torch.allclose(model.imagine(*args).heads["leader_gap"], old)


def test_ego_net_starts_near_constant_motion_and_integrates():
    net = EgoNet(8, 0.2).requires_grad_(False)
    for parameter in net.parameters():
        torch.nn.init.zeros_(parameter)
    state = torch.tensor([[1.0, 0.5, 0.0, 0.0, 0.0]])  # 10 m/s, 0.5 rad/s
    actions = torch.full((1, 15, 2), 0.25)
    states, motions = net.roll(state, actions)
    torch.testing.assert_close(states[..., 2:4], actions)
    path = integrate(motions)[0]
    radius = 10.0 / 0.5
    expected = [radius * np.sin(1.5), radius * (1 - np.cos(1.5)), 1.5]
    np.testing.assert_allclose(path[-1].numpy(), expected, atol=0.1)


def test_the_blind_imaginer_sees_an_empty_world(model):
    blind = BlindBackend(weights_of(model))
    looked = SimpleNamespace(bev=None, state=np.zeros(5), route=np.zeros(20))
    latent, surprise = blind.observe(blind.initial(), np.zeros(2), np.zeros(3), looked)
    assert surprise == 0.0 and not latent.deter.any()
    state, actions = torch.zeros(5), torch.rand(4, 15, 2) * 2 - 1
    rollout = blind.imagine(latent, state.numpy(), actions.numpy())
    seeing = model.imagine(model.initial(), state, actions)
    np.testing.assert_allclose(rollout.path, seeing.path, atol=1e-5)
    np.testing.assert_allclose(rollout.speed, seeing.speed, atol=1e-5)
    assert set(rollout.heads) == set(seeing.heads)
    assert rollout.heads["leader_presence"].max() == 0.0
    assert rollout.heads["stop_distance"].min() == FAR_M
    assert (rollout.heads["continue"] == 1.0).all()


def test_a_prediction_is_the_prior_of_what_an_observation_would_have_followed():
    model = WorldModel.untrained(SIZES["tiny"])
    engine = TorchBackend(model)
    action, motion = np.array([0.1, 0.5]), np.array([1.0, 0.0, 0.02])
    sight = SimpleNamespace(
        bev=np.full((64, 64), 3, np.uint8),
        state=np.array([0.5, 0.1, 0.1, 0.5, 0.0], np.float32),
        route=np.zeros(20, np.float32),
    )
    latent, _ = engine.observe(engine.initial(), action, motion, sight)
    predicted = engine.predict(latent, action, motion, sight.state)
    seen, _ = engine.observe(latent, action, motion, sight)
    assert torch.equal(predicted.deter, seen.deter), "what moves the state is the same"
    with torch.inference_mode():
        prior = model.rssm.latent.compact(model.rssm.prior_mean(seen.deter))
    assert torch.equal(predicted.stoch, prior)
