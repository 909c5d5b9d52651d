"""Collecting training data from the small town, in process."""

from __future__ import annotations

import numpy as np
import pytest

from wm_perception.camera_stream import FRONT
from wm_perception.frame import Command
from wm_sim.weather import PRESETS
from wm_sim.world import World
from wm_training.collect import MIXES, CollectJob, collect_town, taught
from wm_training.perturbed import HABITS
from wm_training.store import Store
from wm_training.store_columns import TEACHER
from wm_training.weather_split import COLLECTED, HELD_OUT

FRAMES = 250


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """Collects once per seed; crowded streets and careless drivers."""
    stores: dict[tuple[int, int], Store] = {}

    def collect(seed: int, take: int = 0) -> Store:
        if (seed, take) not in stores:
            path = tmp_path_factory.mktemp("collected") / "tiny"
            collect_town(CollectJob("tiny", FRAMES, seed, path, "dense"))
            stores[seed, take] = Store.open(path)
        return stores[seed, take]

    return collect


def test_the_same_seed_collects_the_same_frames(collected):
    assert collected(1).hash == collected(1, take=1).hash
    assert collected(1).hash != collected(2).hash


def test_the_store_holds_what_was_asked_for(collected):
    store = collected(1)
    mix = MIXES["dense"]
    lengths = np.diff(store.starts)
    assert store.frames >= FRAMES
    assert store.frames - lengths[-1] < FRAMES, "nothing is collected beyond the last episode"
    assert lengths.max() <= mix.max_frames + 1
    for info in store.infos:
        assert info["town"] == "tiny"
        assert info["habit"] in mix.shares
        assert info["traffic"] in mix.traffic


def test_columns_agree_with_each_other(collected):
    store = collected(1)
    speed = store.columns["state"][:, 0] * 10.0
    motion = store.columns["motion"]
    first = np.isin(np.arange(store.frames), store.starts[:-1])
    assert not motion[first].any()
    halted = store.label("collision") > 0  # a crash stops the ego within the frame
    driving = ~first & ~halted & ~np.roll(halted, 1)
    travelled = np.hypot(motion[driving, 0], motion[driving, 1])
    np.testing.assert_allclose(travelled, 0.1 * speed[driving], atol=0.06)
    np.testing.assert_allclose(store.columns["command"], store.columns["state"][:, 2:4], atol=1e-6)
    assert np.abs(store.columns["command"]).max() <= 1.0


def test_labels_are_sane(collected):
    store = collected(1)
    for name in ("leader_present", "stop_present", "near", "collision", "off_road", "cont"):
        assert set(np.unique(store.label(name))) <= {0.0, 1.0}
    for name in ("leader_gap", "stop_distance"):
        assert store.label(name).min() >= 0.0 and store.label(name).max() <= 40.0
    assert 0.02 < store.label("leader_present").mean() < 0.98
    assert (store.label("leader_speed")[store.label("leader_present") == 0] == 0).all()
    distance = store.columns["motion"][:, 0].sum()
    assert store.label("progress").sum() == pytest.approx(distance, rel=0.1)
    assert all(episode.any() for episode in store.bev)


def test_every_share_of_a_mix_names_a_habit():
    for mix in MIXES.values():
        assert set(mix.shares) <= set(HABITS)
        assert sum(mix.shares.values()) == pytest.approx(1.0)


def test_a_mixed_collection_meets_everybody():
    mix, rng = MIXES["mixed"], np.random.default_rng(0)
    worlds = [mix.world(rng, 30) for _ in range(40)]
    for kind in ("trucks", "cyclists", "parked"):
        counts = {getattr(world, kind) for world in worlds}
        assert min(counts) == 0 and max(counts) <= 9 and len(counts) > 3
    assert {world.pedestrians for world in worlds} == set(mix.people)


def test_a_mix_of_cars_draws_nothing_for_others():
    rng = np.random.default_rng(0)
    assert MIXES["standard"].world(rng, 30) == World()
    assert rng.integers(1 << 30) == np.random.default_rng(0).integers(1 << 30)


def test_weather_is_collected_or_held_out():
    assert set(COLLECTED) | set(HELD_OUT) == set(PRESETS)
    assert HELD_OUT and not set(COLLECTED) & set(HELD_OUT)


def test_lessons_hold_a_teachers_wish_for_every_frame(tmp_path):
    collect_town(CollectJob("tiny", FRAMES, 4, tmp_path / "taught", "lessons"))
    store = Store.open(tmp_path / "taught")
    wished, done = store.columns[TEACHER], store.columns["command"]
    assert wished.shape == (store.frames, 2) and abs(wished).max() <= 1.0
    difference = abs(wished[:-1] - done[1:]).max(1)  # a command is told by the frame after it
    assert np.median(difference) < 0.15 < difference.max(), "mostly done, sometimes pushed away"
    both = Store.open(tmp_path / "taught", tmp_path / "taught")
    assert len(both.columns[TEACHER]) == 2 * store.frames


def test_a_wish_to_back_up_is_one_to_brake():
    wishes = [Command(0.1, 0.5), Command(0.0, 0.3, reverse=True)]
    np.testing.assert_allclose(taught(wishes), [[0.1, 0.5], [0.0, -0.3], [0.0, -0.3]])


@pytest.mark.camera
def test_pictures_are_collected_in_many_weathers(tmp_path):
    def collect(name: str, camera: bool) -> Store:
        path = tmp_path / name
        collect_town(CollectJob("tiny", FRAMES, 4, path, "mixed", camera=camera))
        return Store.open(path)

    seen, again = collect("seen", True), collect("again", True)
    assert seen.hash == again.hash, "the same seed renders the same pictures"
    assert list(seen.images) == [FRONT.camera] and not seen.ages[FRONT.camera].any()
    for pictures in seen.images[FRONT.camera]:
        assert pictures.shape[1:] == (FRONT.height, FRONT.width, 3)
        assert pictures.dtype == np.uint8 and pictures[0].std() > 5.0
    weather = {info["weather"] for info in seen.infos}
    assert weather <= set(COLLECTED) and len(weather) > 1
    moving = seen.columns["state"][1:, 0] > 0.3
    first = np.concatenate(seen.images[FRONT.camera])
    changed = (first[1:] != first[:-1]).any((1, 2, 3))
    assert changed[moving].all(), "no picture stands in for another"
    assert not collect("unseen", False).images
