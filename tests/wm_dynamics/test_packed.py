"""Copies packed for one row: the same beliefs and actions but for rounding, nothing else new."""

from __future__ import annotations

import pytest
import torch

from wm_dynamics import packed
from wm_dynamics.behavior import Behavior, BehaviorConfig
from wm_dynamics.config import SIZES, CameraConfig, ModelConfig
from wm_dynamics.model import WorldModel
from wm_dynamics.rollout import LatentState
from wm_dynamics.synthetic import synthetic_window
from wm_dynamics.variants import variant

CAMERA = {"bev": False, "decode_bev": False, "camera": CameraConfig(height=32, width=32)}
MODELS = {
    "masks": SIZES["tiny"],
    "blocks": variant("tiny", "block_gru", "discrete", core_blocks=4),
    "blocks-camera": variant("tiny", "block_gru", "gaussian", core_blocks=4, **CAMERA),
    "transformer": variant("tiny", "transformer", core_heads=2, core_window=4),
}
NETWORK = BehaviorConfig(hidden=16, layers=1)


@pytest.fixture(autouse=True)
def _small_layers_too(monkeypatch):
    monkeypatch.setattr(packed, "WORTH", 1)


@pytest.fixture(params=MODELS)
def config(request) -> ModelConfig:
    return MODELS[request.param]


def needs_packing() -> None:
    if not packed.can_pack(torch.device("cpu")):
        pytest.skip("this processor does not multiply bfloat16")


def sights(config: ModelConfig) -> list[tuple]:
    """Arguments after the belief of four filter steps."""
    torch.manual_seed(0)
    window = synthetic_window(config, 1, 4)
    return [
        (
            window["action"][:, t],
            window["motion"][:, t],
            {name: window[name][:, t] for name in config.streams},
        )
        for t in range(4)
    ]


def filtered(model: WorldModel) -> LatentState:
    belief = model.initial()
    for sight in sights(model.config):
        belief = model.observe_belief(belief, *sight)
    return belief


def test_a_belief_alone_is_that_of_a_close_look(config):
    model = WorldModel.untrained(config)
    belief = model.initial()
    for sight in sights(config):
        belief = model.observe_closely(belief, *sight).latent
    alone = filtered(model)
    assert torch.equal(alone.deter, belief.deter) and torch.equal(alone.stoch, belief.stoch)


def test_packed_beliefs_and_actions_are_near(config):
    needs_packing()
    model, before = WorldModel.untrained(config), None
    before = filtered(model)
    fast = model.packed()
    after = filtered(fast)
    assert not torch.equal(after.deter, before.deter)  # something was packed
    assert torch.allclose(after.deter, before.deter, atol=0.03)
    if config.latent == "discrete":
        assert (after.stoch == before.stoch).float().mean() > 0.9
    again = filtered(model)
    assert torch.equal(again.deter, before.deter)  # the original is as it was
    close, plain = (m.observe_closely(before, *sights(config)[0]) for m in (fast, model))
    assert torch.allclose(close.surprise, plain.surprise, rtol=0.1, atol=0.05)
    assert torch.allclose(close.embedding, plain.embedding, atol=0.05)
    behavior = Behavior.untrained(NETWORK, config)
    seen = behavior.observed(before, torch.zeros(1, 5), torch.ones(1, 20).cumsum(1))
    quick = behavior.packed()
    assert torch.equal(quick.observed(before, torch.zeros(1, 5), torch.ones(1, 20).cumsum(1)), seen)
    assert torch.allclose(quick.act(seen), behavior.act(seen), atol=0.02)


def test_a_packed_copy_is_the_same_model_with_the_same_weights(config):
    model = WorldModel.untrained(config)
    fast = model.packed()
    assert fast.hash == model.hash
    own = {p.data_ptr() for p in model.parameters()}
    assert {p.data_ptr() for p in fast.parameters()} == own
    belief, actions = model.initial(), torch.rand(3, 4, 2)
    rollouts = [m.imagine(belief, torch.zeros(5), actions) for m in (model, fast)]
    assert torch.equal(rollouts[0].path, rollouts[1].path)
    assert all(torch.equal(rollouts[1].heads[n], x) for n, x in rollouts[0].heads.items())


def test_where_nothing_can_be_packed_numbers_are_those_of_the_model(config, monkeypatch):
    monkeypatch.setattr(packed, "can_pack", lambda device: False)
    model = WorldModel.untrained(config)
    assert torch.equal(filtered(model.packed()).deter, filtered(model).deter)


def test_small_layers_are_not_worth_it(monkeypatch):
    needs_packing()
    monkeypatch.setattr(packed, "WORTH", 16 * 16)
    net = torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.Linear(16, 15))
    kinds = [type(layer) for layer in packed.packed(net)]
    assert kinds == [packed.PackedLinear, torch.nn.Linear]
