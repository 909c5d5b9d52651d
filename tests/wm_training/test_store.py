"""The store gives back what was written, also after an interrupted write."""

from __future__ import annotations

import json
import multiprocessing
import time

import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_training.store import COLUMNS, MANIFEST, Store, StoreWriter
from wm_training.store_manifest import verify


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
    assert not (tmp_path / "a").exists()


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


def test_old_stores_without_a_list_of_columns_are_read(tmp_path, write_store):
    path = write_store(tmp_path / "a", 1)
    manifest = json.loads((path / MANIFEST).read_text())
    del manifest["columns"]
    (path / MANIFEST).write_text(json.dumps(manifest))
    assert Store.open(path).frames == 90
    with StoreWriter(path) as writer:
        assert writer.manifest["columns"] == list(COLUMNS)


def test_masks_are_memory_mapped(tmp_path, write_store):
    store = Store.open(write_store(tmp_path / "a", 2))
    assert all(isinstance(bev, np.memmap) for bev in store.bev)


def test_a_rotten_byte_is_found(tmp_path, write_store):
    path = write_store(tmp_path / "a", 2)
    verify(path)
    file = path / "episode-000001" / "bev.npy"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(UserError, match="episode-000001 is not what was written"):
        verify(path)


def test_one_writer_at_a_time(tmp_path, episode):
    good = episode(np.random.default_rng(0), 30)
    with StoreWriter(tmp_path / "a") as first, StoreWriter(tmp_path / "a") as second:
        first.append_episode(good)
        with pytest.raises(UserError, match="another process is writing"):
            second.append_episode(good)
        first.close()
        second.append_episode(good)  # it knows of the first one's episode
    assert Store.open(tmp_path / "a").frames == 60


def write_forever(path, written) -> None:
    """Append episodes of different lengths; every mask of episode k is k % 200."""
    rng = np.random.default_rng(0)
    with StoreWriter(path) as writer:
        while True:
            frames, value = int(rng.integers(100, 400)), len(writer.manifest["episodes"]) % 200
            widths = {"state": 5, "route": 20, "command": 2, "motion": 3, "labels": 14}
            columns = {name: np.zeros((frames, width)) for name, width in widths.items()}
            writer.append_episode(columns | {"bev": np.full((frames, 64, 64), value, np.uint8)})
            written.release()


def test_a_writer_killed_at_any_moment_leaves_whole_episodes(tmp_path):
    rng = np.random.default_rng()
    context = multiprocessing.get_context("fork")  # nothing is imported again
    episodes = 0
    for _ in range(5):
        written = context.Semaphore(0)
        process = context.Process(target=write_forever, args=(tmp_path / "a", written))
        process.start()
        for _ in range(int(rng.integers(1, 6))):
            assert written.acquire(timeout=30.0)
        time.sleep(rng.uniform(0.0, 0.02))
        process.kill()
        process.join()
        verify(tmp_path / "a")
        store = Store.open(tmp_path / "a")
        assert len(store.bev) > episodes
        episodes = len(store.bev)
        for number, bev in enumerate(store.bev):
            assert (np.asarray(bev) == number % 200).all()
