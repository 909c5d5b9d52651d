"""The shipped model computes today what it computed when it was trained and measured.

The numbers are stored; run ``python tests/wm_dynamics/test_shipped_numbers.py`` to write them anew,
only when the shipped weights change.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from wm_dynamics.checkpoint import load_checkpoint
from wm_dynamics.imagine import FastImagination
from wm_dynamics.model import WorldModel

ROOT = Path(__file__).parents[2]
NUMBERS = Path(__file__).with_name("shipped_numbers.json")


def compute(model: WorldModel) -> dict:
    """Numbers by name: filter four made-up frames, look, imagine in float32, encode a window."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    latent = model.initial()
    surprises = []
    for _ in range(4):
        action, motion = normal(1, 2).clamp(-1, 1), 0.1 * normal(1, 3)
        bev = torch.randint(0, 64, (1, 64, 64), generator=generator, dtype=torch.uint8)
        state, route = 0.3 * normal(1, 5), normal(1, 20)
        latent, surprise = model.observe_step(latent, action, motion, bev, state, route)
        surprises.append(surprise.item())
    actions = normal(3, 15, 2).clamp(-1, 1)
    rollout = FastImagination(model, torch.float32)(latent, state[0], actions)
    masks = torch.randint(0, 2, (1, 6, 6, 64, 64), generator=generator).float()
    shapes = {"state": 5, "route": 20, "action": 2, "motion": 3}
    batch = {name: 0.1 * normal(1, 6, width) for name, width in shapes.items()}
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        states = model.observe(masks, batch)
    return {
        "hash": model.hash,
        "window": states.features[0, :, ::32].tolist(),
        "surprise": surprises,
        "deter": latent.deter[0, ::16].tolist(),
        "stoch": latent.stoch[0].tolist(),
        "perceived": {name: value.item() for name, value in model.perceive(latent).items()},
        "decoded": model.decode(latent).mean((0, 2, 3)).tolist(),
        "path": rollout.path[:, -1].tolist(),
        "imagined": {name: value[:, ::7].tolist() for name, value in rollout.heads.items()},
        "disagreement": rollout.disagreement.tolist(),
    }


@pytest.fixture(scope="module")
def numbers() -> dict:
    return compute(load_checkpoint(ROOT / "models" / "driving-bev"))


@pytest.fixture(scope="module")
def stored() -> dict:
    return json.loads(NUMBERS.read_text())


def test_same_weights_and_classes(numbers, stored):
    assert numbers["hash"] == stored["hash"]
    assert numbers["stoch"] == stored["stoch"]


@pytest.mark.parametrize(
    "name",
    ["surprise", "deter", "perceived", "decoded", "path", "imagined", "disagreement", "window"],
)
def test_same_numbers(numbers, stored, name):
    # The tolerance is for the order in which other processors add up.
    torch.testing.assert_close(
        _tensors(numbers[name]), _tensors(stored[name]), rtol=1e-3, atol=1e-4
    )


def _tensors(value: dict | list):
    if isinstance(value, dict):
        return {key: torch.tensor(x) for key, x in value.items()}
    return torch.tensor(value)


if __name__ == "__main__":
    fresh = compute(load_checkpoint(ROOT / "models" / "driving-bev"))
    NUMBERS.write_text(json.dumps(fresh, indent=1) + "\n")
