"""Episodes go out as .npz files and come back the same; what is malformed is refused."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from wm_dynamics.errors import UserError
from wm_training.npz_episodes import export_store, read_episode
from wm_training.npz_file import EpisodeError
from wm_training.npz_import import import_episodes
from wm_training.store import Store, StoreWriter
from wm_training.store_columns import COLUMNS, camera_columns
from wm_training.store_manifest import describe, read_episodes, read_manifest, verify

QUIET = Console(quiet=True)


def four(frames: int = 40, **changes) -> dict:
    """A foreign episode: RGB pictures and the four arrays only."""
    rng = np.random.default_rng(3)
    arrays = {
        "observations": rng.integers(0, 255, (frames, 3, 8, 8), dtype=np.uint8),
        "actions": np.column_stack(
            [np.full(frames, -0.5), np.full(frames, 0.25), np.zeros(frames)]
        ),
        "rewards": rng.normal(size=frames),
        "dones": np.arange(frames) == frames - 1,
        "frame_dt": 0.1,
        "steer_sign": "right",
    }
    return {name: value for name, value in (arrays | changes).items() if value is not None}


def write(path: Path, arrays: dict) -> Path:
    np.savez(path, **arrays)
    return path


def read_all(path: Path) -> list:
    return [columns for _, columns in read_episodes(path, read_manifest(path))]


def test_a_store_comes_back_the_same(tmp_path, write_store):
    store = write_store(tmp_path / "store", 3)
    assert export_store(store, tmp_path / "out") == 3
    import_episodes(tmp_path / "out", tmp_path / "back", None, None, QUIET)
    before, after = read_manifest(store), read_manifest(tmp_path / "back")
    assert before == after
    assert Store.open(store).hash == Store.open(tmp_path / "back").hash
    verify(tmp_path / "back")


def test_what_the_file_holds(tmp_path, episode):
    columns = episode(np.random.default_rng(0), 30)
    columns["command"] = np.tile([[0.5, 0.75], [-0.25, -1.0]], (15, 1))
    with StoreWriter(tmp_path / "store") as writer:
        writer.append_episode(columns, {"town": "x"})
    export_store(tmp_path / "store", tmp_path / "out")
    with np.load(tmp_path / "out" / "episode-000000.npz", allow_pickle=False) as file:
        arrays = dict(file)
    assert arrays["observations"].shape == (30, 6, 64, 64)
    assert set(np.unique(arrays["observations"])) == {0, 1}
    np.testing.assert_array_equal(arrays["observations"][:, 3], (columns["bev"] & 8) > 0)
    # steer left-positive, throttle, brake
    np.testing.assert_allclose(arrays["actions"][:2], [[0.5, 0.75, 0.0], [-0.25, 0.0, 1.0]])
    assert str(arrays["steer_sign"]) == "left"
    assert arrays["dones"].tolist() == [False] * 29 + [True]
    assert arrays["rewards"].dtype == np.float32
    assert json.loads(str(arrays["info"])) == {"town": "x"}


def test_pictures_come_back_too(tmp_path, episode):
    rng = np.random.default_rng(0)
    extra = {
        "image-front": rng.integers(0, 255, (30, 8, 8, 3), dtype=np.uint8),
        "age-front": np.where(np.arange(30) % 3, 0.05, np.nan),
        "image-depth": rng.uniform(0, 50, (30, 8, 8)),
        "age-depth": np.zeros(30),
    }
    columns = (*COLUMNS, *camera_columns(["front", "depth"]))
    with StoreWriter(tmp_path / "store", columns=columns) as writer:
        writer.append_episode(episode(rng, 30) | extra)
    export_store(tmp_path / "store", tmp_path / "out")
    import_episodes(tmp_path / "out", tmp_path / "back", None, None, QUIET)
    assert read_manifest(tmp_path / "store") == read_manifest(tmp_path / "back")
    store = Store.open(tmp_path / "back")
    np.testing.assert_array_equal(store.images["front"][0], extra["image-front"])
    assert store.images["depth"][0].dtype == np.float16
    assert np.isnan(store.ages["front"][::3]).all()


def test_export_does_not_overwrite(tmp_path, write_store):
    store = write_store(tmp_path / "store", 1)
    export_store(store, tmp_path / "out")
    with pytest.raises(UserError, match="exists already"):
        export_store(store, tmp_path / "out")


def test_a_foreign_episode_is_kept_as_far_as_it_goes(tmp_path):
    file = write(tmp_path / "a.npz", four())
    console = Console(record=True, width=500, file=(tmp_path / "said").open("w"))
    import_episodes(file, tmp_path / "store", None, None, console)
    said = console.export_text()
    assert "cannot be trained" in said and "the column motion" in said and "stop_distance" in said
    (columns,) = read_all(tmp_path / "store")
    np.testing.assert_allclose(columns["command"][0], [0.5, 0.25])  # right-positive became left
    assert columns["labels"][-1, 1] == 0.0
    with pytest.raises(UserError, match="lacks bev, state, route, motion"):
        Store.open(tmp_path / "store")
    assert "40 frames" in next(describe(tmp_path / "store"))
    export_store(tmp_path / "store", tmp_path / "out")
    back = read_episode(tmp_path / "out" / "episode-000000.npz")
    np.testing.assert_array_equal(back.arrays["observations"], four()["observations"])


def test_brake_wins_over_throttle(tmp_path):
    actions = np.tile([0.1, 0.6, 0.3], (40, 1))
    episode = read_episode(write(tmp_path / "a.npz", four(actions=actions, steer_sign="left")))
    np.testing.assert_allclose(episode.arrays["command"][0], [0.1, -0.3])


def test_a_foreign_episode_with_everything_trains(tmp_path, write_store):
    store = write_store(tmp_path / "store", 1)
    export_store(store, tmp_path / "out")
    with np.load(tmp_path / "out" / "episode-000000.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    for name in ("format", "columns", "sha256", "info", "command"):
        del arrays[name]
    import_episodes(write(tmp_path / "b.npz", arrays), tmp_path / "full", None, None, QUIET)
    assert Store.open(tmp_path / "full").hash == Store.open(store).hash


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"rewards": None}, "no array rewards"),
        ({"observations": np.zeros((40, 8, 8))}, r"observations has shape \(40, 8, 8\)"),
        ({"actions": np.zeros((40, 2))}, r"actions has shape \(40, 2\), expected \(T, 3\)"),
        ({"actions": np.full((40, 3), 0.5)[:39]}, "actions has 39 rows, observations 40"),
        ({"actions": np.full((40, 3), 7.0)}, "beyond steer -1 to 1"),
        ({"actions": np.full((40, 3), np.nan)}, "actions holds values that are not finite"),
        ({"rewards": np.full(40, np.inf)}, "rewards holds values that are not finite"),
        ({"rewards": np.array(["a"] * 40)}, "rewards holds <U1, not numbers"),
        ({"dones": np.full(40, 2)}, "other values than 0 and 1"),
        ({"steer_sign": None}, "add --steer-sign left"),
        ({"steer_sign": "up"}, "add --steer-sign left"),
        ({"frame_dt": -1.0}, "no positive number"),
        ({"frame_dt": None}, "add --frame-dt"),
        ({"observations": np.zeros((40, 0, 8, 8))}, r"frames of shape \(0, 8, 8\)"),
        ({"actions": np.array([{}] * 40)}, "Python objects"),
        ({"state": np.zeros((40, 4))}, "width 4, expected 5"),
        ({"format": "wm-drive episode 99"}, "its format is 'wm-drive episode 99'"),
    ],
)
def test_malformed_episodes_are_refused_with_the_reason(tmp_path, changes, text, capsys):
    write(tmp_path / "a.npz", four(**changes))
    console = Console(width=500)
    with pytest.raises(UserError, match="1 of 1 files refused"):
        import_episodes(tmp_path / "a.npz", tmp_path / "store", None, None, console)
    said = capsys.readouterr().out
    assert re.search(text, said), said
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("kept", [0, 10, 500, 5000])
def test_files_that_are_cut_off_are_refused(tmp_path, kept, write_store):
    export_store(write_store(tmp_path / "store", 1), tmp_path / "out")
    file = tmp_path / "out" / "episode-000000.npz"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(EpisodeError, match="cut off or damaged"):
        read_episode(file)


def test_any_flipped_byte_is_noticed_or_harmless(tmp_path, write_store):
    export_store(write_store(tmp_path / "store", 1, frames=40), tmp_path / "out")
    file = tmp_path / "out" / "episode-000000.npz"
    whole = file.read_bytes()
    before = read_episode(file)
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(whole), 60):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        try:
            after = read_episode(file)
        except EpisodeError:
            continue
        for name in before.columns:
            np.testing.assert_array_equal(before.arrays[name], after.arrays[name])


def test_files_that_claim_to_be_huge_are_not_unpacked(tmp_path):
    header = {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 1, 1, 1)}
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w") as archive,
        archive.open("observations.npy", "w") as member,
    ):
        np.lib.format.write_array_header_1_0(member, header)
    with pytest.raises(EpisodeError):
        read_episode(tmp_path / "a.npz")


def test_changed_exports_are_noticed(tmp_path, write_store):
    export_store(write_store(tmp_path / "store", 1), tmp_path / "out")
    file = tmp_path / "out" / "episode-000000.npz"
    with np.load(file, allow_pickle=False) as content:
        arrays = {name: content[name] for name in content.files}
    write(file, arrays | {"motion": arrays["motion"] + 1})
    with pytest.raises(EpisodeError, match="hash differs"):
        read_episode(file)
    write(file, arrays | {"actions": arrays["actions"] * 0.5})
    with pytest.raises(EpisodeError, match="actions was changed after the export"):
        read_episode(file)


def test_good_files_of_a_folder_are_taken_and_bad_ones_named(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.npz", four())
    (tmp_path / "in" / "b.npz").write_text("no zip")
    write(tmp_path / "in" / "c.npz", four(frame_dt=0.2))
    write(tmp_path / "in" / "d.npz", four(30))
    with pytest.raises(UserError, match="2 of 4 files refused"):
        import_episodes(tmp_path / "in", tmp_path / "store", None, None, Console(width=500))
    said = capsys.readouterr().out
    assert "b.npz is refused: it is no .npz file" in said
    assert "c.npz is refused: its frame_dt is 0.2, that of the store 0.1" in said
    assert [len(columns["command"]) for columns in read_all(tmp_path / "store")] == [40, 30]


def test_nothing_there(tmp_path):
    with pytest.raises(UserError, match="no .npz file at"):
        import_episodes(tmp_path / "x.npz", tmp_path / "store", None, None, QUIET)
    with pytest.raises(UserError, match="no .npz file at"):
        import_episodes(tmp_path, tmp_path / "store", None, None, QUIET)
