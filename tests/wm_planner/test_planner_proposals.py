"""The learned behaviour as an adviser of the planner, and drives with a real world model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wm_dynamics.backend import TorchBackend
from wm_dynamics.behavior import Behavior, BehaviorConfig
from wm_dynamics.behavior_checkpoint import FOLDER, save_behavior
from wm_dynamics.checkpoint import save_checkpoint
from wm_dynamics.config import SIZES
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_planner.actor import Actor, observed_route
from wm_planner.driver import make_planner
from wm_planner.planner import Planner
from wm_planner.planner_config import CostWeights, PlannerConfig

REFERENCE = np.stack([np.arange(51.0) - 5.0, np.zeros(51)], -1)
STATE = np.array([0.6, 0.0, 0.0, 0.0, 0.0], np.float32)
SMALL = {"candidates": 16, "elites": 4}


@pytest.fixture(scope="module")
def model() -> WorldModel:
    return WorldModel.untrained(SIZES["tiny"].model_copy(update={"ensemble": 3}))


@pytest.fixture(scope="module")
def behavior(model) -> Behavior:
    made = Behavior.untrained(BehaviorConfig(hidden=16, layers=1), model.config, seed=2)
    with torch.no_grad():
        made.actor.reader.net[-1].bias[1] = 0.4  # a touch of throttle
        torch.nn.init.normal_(made.critic.reader.net[-1].weight, 0.0, 0.5)
    return made


def test_the_actor_proposes_what_it_would_do_and_what_it_might(model, behavior):
    actor, uniform = Actor(model, behavior), np.random.default_rng(0).random((4, 6, 2))
    uniform[0] = 0.5
    torch.manual_seed(0)
    proposals = actor.propose(model.initial(), STATE, REFERENCE, uniform)
    torch.manual_seed(1)
    again = actor.propose(model.initial(), STATE, REFERENCE, uniform)
    np.testing.assert_array_equal(proposals, again, "no other randomness than what is given")
    assert proposals.shape == (4, 6, 2) and np.abs(proposals).max() <= 1.0
    assert proposals[:, :, 1].mean() > 0.1 and np.ptp(proposals, 0).min() > 0.0
    seen = behavior.observed(
        model.initial(), torch.from_numpy(STATE)[None], observed_route(REFERENCE)
    )
    # The median of a truncated normal leans from its mode towards the middle of the range.
    np.testing.assert_allclose(proposals[0, 0], behavior.act(seen)[0].numpy(), atol=0.2)


def test_a_future_is_worth_what_the_critic_says_of_its_end(model, behavior):
    backend = TorchBackend(model)
    actions = np.random.default_rng(1).uniform(-1, 1, (3, 15, 2)).astype(np.float32)
    imagined = backend.imagine(backend.initial(), STATE, actions)
    value = Actor(model, behavior).value(imagined.end, imagined.path, REFERENCE)
    flat = model.rssm.latent.flat(imagined.end.latent.stoch)
    inputs = behavior.inputs(
        torch.cat([imagined.end.latent.deter, flat], -1),
        imagined.end.ego_state,
        torch.from_numpy(imagined.path[:, -1]),
        behavior.route_line(observed_route(REFERENCE)).expand(3, -1, -1),
    )
    np.testing.assert_allclose(value, behavior.value(inputs).numpy(), rtol=1e-5)
    assert np.ptp(value) > 0.0


def test_proposals_are_among_the_candidates_and_value_among_the_costs(model, behavior):
    config = PlannerConfig(actor_proposals=3, weights=CostWeights(value=2.0), **SMALL)
    planner = Planner(TorchBackend(model), config, Actor(model, behavior))
    plan = planner.plan(model.initial(), STATE, REFERENCE)
    without = Planner(TorchBackend(model), PlannerConfig(**SMALL))
    assert len(plan.costs) == len(without.plan(model.initial(), STATE, REFERENCE).costs) + 3
    assert "value" in plan.terms and plan.usable


def test_who_has_no_behaviour_says_how_to_learn_one_only_when_it_is_asked_for(tmp_path, model):
    save_checkpoint(model, tmp_path)
    backend, asked = TorchBackend(model), PlannerConfig(actor_proposals=2)
    assert isinstance(make_planner("planner", backend, tmp_path, PlannerConfig()), Planner)
    with pytest.raises(UserError, match="wm train behavior"):
        make_planner("planner", backend, tmp_path, asked)
    with pytest.raises(UserError, match="learned behaviour"):
        make_planner("untrained", backend, tmp_path, asked)


def test_a_behaviour_is_found_beside_its_model(tmp_path, model, behavior):
    save_checkpoint(model, tmp_path)
    save_behavior(behavior, tmp_path / FOLDER, model.hash)
    config = PlannerConfig(actor_proposals=2, **SMALL)
    planner = make_planner("planner", TorchBackend(model), tmp_path, config)
    assert planner.plan(model.initial(), STATE, REFERENCE).usable


@pytest.mark.parametrize(
    "config",
    [
        PlannerConfig(**SMALL),
        PlannerConfig(optimiser="mppi", knots=6, iterations=2, **SMALL),
        PlannerConfig(hazards="perceived", actor_proposals=2, **SMALL),
    ],
    ids=["default", "mppi", "perceived"],
)
def test_the_same_seed_gives_the_same_plans_to_the_bit_with_a_real_model(model, behavior, config):
    runs = []
    for noise in (0, 1):
        torch.manual_seed(noise)  # somebody else's randomness must not matter
        planner = Planner(TorchBackend(model), config, Actor(model, behavior))
        planner.reset(7)
        plans = [planner.plan(model.initial(), STATE, REFERENCE) for _ in range(4)]
        runs.append(plans)
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one.actions, other.actions)
        np.testing.assert_array_equal(one.costs, other.costs)
        assert (one.command, one.chosen, one.feasible) == (
            other.command,
            other.chosen,
            other.feasible,
        )
