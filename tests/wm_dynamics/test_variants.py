"""Every core with every stochastic state and every kind of input keeps the same promises."""

from __future__ import annotations

import itertools

import pytest
import torch
from pydantic import ValidationError

from wm_dynamics.checkpoint import load_checkpoint, save_checkpoint
from wm_dynamics.config import ModelConfig
from wm_dynamics.errors import UserError
from wm_dynamics.heads import HEADS
from wm_dynamics.imagine import FastImagination
from wm_dynamics.model import WorldModel
from wm_dynamics.objective import window_loss
from wm_dynamics.rollout import LatentState
from wm_dynamics.rssm import drive_input
from wm_dynamics.synthetic import synthetic_window
from wm_dynamics.variants import CORES, INPUTS, LATENTS, variant

BATCH, STEPS, HORIZON = 3, 6, 5
SMALL = {
    "bev_size": 32,
    "core_blocks": 4,
    "core_window": 4,
    "gaussian_width": 8,
}
SMALL_CAMERA = {
    "height": 32,
    "width": 48,
    "features": 16,
    "cnn_channels": 8,
    "vit_width": 16,
    "vit_heads": 2,
    "vit_layers": 1,
}

# What depends on the latent dynamics alone is checked on the cheapest input.
DYNAMICS = list(itertools.product(CORES, LATENTS, ["bev"], [1, 2]))
ALL = [*DYNAMICS, *itertools.product(CORES, LATENTS, [name for name in INPUTS if name != "bev"])]
on_dynamics = pytest.mark.parametrize(
    "config", DYNAMICS, indirect=True, ids=lambda p: "-".join(map(str, p))
)


def small(core: str, latent: str, inputs: str = "bev", ensemble: int = 2, **changes) -> ModelConfig:
    fields = SMALL | {"ensemble": ensemble} | changes
    if "camera" in INPUTS[inputs]:
        fields["camera"] = INPUTS[inputs]["camera"] | SMALL_CAMERA
    if "lidar" in INPUTS[inputs]:
        fields["lidar"] = {"size": 32, "cnn_channels": 8}
    return variant("tiny", core, latent, inputs, **fields)


@pytest.fixture(scope="module", params=ALL, ids=lambda p: "-".join(map(str, p)))
def config(request) -> ModelConfig:
    return small(*request.param)


@pytest.fixture(scope="module")
def window(config) -> dict[str, torch.Tensor]:
    return synthetic_window(config, BATCH, STEPS)


@pytest.fixture(scope="module")
def model(config) -> WorldModel:
    return WorldModel.untrained(config, seed=1)


def see(model: WorldModel, latent: LatentState, window: dict, t: int):
    streams = {name: window[name][:, t] for name in model.config.streams}
    return model.observe_step(latent, window["action"][:, t], window["motion"][:, t], **streams)


def follow(model: WorldModel, window: dict) -> LatentState:
    latent = model.initial(BATCH)
    for t in range(STEPS):
        latent, _ = see(model, latent, window, t)
    return latent


def ego_state() -> torch.Tensor:
    return torch.randn(BATCH, 5, generator=torch.Generator().manual_seed(2)) * 0.3


def actions() -> torch.Tensor:
    return torch.rand(BATCH, HORIZON, 2, generator=torch.Generator().manual_seed(3)) * 2 - 1


def train(config: ModelConfig, window: dict, steps: int) -> tuple[list[float], WorldModel]:
    model = WorldModel.untrained(config, seed=1).train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(steps):
            loss, _ = window_loss(model, window)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses, model.eval()


def test_shapes_and_ranges(config, model, window):
    states = model.observe(None, window)
    assert states.deter.shape == (BATCH, STEPS, config.deter)
    assert states.features.shape == (BATCH, STEPS, config.deter + config.stoch)
    latent, surprise = see(model, model.initial(BATCH), window, 0)
    assert surprise.shape == (BATCH,) and (surprise >= -1e-5).all()
    rollout = model.imagine(latent, ego_state(), actions())
    assert rollout.path.shape == (BATCH, HORIZON, 3)
    assert set(rollout.heads) == {head.name for head in HEADS}
    assert all(torch.isfinite(x).all() and x.shape == (BATCH, HORIZON)
               for x in rollout.heads.values())  # fmt: skip
    assert rollout.disagreement.shape == (BATCH,)
    assert (rollout.disagreement > 0).all() == (config.ensemble > 1)
    assert model.decode(latent).shape == (BATCH, 6, 16, 16)
    images = model.decode_cameras(latent)
    assert set(images) == set(config.cameras)
    assert all(image.shape == (BATCH, 3, 16, 24) for image in images.values())


def test_gradients_reach_every_parameter(config, window):
    config = config.model_copy(update={"modality_dropout": 0.5 * (config.modality_dropout > 0)})
    model = WorldModel.untrained(config, seed=1).train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        loss, states = window_loss(model, synthetic_window(config, 8, STEPS), free_nats=0.0)
    ahead = model.rssm.imagine(
        states.deter[:, 2],
        states.stoch[:, 2],
        torch.zeros(8, 2, 6),
        [0, config.ensemble - 1],
        memory=states.memory_after(2),
    )
    (loss + model.head(ahead.features).square().mean()).backward()
    for name, parameter in model.named_parameters():
        if name.startswith("ego."):  # trained on its own
            continue
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all() and parameter.grad.abs().max() > 0, name


def test_the_loss_falls_and_the_seed_decides(config, window):
    losses, _ = train(config, window, steps=10)
    assert losses[-1] < 0.95 * losses[0]
    first, model = train(config, window, steps=2)
    again, twin = train(config, window, steps=2)
    assert first == again == losses[:2] and twin.hash == model.hash


def test_a_checkpoint_brings_it_back(config, model, window, tmp_path):
    save_checkpoint(model, tmp_path)
    loaded = load_checkpoint(tmp_path)
    assert loaded.config == config and loaded.hash == model.hash
    mine = model.imagine(follow(model, window), ego_state(), actions())
    other = loaded.imagine(follow(loaded, window), ego_state(), actions())
    for name, value in mine.heads.items():
        assert torch.equal(value, other.heads[name]), name


@on_dynamics
def test_fast_imagination_is_the_plain_one(config, model, window):
    latent, rssm = follow(model, window), model.rssm
    rollout = FastImagination(model, torch.float32)(latent, ego_state(), actions())
    with torch.no_grad():
        states, motions = model.ego.roll(ego_state(), actions())
        imagined = rssm.imagine(
            latent.deter,
            rssm.latent.flat(latent.stoch),
            drive_input(actions(), motions, states[..., :1]),
            [t % config.ensemble for t in range(HORIZON)],
            torch.ones(BATCH, dtype=torch.bool),
            latent.memory,
        )
        raw = model.head(imagined.features)
    gap = rollout.heads["leader_gap"]
    torch.testing.assert_close(gap, raw[..., 2] * HEADS[2].scale, rtol=1e-3, atol=1e-3)


@on_dynamics
def test_bfloat16_stays_close(config, model, window):
    latent = follow(model, window)
    exact = FastImagination(model, torch.float32)(latent, ego_state(), actions())
    quick = FastImagination(model, torch.bfloat16)(latent, ego_state(), actions())
    for head in HEADS:
        error = (quick.heads[head.name] - exact.heads[head.name]).abs().mean()
        assert error < 0.15 * head.scale, head.name


@on_dynamics
def test_a_belief_survives_a_message(config, model, window):
    latent = follow(model, window)
    deter, stoch = latent.to_arrays(config.stoch_classes)
    assert deter.shape == (config.belief,) and stoch.shape == (config.stoch,)
    back = LatentState.from_arrays(deter, stoch, config.stoch_classes, config.memory_shape)
    torch.testing.assert_close(back.deter, latent.deter[:1])
    torch.testing.assert_close(back.stoch, latent.stoch[:1])
    assert (back.memory is None) == (config.core != "transformer")
    if back.memory is not None:
        torch.testing.assert_close(back.memory, latent.memory[:1])


@pytest.mark.parametrize("latent", LATENTS)
@pytest.mark.parametrize("core", CORES)
def test_mixed_precision_training(core, latent):
    config = small(core, latent, "all")
    model = WorldModel.untrained(config, seed=1).train()
    with torch.autocast("cpu", torch.bfloat16):
        loss, states = window_loss(model, synthetic_window(config, BATCH, STEPS))
    loss.backward()
    assert torch.isfinite(loss) and states.deter.dtype == torch.float32


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"core": "lstm"}, "core"),
        ({"latent": "vq"}, "latent"),
        ({"camera": {"nmaes": ["front"]}}, "Extra inputs"),
        ({"camera": {"names": ["front", "front"]}}, "same name"),
        ({"camera": {"vit_patch": 7}}, "vit_patch must divide"),
        ({"camera": {"vit_width": 90}}, "vit_heads must divide"),
        ({"lidar": {"size": 40}}, "multiple of 16"),
        ({"core": "block_gru", "core_blocks": 7}, "core_blocks must divide"),
        ({"core": "transformer", "core_heads": 7}, "core_heads must divide"),
        ({"bev": False, "state": False, "route": False}, "sees nothing"),
        ({"modality_dropout": 1.0}, "less than 1"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        ModelConfig.model_validate(fields)


def test_unknown_names_are_refused():
    for name in ("size", "core", "latent", "inputs"):
        with pytest.raises(UserError, match=f"unknown {name} 'huge'"):
            variant(**{name: "huge"})
