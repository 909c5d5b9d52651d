"""Windows stay inside episodes, compose frames rightly, and meet what matters."""

from __future__ import annotations

import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_training.sampler import CLOSE_M, WindowSampler, compose_motion, stride_columns
from wm_training.store import Store, StoreWriter


def test_composed_motion_reaches_the_same_pose():
    rng = np.random.default_rng(0)
    motions = rng.normal(0, 0.5, (10, 3, 3))
    for row, total in zip(motions, compose_motion(motions), strict=True):
        pose = np.eye(3)
        for dx, dy, yaw in row:
            step = [[np.cos(yaw), -np.sin(yaw), dx], [np.sin(yaw), np.cos(yaw), dy], [0, 0, 1]]
            pose = pose @ np.array(step)
        np.testing.assert_allclose(total[:2], pose[:2, 2], atol=1e-12)
        assert np.cos(total[2]) == pytest.approx(pose[0, 0])


def test_a_step_stands_for_its_whole_interval(tmp_path, episode):
    data = episode(np.random.default_rng(1), 60)
    with StoreWriter(tmp_path) as writer:
        writer.append_episode(data)
    store = Store.open(tmp_path)
    columns = stride_columns(store, 2)
    t = 59  # the collision happens at the last frame
    np.testing.assert_allclose(columns["action"][t], data["command"][58:].mean(0), rtol=1e-5)
    progress, collision, cont = (store.labels.index(n) for n in ("progress", "collision", "cont"))
    total = data["labels"][58:, progress].sum()
    assert columns["labels"][t, progress] == pytest.approx(total, rel=1e-5)
    assert columns["labels"][t, collision] == 1.0 and columns["labels"][t, cont] == 0.0
    assert columns["labels"][t - 1, collision] == 0.0
    expected = compose_motion(data["motion"][58:])
    np.testing.assert_allclose(columns["motion"][t], expected, rtol=1e-5)


def test_windows_stay_in_their_episode_and_mask_what_is_beyond(tmp_path, write_store):
    store = Store.open(write_store(tmp_path, 3, frames=50))
    sampler = WindowSampler(store, 20, 2, min_steps=10)
    last_start = sampler.starts[sampler.starts < 50].max()
    batch = sampler.windows(np.array([1, last_start]))
    assert batch["bev"].shape == (2, 20, 64, 64)
    assert batch["mask"][0].sum() == 20 and batch["mask"][1].sum() == 10
    end = batch["labels"][1, 9:, store.labels.index("collision")]
    assert (end == end[0]).all()  # repeats the last frame of the same episode
    assert (batch["action"][:, 0] == 0).all() and (batch["motion"][:, 0] == 0).all()
    frames = np.arange(1, 41, 2)
    np.testing.assert_array_equal(batch["bev"][0], store.bev[0][frames])


def test_the_mixture_has_its_share_of_events(tmp_path, write_store):
    store = Store.open(write_store(tmp_path, 8, frames=300))
    sampler = WindowSampler(store, 20, 2, seed=1)
    batch = sampler.batch(200)
    column = {name: i for i, name in enumerate(store.labels)}
    labels = batch["labels"]
    hot = labels[..., column["collision"]].amax(1)
    assert hot.mean() > 0.15
    close = labels[..., column["leader_present"]] * (labels[..., column["leader_gap"]] < CLOSE_M)
    assert close.amax(1).mean() > 0.2


def test_sampling_continues_exactly(tmp_path, write_store):
    store = Store.open(write_store(tmp_path, 2))
    first = WindowSampler(store, 10, 2, seed=4)
    first.batch(3)
    state = first.state()
    expected = first.batch(5)
    second = WindowSampler(store, 10, 2, seed=9)
    second.restore(state)
    for key, value in second.batch(5).items():
        assert (value == expected[key]).all(), key


def test_too_short_episodes(tmp_path, episode):
    with StoreWriter(tmp_path) as writer:
        writer.append_episode(episode(np.random.default_rng(1), 12))
    with pytest.raises(UserError, match="no episode is long enough"):
        WindowSampler(Store.open(tmp_path), 20, 2)
