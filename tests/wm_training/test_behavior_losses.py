"""The objectives of behaviour learning, against naive loops and values worked out by hand."""

from __future__ import annotations

import pytest
import torch

from wm_dynamics.behavior import KNOWN_DIM, Behavior, BehaviorConfig
from wm_dynamics.config import SIZES
from wm_dynamics.heads import LABELS
from wm_dynamics.model import WorldModel
from wm_dynamics.rssm import States
from wm_dynamics.variants import variant
from wm_training.behavior_config import BehaviorLossConfig, RewardConfig, RewardWeights
from wm_training.behavior_losses import (
    ReturnRange,
    behavior_loss,
    choose_starts,
    clone_loss,
    frozen_value,
    lambda_returns,
)
from wm_training.behavior_reward import TERMS, ImaginedSteps, disagreements, weighted_terms

NETWORK = BehaviorConfig(hidden=16, layers=1)
COLUMNS = {name: i for i, name in enumerate(LABELS)}


def naive_return(reward, discount, value, trace, t, last) -> float:
    """R_t by its definition, recursively."""
    if t == last:
        return value[last]
    ahead = naive_return(reward, discount, value, trace, t + 1, last)
    return reward[t] + discount[t] * ((1 - trace) * value[t + 1] + trace * ahead)


@pytest.mark.parametrize("trace", [0.0, 0.5, 0.95, 1.0])
def test_lambda_returns_against_a_naive_loop(trace):
    torch.manual_seed(0)
    reward, discount, value = torch.randn(4, 6), torch.rand(4, 6), torch.randn(4, 7)
    returns = lambda_returns(reward, discount, value, trace)
    for n in range(4):
        rows = (reward[n].tolist(), discount[n].tolist(), value[n].tolist())
        wanted = [naive_return(*rows, trace, t, 6) for t in range(6)]
        assert returns[n].tolist() == pytest.approx(wanted, rel=1e-5)


def test_lambda_returns_by_hand():
    reward, value = torch.tensor([[1.0, 2.0]]), torch.tensor([[9.0, 10.0, 20.0]])
    discount = torch.full((1, 2), 0.5)
    # One step ahead: 1 + 0.5 * 10 and 2 + 0.5 * 20; to the end: 1 + 0.5 * (2 + 0.5 * 20).
    assert lambda_returns(reward, discount, value, 0.0).tolist() == [[6.0, 12.0]]
    assert lambda_returns(reward, discount, value, 1.0).tolist() == [[7.0, 12.0]]
    assert lambda_returns(reward, discount, value, 0.5).tolist() == [[6.5, 12.0]]


def test_the_return_range_is_of_percentiles_and_moves_slowly():
    measure = ReturnRange(0.9)
    first = measure.update(torch.arange(101.0))
    assert first.item() == pytest.approx(90.0)  # 95 - 5
    second = measure.update(torch.arange(101.0) * 3)
    assert second.item() == pytest.approx(0.5 * 90 + 0.5 * 270)  # of two, each counts half
    for _ in range(200):
        measure.update(torch.zeros(10))
    assert measure.update(torch.zeros(10)).item() == 1.0  # never blown up


def imagined(**changes: float | dict) -> ImaginedSteps:
    """One future of one step: 8.3 m/s along an empty road, but for ``changes``."""
    absent = ("near", "collision", "off_road", "red_violation", "leader_presence", "stop_presence")
    heads = dict.fromkeys((*absent, "leader_speed", "reward"), 0.0)
    heads |= {"leader_gap": 100.0, "stop_distance": 100.0, "continue": 1.0}
    values = dict.fromkeys(("lateral", "heading", "yaw_rate", "disagreement"), 0.0)
    values |= {"gained": 1.66, "speed": 8.3}
    heads |= changes.pop("heads", {})  # type: ignore[arg-type]
    values |= changes  # type: ignore[arg-type]
    change = torch.tensor([[[values.pop("steer", 0.0), values.pop("accel", 0.0)]]])
    tensors = {name: torch.tensor([[value]]) for name, value in values.items()}
    head_tensors = {name: torch.tensor([[value]]) for name, value in heads.items()}
    return ImaginedSteps(dt=0.2, change=change, heads=head_tensors, **tensors)


class TestReward:
    config = RewardConfig()

    def term(self, name: str, **changes) -> float:
        return TERMS[name](imagined(**changes), self.config).item()

    def test_cruising_along_the_route_is_worth_one_and_costs_nothing(self):
        terms = weighted_terms(imagined(), self.config)
        assert terms.pop("progress").item() == pytest.approx(1.0)
        assert all(term.item() == 0.0 for term in terms.values())

    def test_terms_by_hand(self):
        assert self.term("progress", gained=0.83) == pytest.approx(0.5)
        assert self.term("progress", gained=5.0) == 1.0  # haste gains nothing ...
        assert self.term("speeding", speed=10.3) == pytest.approx(4.0)  # ... and costs
        assert self.term("lateral", lateral=-0.5) == pytest.approx(0.25)
        assert self.term("heading", heading=0.1, speed=4.0) == pytest.approx(0.05)
        assert self.term("lateral_acceleration", speed=8.0, yaw_rate=0.4) == pytest.approx(1.0)
        assert self.term("smoothness", steer=0.1, accel=0.2) == pytest.approx(0.04)
        assert self.term("off_road", heads={"off_road": 0.3}) == pytest.approx(0.3)
        assert self.term("disagreement", disagreement=0.7) == pytest.approx(0.7)

    def test_braking_distances(self):
        # At 5 m/s: 5 m to stop, and 3.5 m before the line; 1.5 m are missing.
        stop = {"stop_presence": 1.0, "stop_distance": 7.0}
        assert self.term("stop_line", speed=5.0, heads=stop) == pytest.approx(2.25)
        assert self.term("stop_line", speed=5.0, heads=stop | {"stop_presence": 0.5}) < 1.2
        # Behind a car as fast as oneself: 4 m and 0.6 s.
        behind = {"leader_presence": 1.0, "leader_gap": 6.0, "leader_speed": 5.0}
        assert self.term("leader", speed=5.0, heads=behind) == pytest.approx(1.0)
        assert self.term("leader", speed=5.0, heads=behind | {"leader_gap": 7.1}) == 0.0

    def test_who_stands_does_no_harm(self):
        red = {"red_violation": 1.0, "near": 1.0, "stop_presence": 1.0, "stop_distance": 0.0}
        for name in ("red_light", "near", "stop_line"):
            assert self.term(name, speed=0.0, heads=red) == 0.0
            assert self.term(name, speed=3.0, heads=red) > 0.0

    def test_a_weight_of_zero_switches_off_and_the_head_can_stand_in(self):
        weights = RewardWeights(lateral=0.0)
        assert "lateral" not in weighted_terms(imagined(), RewardConfig(weights=weights))
        head = weighted_terms(imagined(heads={"reward": -7.0}), RewardConfig(source="head"))
        assert {name: term.item() for name, term in head.items()} == {"head": -7.0}


def test_disagreement_is_measured_at_three_steps_and_holds_for_those_before():
    model = WorldModel.untrained(SIZES["tiny"])
    features = torch.randn(2, 7, model.config.deter + model.config.stoch)
    found = disagreements(model, features)
    assert found.shape == (2, 7) and (found > 0).all()
    deter = features[..., : model.config.deter]
    for t, end in enumerate([2, 2, 5, 5, 5, 7, 7]):
        raw = torch.stack([prior(deter[:, end - 1]) for prior in model.rssm.priors])
        assert torch.allclose(found[:, t], model.rssm.latent.spread(raw))
    one = WorldModel.untrained(SIZES["tiny"].model_copy(update={"ensemble": 1}))
    assert (disagreements(one, features) == 0).all()


def window(model: WorldModel, rows: int = 3, steps: int = 9) -> tuple[States, dict]:
    """Posterior states and a batch, random."""
    torch.manual_seed(4)
    config = model.config
    batch = {
        "state": 0.3 * torch.rand(rows, steps, 5),
        "route": 0.15 * torch.arange(20.0).div(2).floor().add(1).mul(torch.tensor([1.0, 0.0] * 10))
        .expand(rows, steps, 20),
        "action": 0.4 * torch.randn(rows, steps, 2).clamp(-1, 1),
        "motion": 0.1 * torch.randn(rows, steps, 3),
        "labels": torch.zeros(rows, steps, len(LABELS)),
        "mask": torch.ones(rows, steps),
    }  # fmt: skip
    bev = torch.randint(0, 2, (rows, steps, 6, 64, 64)).float()
    with torch.no_grad():
        states = model.observe(bev if config.bev else None, batch)
    return states, batch


MODELS = {
    "plain": SIZES["tiny"],
    "block-gaussian": variant("tiny", "block_gru", "gaussian", core_blocks=4),
    "transformer": variant("tiny", "transformer", core_heads=2, core_window=4),
}


@pytest.mark.parametrize("gradient", ["dynamics", "reinforce"])
@pytest.mark.parametrize("kind", MODELS)
def test_the_loss_teaches_actor_and_critic_and_nobody_else(kind, gradient):
    model = WorldModel.untrained(MODELS[kind]).requires_grad_(False)
    behavior = Behavior.untrained(NETWORK, model.config)
    config = BehaviorLossConfig(starts=4, warm=2, horizon=5, gradient=gradient)
    starts = choose_starts(*window(model), config)
    assert len(starts.start.deter) == 12
    actor, critic, parts = behavior_loss(
        model, behavior, behavior.critic, ReturnRange(0.99), starts, config
    )
    mine, other = list(behavior.actor.parameters()), list(behavior.critic.parameters())
    grads = torch.autograd.grad(actor, mine, retain_graph=True)
    assert all(torch.isfinite(g).all() for g in grads) and any(g.abs().sum() > 0 for g in grads)
    unused = torch.autograd.grad(actor, other, retain_graph=True, allow_unused=True)
    assert all(g is None for g in unused)
    assert any(g.abs().sum() > 0 for g in torch.autograd.grad(critic, other, retain_graph=True))
    unused = torch.autograd.grad(critic, mine, allow_unused=True)
    assert all(g is None for g in unused)
    assert all(torch.isfinite(part) for part in parts.values())


def test_starts_are_states_of_the_window_with_what_was_seen_there():
    model = WorldModel.untrained(SIZES["tiny"])
    states, batch = window(model)
    batch["mask"][1, 5:] = 0.0
    starts = choose_starts(states, batch, BehaviorLossConfig(starts=100, warm=3))
    assert len(starts.weight) == 3 * 6  # all steps there are but the warm-up
    assert starts.weight.sum() == 18 - 4
    assert torch.equal(starts.start.deter[:3], states.deter[:, 3])
    assert torch.equal(starts.start.ego_state[-3:], batch["state"][:, -1])
    assert torch.equal(starts.start.route[4], batch["route"][1, 4])


def test_frozen_values_have_gradients_to_the_features_alone():
    behavior = Behavior.untrained(NETWORK, SIZES["tiny"])
    with torch.no_grad():
        behavior.critic.reader.net[-1].weight.normal_()
    features = torch.randn(3, SIZES["tiny"].deter + SIZES["tiny"].stoch + KNOWN_DIM)
    features.requires_grad_()
    value = frozen_value(behavior.critic, features)
    assert torch.allclose(value, behavior.critic.value(features))
    value.sum().backward()
    assert features.grad is not None and features.grad.abs().sum() > 0
    assert all(p.grad is None for p in behavior.critic.parameters())


def test_only_what_went_well_is_imitated():
    model = WorldModel.untrained(SIZES["tiny"])
    behavior = Behavior.untrained(NETWORK, model.config)
    states, batch = window(model, rows=2)
    batch["labels"][0, 6, COLUMNS["collision"]] = 1.0
    batch["mask"][1, 8] = 0.0
    before = clone_loss(behavior, states, batch, COLUMNS, warm=2)
    # What led up to the collision, and what is beyond the end, may have been anything.
    batch["action"][0, 3:7] = 0.9
    batch["action"][1, 8] = -0.9
    assert clone_loss(behavior, states, batch, COLUMNS, warm=2) == before
    batch["action"][0, 7] = 0.9
    assert clone_loss(behavior, states, batch, COLUMNS, warm=2) != before
    rows = [x[:, 2:-1].flatten(0, 1) for x in (states.features, batch["state"], batch["route"])]
    seen = behavior.inputs(rows[0], rows[1], torch.zeros(12, 3), behavior.route_line(rows[2]))
    nats = -behavior.actor(seen).log_prob(batch["action"][:, 3:].flatten(0, 1)).view(2, 6)
    wanted = torch.cat([nats[0, 4:], nats[1, :5]]).mean()
    assert clone_loss(behavior, states, batch, COLUMNS, warm=2).item() == pytest.approx(
        wanted.item(), rel=1e-5
    )
