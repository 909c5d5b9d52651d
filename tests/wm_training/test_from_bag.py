"""How a recording is cut into episodes."""

from __future__ import annotations

from collections import Counter

import pytest

from wm_dynamics.errors import UserError
from wm_perception.observation import GOAL_M
from wm_training.bag_frames import Moment
from wm_training.collect import FRAMES_AFTER_END
from wm_training.from_bag import frame_period, jitter, stretches, thinned

DT_NS = 100_000_000


def straight(road, start_x: float, count: int, first: int = 0, step: float = 0.5, **values):
    """``count`` frames that follow each other along the road."""
    return [road.frame(start_x + step * i, number=first + i, **values) for i in range(count)]


def cut(*drives, dropped: Counter[str] | None = None) -> list[list[int]]:
    """Frame numbers of the stretches that (frames, scene) drives are cut into."""
    pairs = [(frame, scene) for frames, scene in drives for frame in frames]
    found = stretches(pairs, 0.1, Counter() if dropped is None else dropped)
    return [[f.observation.stamp_ns // DT_NS for _, f in stretch] for stretch in found]


def test_an_unbroken_drive_is_one_episode(road):
    assert cut((straight(road, 5.0, 100), road.scene())) == [list(range(100))]


def test_a_jump_in_the_pose_cuts(road):
    frames = straight(road, 5.0, 50) + straight(road, 100.0, 40, first=50)
    assert cut((frames, road.scene())) == [list(range(50)), list(range(50, 90))]


def test_a_gap_in_time_cuts(road):
    frames = straight(road, 5.0, 50) + straight(road, 30.0, 40, first=60)
    assert cut((frames, road.scene())) == [list(range(50)), list(range(60, 100))]


def test_a_new_scene_cuts_though_the_pose_goes_on(road):
    first, second = straight(road, 5.0, 50), straight(road, 30.0, 40, first=50)
    assert cut((first, road.scene()), (second, road.scene())) == [
        list(range(50)),
        list(range(50, 90)),
    ]


def test_one_lost_frame_cuts_and_the_next_episode_starts_afresh(road):
    frames = straight(road, 5.0, 80)
    del frames[40]
    scene = road.scene()
    first, second = stretches([(f, scene) for f in frames], 0.1, Counter())
    assert [number for number, _ in second] == list(range(40, 79))
    assert first[1][1].motion[0] == pytest.approx(0.5)
    assert second[0][1].motion.tolist() == [0.0, 0.0, 0.0]
    assert second[0][1].observation.reset


def test_after_a_crash_a_few_frames_are_kept_until_the_next_episode(road):
    frames = straight(road, 5.0, 60)
    crash = [road.frame(34.5, number=60 + i, speed=0.0, collided=i == 0) for i in range(40)]
    later = straight(road, 100.0, 30, first=100)
    dropped = Counter()
    assert cut((frames + crash + later, road.scene()), dropped=dropped) == [
        list(range(61 + FRAMES_AFTER_END)),
        list(range(100, 130)),
    ]
    assert dropped == {"after_crash": 39 - FRAMES_AFTER_END}


def test_a_lost_frame_after_a_crash_begins_no_episode_in_the_wreck(road):
    frames = straight(road, 5.0, 60)
    crash = [road.frame(34.5, number=60 + i, speed=0.0, collided=i == 0) for i in range(60)]
    del crash[20]
    assert cut((frames + crash, road.scene())) == [list(range(61 + FRAMES_AFTER_END))]


def test_an_episode_ends_with_its_route(road):
    frames = straight(road, 150.0, 120)  # the route ends at 200 m, the drive at 209.5 m
    (numbers,) = cut((frames, road.scene()))
    assert numbers == list(range(int((200.0 - GOAL_M - 150.0) / 0.5)))


def test_the_frame_period_is_the_usual_one(road):
    steady = range(0, 10 * DT_NS, DT_NS)
    assert frame_period(steady) == pytest.approx(0.1)
    with_losses_and_jitter = [0, 52, 99, 150, 400, 449, 501, 501, 552]
    assert frame_period(ms * 1_000_000 for ms in with_losses_and_jitter) == pytest.approx(0.05)


@pytest.mark.parametrize("stamps", [[], [5], [7, 7, 7]])
def test_one_frame_has_no_period(stamps):
    with pytest.raises(UserError, match="fewer than two"):
        frame_period(stamps)


def test_jitter_is_told_and_lost_frames_are_not_jitter():
    assert jitter([0, 100_000_000, 200_000_000, 400_000_000], 0.1) == pytest.approx(0.0)
    assert jitter([0, 90_000_000, 200_000_000], 0.1) == pytest.approx(0.01)


def test_thinning_keeps_what_happened_in_between(road):
    frames = [road.frame(0.25 * i, number=i, collided=i == 3) for i in range(10)]
    moments = [Moment(frame, road.scene(), {}) for frame in frames]
    kept = [moment.frame for moment in thinned(moments, 0.1, 0.2)]
    assert [frame.stamp_ns // DT_NS for frame in kept] == [0, 2, 4, 6, 8]
    assert [frame.collided for frame in kept] == [False, False, True, False, False]
