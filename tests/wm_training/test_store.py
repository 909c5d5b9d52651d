"""The store gives back what was written, also after an interrupted write."""

from __future__ import annotations

import json

import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_training.store import COLUMNS, MANIFEST, Store, StoreWriter


def test_round_trip_over_two_stores(tmp_path, episode):
    rng = np.random.default_rng(0)
    first, second = episode(rng, 40), episode(rng, 50)
    with StoreWriter(tmp_path / "a") as writer:
        writer.append_episode(first, {"town": "x"})
    with StoreWriter(tmp_path / "b") as writer:
        writer.append_episode(second)
    store = Store.open(tmp_path / "a", tmp_path / "b")
    assert store.frames == 90 and list(store.starts) == [0, 40, 90]
    assert store.infos[0] == {"town": "x"}
    np.testing.assert_array_equal(store.bev[1], second["bev"])
    for key in COLUMNS[1:]:
        expected = np.concatenate([first[key], second[key]]).astype(np.float32)
        np.testing.assert_array_equal(store.columns[key], expected)
    np.testing.assert_allclose(store.label("leader_gap")[40:], second["labels"][:, 3], rtol=1e-6)


def test_hash_follows_the_content(tmp_path, write_store):
    same = [write_store(tmp_path / name, 2, seed=1) for name in "ab"]
    other = write_store(tmp_path / "c", 2, seed=2)
    assert Store.open(same[0]).hash == Store.open(same[1]).hash != Store.open(other).hash


def test_interrupted_write_keeps_finished_episodes(tmp_path, episode, write_store):
    path = write_store(tmp_path / "a", 2)
    # Killed in the middle of the third episode, and in the middle of writing the manifest.
    (path / "episode-000002").mkdir()
    (path / "episode-000002" / "bev.npy").write_bytes(b"\x93NUMPY")
    (path / (MANIFEST + ".tmp")).write_text('{"format": 1, "epis')
    assert Store.open(path).frames == 180
    with StoreWriter(path) as writer:
        writer.append_episode(episode(np.random.default_rng(5), 30))
    assert Store.open(path).frames == 210


def test_appending_needs_the_same_frame_time(tmp_path, write_store):
    path = write_store(tmp_path / "a", 1)
    with pytest.raises(UserError, match="append with the same"):
        StoreWriter(path, frame_dt=0.05)


def test_bad_episodes_are_refused(tmp_path, episode):
    writer = StoreWriter(tmp_path / "a")
    good = episode(np.random.default_rng(0), 30)
    with pytest.raises(ValueError, match="lacks the columns"):
        writer.append_episode({k: v for k, v in good.items() if k != "motion"})
    with pytest.raises(ValueError, match="not finite"):
        writer.append_episode(good | {"state": np.full((30, 5), np.nan)})
    with pytest.raises(ValueError, match="expected 30 rows"):
        writer.append_episode(good | {"route": np.zeros((29, 20))})
    with pytest.raises(ValueError, match="width 3, expected 2"):
        writer.append_episode(good | {"command": np.zeros((30, 3))})
    with pytest.raises(UserError, match="no finished episode"):
        Store.open(tmp_path / "a")


def test_what_is_no_store_says_so(tmp_path, write_store):
    with pytest.raises(UserError, match="is no training store"):
        Store.open(tmp_path)
    path = write_store(tmp_path / "a", 1)
    (path / MANIFEST).write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        Store.open(path)
    (path / MANIFEST).write_text(json.dumps({"format": 99}))
    with pytest.raises(UserError, match="has format 99"):
        Store.open(path)


def test_a_damaged_episode_is_named(tmp_path, write_store):
    path = write_store(tmp_path / "a", 2)
    (path / "episode-000001" / "state.npy").write_bytes(b"")
    with pytest.raises(UserError, match="episode-000001 is damaged"):
        Store.open(path)
