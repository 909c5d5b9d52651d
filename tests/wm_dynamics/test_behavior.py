"""Actor and critic: codes and distributions against values worked out by hand, and their files."""

from __future__ import annotations

import json
import math

import pytest
import torch

from wm_dynamics.behavior import KNOWN_DIM, Behavior, BehaviorConfig
from wm_dynamics.behavior_checkpoint import load_behavior, save_behavior
from wm_dynamics.config import SIZES, ModelConfig
from wm_dynamics.dream import Start, dream
from wm_dynamics.ego import integrate
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_dynamics.rssm import drive_input
from wm_dynamics.truncated_normal import TruncatedNormal
from wm_dynamics.twohot import cross_entropy, decode, symexp, symlog, two_hot
from wm_dynamics.variants import variant

NETWORK = BehaviorConfig(hidden=16, layers=1)
BINS = torch.linspace(-20.0, 20.0, 255)


def test_symlog_by_hand_and_back():
    x = torch.tensor([0.0, 1.0, -1.0, math.e - 1.0, -99.0, 1e4])
    assert symlog(x)[:4].tolist() == pytest.approx([0.0, math.log(2), -math.log(2), 1.0])
    assert torch.allclose(symexp(symlog(x)), x, rtol=1e-5)


def test_two_hot_by_hand():
    bins = torch.tensor([-1.0, 0.0, 1.0, 2.0])
    code = two_hot(torch.tensor([0.25, 1.0, 2.0, -7.0, 9.0]), bins)
    wanted = [[0, 0.75, 0.25, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 1]]
    assert torch.allclose(code, torch.tensor(wanted, dtype=code.dtype))


def test_two_hot_of_the_critics_bins_gives_every_value_back():
    values = torch.tensor([-5000.0, -37.5, -0.01, 0.0, 0.3, 2.0, 81.0, 1e6])
    code = two_hot(symlog(values), BINS)
    assert torch.allclose(code.sum(-1), torch.ones(len(values)))
    assert ((code > 0).sum(-1) <= 2).all()
    assert torch.allclose(decode((code + 1e-30).log(), BINS), values, rtol=1e-3, atol=1e-4)


def test_cross_entropy_is_that_against_the_code():
    values, log_probs = torch.tensor([-7.3, 0.7, 99.0]), torch.randn(3, 255).log_softmax(-1)
    wanted = -(two_hot(values, BINS) * log_probs).sum(-1)
    assert torch.allclose(cross_entropy(log_probs, values, BINS), wanted)
    even = torch.zeros(3, 255).log_softmax(-1)
    assert cross_entropy(even, values, BINS).tolist() == pytest.approx([math.log(255)] * 3)


@pytest.mark.parametrize(("mean", "std"), [(0.0, 0.3), (0.9, 0.4), (-1.0, 0.1), (0.2, 1.0)])
def test_truncated_normal_against_numerical_integration(mean, std):
    policy = TruncatedNormal(torch.tensor([[mean]]), torch.tensor([[std]]))
    grid = torch.linspace(-1.0, 1.0, 20001)[:, None, None]
    log_density = policy.log_prob(grid)[:, 0]
    density, step = log_density.exp(), 1e-4
    assert (density.sum() * step).item() == pytest.approx(1.0, abs=3e-3)
    integral = -(density * log_density).sum() * step
    assert policy.entropy().item() == pytest.approx(integral.item(), abs=5e-3)
    uniform = (torch.arange(4000)[:, None, None] + 0.5) / 4000
    drawn = policy.sample(uniform)
    assert drawn.abs().max() <= 1.0
    expected = (density * grid[:, 0, 0]).sum() * step
    assert drawn.mean().item() == pytest.approx(expected.item(), abs=3e-3)
    assert (drawn.diff(dim=0) >= 0).all()  # an inverse CDF keeps the order


def test_samples_have_gradients_to_mean_and_deviation():
    mean = torch.full((5, 2), 0.3, requires_grad=True)
    std = torch.full((5, 2), 0.2, requires_grad=True)
    TruncatedNormal(mean, std).sample(torch.full((5, 2), 0.8)).sum().backward()
    assert (mean.grad > 0).all() and (std.grad > 0).all()


def test_a_fresh_critic_says_zero_and_a_fresh_actor_is_undecided():
    behavior = Behavior.untrained(NETWORK, SIZES["tiny"])
    inputs = torch.randn(7, SIZES["tiny"].deter + SIZES["tiny"].stoch + KNOWN_DIM)
    assert behavior.critic.value(inputs).abs().max() < 1e-4
    policy = behavior.actor(inputs)
    assert policy.mean.abs().max() < 0.05
    assert ((policy.std > 0.2) & (policy.std < 0.5)).all()


def test_a_behavior_can_do_with_the_latent_state_alone():
    made = Behavior.untrained(NETWORK.model_copy(update={"known": False}), SIZES["tiny"])
    model = WorldModel.untrained(SIZES["tiny"])
    seen = made.observed(model.initial(1), torch.zeros(1, 5), torch.zeros(1, 20))
    assert seen.shape == (1, SIZES["tiny"].deter + SIZES["tiny"].stoch)
    assert made.act(seen).shape == (1, 2)
    with pytest.raises(UserError, match="known false"):
        Behavior.untrained(NETWORK, SIZES["tiny"].model_copy(update={"route": False}))


def test_the_config_refuses_what_makes_no_sense():
    with pytest.raises(ValueError, match="min_std"):
        BehaviorConfig(min_std=0.5, max_std=0.2)


CONFIGS = {
    "plain": SIZES["tiny"],
    "block-gaussian": variant("tiny", "block_gru", "gaussian", core_blocks=4),
    "transformer": variant("tiny", "transformer", core_heads=2, core_window=4),
}


def starts(config: ModelConfig, model: WorldModel, rows: int) -> Start:
    with torch.no_grad():
        deter, stoch, memory = model.rssm.initial(rows)
    route = 0.3 * torch.randn(rows, config.route_dim)
    return Start(deter, stoch, 0.2 * torch.randn(rows, config.state_dim), route, memory)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_dream_is_what_the_models_parts_say(config):
    torch.manual_seed(0)
    model = WorldModel.untrained(config)
    behavior = Behavior.untrained(NETWORK, config)
    uniform, members = torch.rand(3, 4, 2), [0, 2, 1, 0]
    torch.manual_seed(1)
    dreamt = dream(model, behavior, starts(config, model, 3), uniform, members)
    assert dreamt.features.shape == (3, 5, config.deter + config.stoch)
    # The same actions through the world model's own imagination give the same latent states.
    torch.manual_seed(1)
    begin = starts(config, model, 3)
    states, motions = model.ego.roll(begin.ego_state, dreamt.actions)
    assert torch.allclose(dreamt.ego_states, states) and torch.allclose(dreamt.motions, motions)
    drive = drive_input(dreamt.actions, motions, states[..., :1])
    wanted = model.rssm.imagine(begin.deter, begin.stoch, drive, members, None, begin.memory)
    assert torch.allclose(dreamt.features[:, 1:], wanted.features, atol=1e-5)
    assert integrate(dreamt.motions).shape == (3, 4, 3)
    assert torch.allclose(dreamt.path, integrate(motions), atol=1e-5)
    later = behavior.inputs(
        dreamt.features[:, 3], states[:, 2], dreamt.path[:, 2], behavior.route_line(begin.route)
    )
    assert torch.allclose(dreamt.inputs[:, 3], later, atol=1e-5)
    policy = behavior.actor(dreamt.inputs[:, :-1])
    assert torch.allclose(policy.mean, dreamt.policy.mean, atol=1e-6)
    assert torch.allclose(policy.sample(uniform), dreamt.actions, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("known", [True, False])
def test_a_dream_without_gradients_is_the_same_and_lies_step_by_step(config, known):
    model = WorldModel.untrained(config).requires_grad_(False)
    behavior = Behavior.untrained(NETWORK.model_copy(update={"known": known}), config)
    begin, uniform, members = starts(config, model, 3), torch.rand(3, 4, 2), [0, 2, 1, 0]
    torch.manual_seed(1)
    plain = dream(model, behavior, begin, uniform, members)
    torch.manual_seed(1)
    with torch.no_grad():
        bare = dream(model, behavior, begin, uniform, members)
    for name in ("features", "inputs", "actions", "ego_states", "path"):
        assert torch.allclose(getattr(bare, name), getattr(plain, name), atol=1e-6)
    for made in (plain, bare):
        assert made.inputs.stride(1) > made.inputs.stride(0) > made.inputs.stride(2)


def test_under_autocast_actor_and_critic_are_near_with_their_gradients():
    torch.manual_seed(0)
    behavior = Behavior.untrained(NETWORK, SIZES["tiny"])
    with torch.no_grad():
        behavior.critic.reader.net[-1].weight.normal_()
    inputs = torch.randn(6, 5, SIZES["tiny"].deter + SIZES["tiny"].stoch + KNOWN_DIM)
    learned = list(behavior.critic.parameters())

    def run(bf16: bool) -> list[torch.Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = behavior.critic(inputs).float().square().mean()
        return [loss.detach(), *torch.autograd.grad(loss, learned)]

    for rounded, exact in zip(run(True), run(False), strict=True):
        assert (rounded - exact).norm() < 0.05 * exact.norm() + 1e-6


def test_the_route_is_not_rounded_under_autocast():
    behavior = Behavior.untrained(NETWORK, SIZES["tiny"])
    route = torch.rand(2, 20)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = behavior.route_line(route)
    assert torch.equal(rounded, behavior.route_line(route))


def test_without_noise_a_dream_takes_the_modes_and_draws_nothing():
    model = WorldModel.untrained(SIZES["tiny"])
    behavior = Behavior.untrained(NETWORK, SIZES["tiny"])
    begin = starts(model.config, model, 2)
    state = torch.get_rng_state()
    first, again = (dream(model, behavior, begin, None, [0, 1, 2]) for _ in range(2))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first.features, again.features)
    seen = behavior.observed(model.initial(2), begin.ego_state, begin.route)
    assert torch.allclose(seen, first.inputs[:, 0], atol=1e-5)
    assert torch.allclose(first.actions[:, 0], behavior.act(seen), atol=1e-6)


def test_gradients_reach_the_actor_through_the_actions_only():
    config = SIZES["tiny"]
    model = WorldModel.untrained(config).requires_grad_(False)
    behavior = Behavior.untrained(NETWORK, config)
    dreamt = dream(model, behavior, starts(config, model, 3), torch.rand(3, 3, 2), [0, 1, 2])
    dreamt.features[:, -1].sum().backward()
    assert all(p.grad is not None for p in behavior.actor.parameters())
    assert all(p.grad is None for p in model.parameters())


def test_proposals_and_values_from_one_belief():
    model = WorldModel.untrained(SIZES["tiny"])
    behavior = Behavior.untrained(NETWORK, SIZES["tiny"])
    one = behavior.observed(model.initial(1), torch.zeros(1, 5), torch.ones(1, 20).cumsum(1))
    drawn = behavior.sample(one, torch.tensor([[0.1, 0.5], [0.9, 0.5]]))
    assert drawn.shape == (2, 2)
    assert drawn[0, 0] < behavior.act(one)[0, 0] < drawn[1, 0]
    assert behavior.value(one).shape == (1,)


class TestFiles:
    @pytest.fixture
    def model(self) -> WorldModel:
        return WorldModel.untrained(SIZES["tiny"])

    @pytest.fixture
    def saved(self, tmp_path, model):
        behavior = Behavior.untrained(NETWORK, model.config, seed=3)
        save_behavior(behavior, tmp_path / "behavior", model.hash, steps=7)
        return tmp_path / "behavior", behavior

    def test_round_trip(self, saved, model):
        path, behavior = saved
        loaded = load_behavior(path, model)
        seen = torch.randn(3, model.config.deter + model.config.stoch + KNOWN_DIM)
        assert torch.equal(loaded.act(seen), behavior.act(seen))
        assert loaded.config == NETWORK
        assert loaded.metadata["steps"] == 7
        names = ["config.yaml", "metadata.json", "model.safetensors"]
        assert sorted(p.name for p in path.iterdir()) == names

    def test_another_world_models_behavior_is_refused(self, saved):
        other = WorldModel.untrained(SIZES["tiny"], seed=1)
        with pytest.raises(UserError, match="train one for it with `wm train behavior`"):
            load_behavior(saved[0], other)

    def test_none_at_all_says_how_to_get_one(self, tmp_path, model):
        with pytest.raises(UserError, match="no behavior at .*wm train behavior"):
            load_behavior(tmp_path / "nowhere", model)

    def test_half_a_directory_is_refused(self, saved, model):
        (saved[0] / "metadata.json").unlink()
        with pytest.raises(UserError, match="metadata.json is missing"):
            load_behavior(saved[0], model)

    def test_altered_weights_are_refused(self, saved, model):
        facts = json.loads((saved[0] / "metadata.json").read_text())
        facts["weights_sha256"] = "0" * 64
        (saved[0] / "metadata.json").write_text(json.dumps(facts))
        with pytest.raises(UserError, match="copy the whole directory again"):
            load_behavior(saved[0], model)

    def test_an_unknown_setting_is_refused(self, saved, model):
        (saved[0] / "config.yaml").write_text("hiden: 16\n")
        with pytest.raises(UserError, match="hiden"):
            load_behavior(saved[0], model)
