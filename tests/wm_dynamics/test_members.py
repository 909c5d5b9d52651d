"""What each member of the ensemble alone imagines, and where imagined futures end."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from wm_dynamics.backend import TorchBackend
from wm_dynamics.blind import BlindBackend
from wm_dynamics.config import SIZES
from wm_dynamics.imagine import FastImagination
from wm_dynamics.model import WorldModel
from wm_dynamics.scales import checked_steps
from wm_dynamics.weights import weights_of

CONFIG = SIZES["tiny"].model_copy(update={"ensemble": 3})
STATE = torch.tensor([0.5, 0.0, 0.0, 0.1, 0.0])


@pytest.fixture(scope="module")
def model() -> WorldModel:
    return WorldModel.untrained(CONFIG, seed=4)


@pytest.fixture(scope="module")
def actions() -> torch.Tensor:
    return torch.rand(5, 15, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_each_member_imagines_as_a_model_that_has_no_other(model, actions):
    fast = FastImagination(model, torch.float32)
    together = fast(model.initial(), STATE, actions.repeat(3, 1, 1), every_member=True)
    assert together.disagreement.abs().max() == 0.0 and together.spreads.shape == (15, 0)
    gaps = together.heads["leader_gap"].unflatten(0, (3, 5))
    for k in range(3):
        alone = copy.deepcopy(model)
        alone.rssm.priors = torch.nn.ModuleList([model.rssm.priors[k]])
        alone.eval()
        rollout = FastImagination(alone, torch.float32)(model.initial(), STATE, actions)
        torch.testing.assert_close(gaps[k], rollout.heads["leader_gap"])
        torch.testing.assert_close(together.path[5 * k : 5 * k + 5], rollout.path)
    assert not torch.allclose(gaps[0], gaps[1])


def test_disagreement_is_the_mean_over_the_checked_steps(model, actions):
    assert checked_steps(15) == [4, 9, 14] and checked_steps(2) == [0, 1]
    rollout = model.imagine(model.initial(), STATE, actions)
    assert rollout.spreads.shape == (5, 3) and (rollout.spreads > 0.0).all()
    torch.testing.assert_close(rollout.disagreement, rollout.spreads.mean(1))


def test_the_end_is_the_state_after_the_last_step(model, actions):
    fast = FastImagination(model, torch.float32)
    whole = fast(model.initial(), STATE, actions).end
    assert whole.latent.deter.shape == (5, CONFIG.deter)
    states, _ = model.ego.roll(STATE.expand(5, -1), actions)
    torch.testing.assert_close(whole.ego_state, states[:, -1])
    # Three steps, a multiple of the members, and the rest from where they end.
    first = fast(model.initial(), STATE, actions[:, :3]).end
    rest = fast(first.latent, first.ego_state, actions[:, 3:]).end
    torch.testing.assert_close(rest.latent.deter, whole.latent.deter)


def test_the_backend_gives_arrays(model, actions):
    backend = TorchBackend(model)
    ego, wanted = STATE.numpy(), actions.numpy()
    assert backend.members == 3
    members = backend.imagine_members(backend.initial(), ego, wanted)
    assert members.path.shape == (15, 15, 3) and isinstance(members.heads["near"], np.ndarray)
    now = backend.perceive(backend.initial())
    assert set(now) == set(members.heads) and all(isinstance(v, float) for v in now.values())
    blind = BlindBackend(weights_of(model))
    assert blind.members == 1 and blind.perceive(blind.initial())["collision"] == 0.0
    assert blind.imagine(blind.initial(), ego, wanted).spreads.shape == (5, 0)
