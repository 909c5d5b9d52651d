"""Faults in process: the same text as over ROS does the same to frames and commands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_perception.frame import Command, EgoState, Objects, SceneFrame
from wm_training.frame_faults import FrameFaults

FRAMES = [SceneFrame(k * 100_000_000, EgoState(float(k), 2.0, 0.0, 5.0)) for k in range(400)]


def seen(text, seed=0):
    faults = FrameFaults(text, seed)
    return [faults.sense(frame) for frame in FRAMES]


def test_without_a_fault_nothing_is_touched():
    faults = FrameFaults("", 0)
    command = Command(0.1, 0.2)
    assert all(faults.sense(frame) is frame for frame in FRAMES)
    assert faults.act(command) is command


def test_the_speed_is_wrong_and_nothing_else():
    low = seen("speedometer:scale:0.8")
    assert {frame.ego.speed_mps for frame in low} == {4.0}
    assert [replace(f, ego=replace(f.ego, speed_mps=5.0)) for f in low] == FRAMES
    noise = np.array([frame.ego.speed_mps for frame in seen("speedometer:noise:0.5")]) - 5.0
    assert noise.std() == pytest.approx(0.5, rel=0.15)
    assert abs(noise.mean()) < 0.1


def test_the_position_scatters():
    off = np.array([[f.ego.x, f.ego.y] for f in seen("odometry.pose.pose.position:noise:1")])
    off -= np.array([[f.ego.x, f.ego.y] for f in FRAMES])
    assert off.std(0) == pytest.approx([1.0, 1.0], rel=0.15)
    assert abs(np.corrcoef(off.T)[0, 1]) < 0.2


def test_road_users_scatter_each_for_itself():
    others = Objects(np.arange(500), np.ones((500, 3)))
    frame = replace(FRAMES[0], objects=others)
    faults = FrameFaults("objects.objects.pose.position:noise:2", 0)
    first, second = (faults.sense(frame).objects.poses for _ in range(2))
    assert (others.poses == 1.0).all() and (first[:, 2] == 1.0).all()
    assert (first[:, :2] - 1.0).std(0) == pytest.approx([2.0, 2.0], rel=0.15)
    assert abs(np.corrcoef(first[:, 0], first[:, 1])[0, 1]) < 0.2
    assert not np.array_equal(first, second)


def moving(count=20):
    """One road user that moves a metre a frame, and one that stands."""
    for k, frame in enumerate(FRAMES[:count]):
        yield replace(frame, objects=Objects(np.arange(2), np.array([[k, 0, 0], [9.0, 9, 0]])))


def test_road_users_stay_where_they_were_last_seen():
    faults = FrameFaults("objects:freeze@0.5+0.3,objects:freeze@1.2+0.2", 0)
    places = [faults.sense(frame).objects.poses[0, 0] for frame in moving()]
    assert places == [0, 1, 2, 3, 4, 4, 4, 4, 8, 9, 10, 11, 11, 11, 14, 15, 16, 17, 18, 19]
    from_the_start = FrameFaults("objects:freeze", 0)
    assert {from_the_start.sense(frame).objects.poses[0, 0] for frame in moving()} == {0.0}
    lost = FrameFaults("odometry:drop:2,objects:freeze@0.3", 0)
    kept = [frame and frame.objects.poses[0, 0] for frame in map(lost.sense, moving(6))]
    assert kept == [0, None, 2, None, 2, None]


def test_some_road_users_are_not_seen():
    others = Objects(np.arange(5), np.zeros((5, 3)))
    frame = replace(FRAMES[0], objects=others)

    def left(text, frame=frame):
        return FrameFaults(text, 0).sense(frame).objects.ids.tolist()

    assert left("objects.objects:wrong_size:0.5") == [0, 1]
    assert left("objects.objects:wrong_size:0.99") == [0, 1, 2, 3]
    assert (
        left("objects.objects:wrong_size:0") == left("objects.objects:wrong_size", FRAMES[0]) == []
    )


def test_the_picture_is_bright_or_noisy():
    grey = np.full((40, 60, 3), 100, np.uint8)
    frame = replace(FRAMES[0], image=grey)
    assert (FrameFaults("image:scale:0.5", 0).sense(frame).image == 50).all()
    assert (FrameFaults("image:scale:9", 0).sense(frame).image == 255).all()
    noisy = FrameFaults("image:noise:20", 0).sense(frame).image
    assert noisy.dtype == np.uint8 and (grey == 100).all()
    assert (noisy.mean(), noisy.std()) == pytest.approx((100.0, 20.0), rel=0.05)
    assert seen("image:noise:20") == FRAMES  # nobody looks at a picture


def test_frames_are_lost():
    assert sum(frame is None for frame in seen("odometry:drop:0.2")) == pytest.approx(80, abs=25)
    third = [k for k, frame in enumerate(seen("odometry:drop:3")) if frame is None]
    assert third[:3] == [2, 5, 8]


def test_commands_act_late():
    faults = FrameFaults("vehicle_control_cmd:delay:2", 0)
    acted = []
    for k, frame in enumerate(FRAMES[:5]):
        faults.sense(frame)
        acted.append(faults.act(Command(0.0, 0.1 * (k + 1))).accel)
    assert acted == pytest.approx([0.0, 0.0, 0.1, 0.2, 0.3])


def test_a_fault_has_its_time_and_its_chance():
    hit = [k for k, f in enumerate(seen("speedometer:scale:0@5+1")) if f.ego.speed_mps == 0.0]
    assert hit == list(range(50, 60))
    half = [f for f in seen("speedometer:scale:0%0.5") if f.ego.speed_mps == 0.0]
    assert len(half) == pytest.approx(200, abs=40)


def test_two_faults_at_once():
    both = seen("speedometer:scale:0.5,odometry:drop:2")
    assert [f is None for f in both[:4]] == [False, True, False, True]
    assert {f.ego.speed_mps for f in both if f is not None} == {2.5}


def test_the_same_seed_gives_the_same_faults():
    text = "speedometer:noise:1,odometry:drop:0.3"
    assert seen(text, 4) == seen(text, 4)
    assert seen(text, 4) != seen(text, 5)


@pytest.mark.parametrize("text", ["image:drop:0.2", "speedometer:delay:2", "objects:noise:1"])
def test_what_frames_cannot_have_is_refused(text):
    with pytest.raises(UserError, match=rf"{text}: in process .*wm drive --fault {text}"):
        FrameFaults(text, 0)


def test_a_frame_has_one_stamp():
    with pytest.raises(UserError, match="objects:freeze:1: .* one stamp"):
        FrameFaults("objects:freeze:1", 0)
