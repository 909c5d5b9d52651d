"""Disagreement of the ensemble about the heads, beside the realised error."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wm_dynamics.config import SIZES
from wm_dynamics.heads import HEADS
from wm_dynamics.model import WorldModel
from wm_training.inspect_disagreement import head_disagreement, member_heads
from wm_training.inspect_metrics import correlation
from wm_training.inspect_moments import measure, window_sampler
from wm_training.store import Store
from wm_training.validation import CONTEXT, filter_context

SHAPE = (3, 4, 5)  # members, moments, steps


def heads(**values):
    return {h.name: values.get(h.name, np.zeros(SHAPE)) for h in HEADS}


def spread_of(deviation):
    """(K, N, H) whose standard deviation over the members is ``deviation``."""
    members = np.array([-1.0, 0.0, 1.0]) * np.sqrt(1.5) * deviation
    return np.broadcast_to(members[:, None, None], SHAPE)


def test_members_that_agree_disagree_by_nothing():
    assert (head_disagreement(heads(progress=np.full(SHAPE, 3.0))) == 0.0).all()


def test_each_head_counts_in_its_own_unit():
    counted = len([h for h in HEADS if h.presence is None])
    for name, scale in (("lateral_deviation", 1.0), ("heading_error", 0.5), ("reward", 5.0)):
        found = head_disagreement(heads(**{name: spread_of(scale)}))
        np.testing.assert_allclose(found, 1.0 / counted, rtol=1e-6)


def test_a_leader_counts_as_far_as_the_members_believe_in_one():
    unsure = spread_of(15.0)
    assert (head_disagreement(heads(leader_gap=unsure)) == 0.0).all()
    counted = len([h for h in HEADS if h.presence is None])
    half = head_disagreement(heads(leader_gap=unsure, leader_presence=np.full(SHAPE, 0.5)))
    # gap and speed of the leader exist by half each
    np.testing.assert_allclose(half, 0.5 / (counted + 1.0), rtol=1e-6)


@pytest.mark.parametrize("size", ["tiny", "transformer"])
def test_every_member_imagines_from_its_moment(write_store, tmp_path, size):
    config = SIZES["tiny"] if size == "tiny" else SIZES["tiny"].model_copy(update={"core": size})
    model = WorldModel.untrained(config)
    store = Store.open(write_store(tmp_path / "store", episodes=4, frames=120))
    sampler = window_sampler(model, store)
    batch = sampler.windows(sampler.starts[:6])
    latent = filter_context(model, batch)
    state, actions = batch["state"][:, CONTEXT - 1], batch["action"][:, CONTEXT:]
    together = member_heads(model, latent, state, actions)
    for row in (0, 5):
        alone = filter_context(model, {n: v[row : row + 1] for n, v in batch.items()})
        with torch.inference_mode():
            one = model.imagine_members(alone, state[row], actions[row : row + 1])
        for name, value in together.items():
            np.testing.assert_allclose(value[:, row], one.heads[name].numpy(), atol=2e-3)
    assert all(v.shape == (model.members, 6, actions.shape[1]) for v in together.values())


def test_moments_know_both_kinds(write_store, tmp_path):
    model = WorldModel.untrained(SIZES["tiny"])
    store = Store.open(write_store(tmp_path / "store", episodes=4, frames=120))
    found = measure(model, store, 20)
    assert found.disagreement.shape == found.latent_disagreement.shape == found.start.shape
    assert (found.disagreement > 0).all() and (found.latent_disagreement > 0).all()
    assert not np.allclose(found.disagreement, found.latent_disagreement)


def test_the_interval_holds_the_correlation_and_needs_episodes():
    rng = np.random.default_rng(0)
    one = rng.normal(size=600)
    other = one + rng.normal(size=600)
    found = correlation(one, other, np.arange(600) // 20)
    assert found.low < found.value < found.high and found.high - found.low < 0.25
    assert correlation(one, other, np.zeros(600)).low is None
    assert correlation(one, np.ones(600), np.arange(600) // 20).value is None
