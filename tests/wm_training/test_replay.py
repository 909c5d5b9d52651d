"""Replay samplers: the right shares, unbiased by their weights, what was hard again, resumable."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torchrl.data import ReplayBuffer, TensorStorage

from wm_training.replay import BETA, EVENTS, ReplaySampler, WeightedSampler
from wm_training.sampler import WindowSampler, make_sampler
from wm_training.store import Store

KINDS = ("mixture", "uniform", "prioritised", "event")
DRAWS = 40_000


@pytest.fixture(scope="module")
def store(tmp_path_factory, write_store) -> Store:
    return Store.open(write_store(tmp_path_factory.mktemp("store"), 8, frames=120))


def sampler_of(kind: str, store: Store, seed: int = 0) -> WindowSampler:
    return make_sampler(kind, store, 20, 2, seed)


def statistics(sampler: WindowSampler) -> dict[str, np.ndarray]:
    """Anything about a window, one number for each of ``sampler.starts``."""
    last = sampler.last[sampler.starts]
    ends = np.minimum(sampler.starts + 38, last)
    collision, gap = sampler.store.label("collision"), sampler.store.label("leader_gap")
    collides = [collision[a : b + 1].any() for a, b in zip(sampler.starts, ends, strict=True)]
    return {
        "collision": np.array(collides, float),
        "gap": gap[sampler.starts],
        "left": (last - sampler.starts).astype(float),
        "noise": np.random.default_rng(0).normal(1.0, 1.0, len(ends)),
    }


@pytest.mark.parametrize("kind", ["uniform", "event", "prioritised"])
def test_weighted_means_over_draws_are_means_over_the_data(store, kind):
    sampler = sampler_of(kind, store)
    numbers = statistics(sampler)
    if kind == "prioritised":  # wild priorities
        for start in sampler.starts[::7]:
            draw = sampler.draw(1)
            losses = torch.tensor([1.0 + 50.0 * (start % 2)])
            sampler.update(type(draw)(np.array([start]), draw.weight), losses)
    draw = sampler.draw(DRAWS, progress=1.0)
    weight = np.ones(DRAWS) if draw.weight is None else draw.weight.astype(float)
    assert weight.mean() == pytest.approx(1.0, abs=0.03)
    index = np.searchsorted(sampler.starts, draw.starts)
    for name, values in numbers.items():
        drawn = values[index]
        error = (weight * (drawn - values.mean())).std() / DRAWS**0.5
        assert (weight * drawn).mean() == pytest.approx(values.mean(), abs=5 * error + 0.01), name
        assert abs(np.average(drawn, weights=weight) - values.mean()) < 4 * error, name
    shift = numbers["collision"][index].mean() / numbers["collision"].mean()
    assert (shift > 1.3) == (kind == "event")


def test_events_have_their_share_and_bounded_weights(store):
    sampler = sampler_of("event", store)
    draw = sampler.draw(DRAWS)
    index = np.searchsorted(sampler.starts, draw.starts)
    common = statistics(sampler)["collision"].mean()
    # Of the four kinds of event only collisions are in this store.
    expected = EVENTS["collision"] + (1.0 - EVENTS["collision"]) * common
    assert statistics(sampler)["collision"][index].mean() == pytest.approx(expected, abs=0.01)
    assert draw.weight.max() == pytest.approx(1.0 / (1.0 - EVENTS["collision"]), rel=1e-4)
    batch = sampler.read(sampler.draw(6))
    assert batch["weight"].shape == (6,) and batch["weight"].dtype == torch.float32
    assert "weight" not in sampler_of("uniform", store).batch(2)


def test_what_was_hard_comes_again(store):
    sampler = sampler_of("prioritised", store)
    assert isinstance(sampler, ReplaySampler)
    for step in range(300):
        draw = sampler.draw(16, progress=step / 300)
        hard = (draw.starts >= 240) & (draw.starts < 360)  # the third episode
        sampler.update(draw, torch.from_numpy(np.where(hard, 9.0, 1.0)))
    draw = sampler.draw(DRAWS, progress=0.0)
    hard = (draw.starts >= 240) & (draw.starts < 360)
    share = ((sampler.starts >= 240) & (sampler.starts < 360)).mean()
    assert hard.mean() > 2.0 * share
    # Nothing leaked into the neighbours: an episode ends where it ends.
    after = (draw.starts >= 360) & (draw.starts < 370)
    assert after.mean() < 1.2 * ((sampler.starts >= 360) & (sampler.starts < 370)).mean()
    assert draw.weight[hard].mean() < draw.weight[~hard].mean()
    early, late = sampler.draw(64, progress=0.0).weight, sampler.draw(64, progress=1.0).weight
    assert np.ptp(early) < np.ptp(late)  # the importance grows into its own
    assert sampler.weighted.beta == 1.0 > BETA


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_continues_exactly(store, kind):
    def step(sampler: WindowSampler) -> dict[str, torch.Tensor]:
        draw = sampler.draw(5, progress=0.3)
        sampler.update(draw, torch.from_numpy(1.0 + draw.starts % 7))
        return sampler.read(draw)

    first = sampler_of(kind, store, seed=4)
    first.ego_batch(8, 6)
    for _ in range(4):
        step(first)
    state = json.loads(json.dumps(first.state()))
    expected = [step(first) for _ in range(4)]
    second = sampler_of(kind, store, seed=9)
    step(second)
    second.restore(state)
    for wanted in expected:
        got = step(second)
        assert got.keys() == wanted.keys()
        assert all(torch.equal(got[key], wanted[key]) for key in wanted)
    again = sampler_of(kind, store, seed=4)
    other = sampler_of(kind, store, seed=5)
    starts = [s.draw(50).starts.tolist() for s in (sampler_of(kind, store, seed=4), again, other)]
    assert starts[0] == starts[1] != starts[2]


def test_weighted_sampler_is_a_sampler_of_torchrl(tmp_path):
    priority = torch.tensor([1.0, 4.0, 9.0, 0.25])
    sampler = WeightedSampler(priority, alpha=0.5, beta=1.0)
    buffer = ReplayBuffer(
        storage=TensorStorage(torch.arange(4) * 10),
        sampler=sampler,
        generator=torch.Generator().manual_seed(0),
    )
    items, info = buffer.sample(20_000, return_info=True)
    assert torch.equal(items, info["index"] * 10)
    share = torch.tensor([1.0, 2.0, 3.0, 0.5]) / 6.5
    counts = torch.bincount(info["index"], minlength=4) / 20_000
    torch.testing.assert_close(counts, share, atol=0.015, rtol=0.0)
    weights = torch.stack([info["priority_weight"][info["index"] == i][0] for i in range(4)])
    torch.testing.assert_close(weights.float(), 1.0 / (4.0 * share))
    buffer.update_priority(torch.tensor([0, 3]), torch.tensor([100.0, 0.0]))
    assert 3 not in buffer.sample(500)  # never again

    sampler.dumps(tmp_path)
    other = WeightedSampler(torch.ones(4), alpha=0.1, beta=0.2)
    other.loads(tmp_path)
    assert other.state_dict().keys() == sampler.state_dict().keys()
    for key, value in sampler.state_dict().items():
        assert np.array_equal(other.state_dict()[key], value), key
