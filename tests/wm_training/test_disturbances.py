"""Disturbances do what their name says, and nothing to their input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wm_perception.frame import Command, LightState, Objects
from wm_training.disturbances import (
    DELAY_FRAMES,
    GONE_FRAMES,
    HELD_FRAMES,
    HELD_POSE_FRAMES,
    ODOMETRY,
    SPEED_SCALE,
    SURROUNDINGS,
    YAW_OFFSET_RAD,
)
from wm_training.picture_faults import PICTURE_FAULTS

FAULTS = ODOMETRY | SURROUNDINGS


@pytest.fixture
def frames(road):
    """A straight drive behind a moving car; every frame has another command."""
    found = []
    for i in range(60):
        frame = road.frame(0.5 * i, number=i, cars=road.car(20.0 + 0.5 * i, speed=5.0))
        ego = replace(frame.ego, command=Command(0.0, i / 100))
        found.append(replace(frame, ego=ego))
    return found


def changed(name, frames, seed=0):
    return FAULTS[name](frames, np.random.default_rng(seed))


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_seeded_and_leave_their_input_alone(name, frames):
    before = [(f.ego, f.objects.poses.copy(), dict(f.light_states)) for f in frames]
    one, two = changed(name, frames), changed(name, frames)
    assert len(one) == len(frames)
    for a, b, frame in zip(one, two, frames, strict=True):
        assert a.ego == b.ego and a.light_states == b.light_states
        assert a.stamp_ns == frame.stamp_ns and a.ego.command == frame.ego.command
        np.testing.assert_array_equal(a.objects.poses, b.objects.poses)
    for frame, (ego, poses, lights) in zip(frames, before, strict=True):
        assert frame.ego == ego and frame.light_states == lights
        np.testing.assert_array_equal(frame.objects.poses, poses)


@pytest.mark.parametrize("name", ODOMETRY)
def test_odometry_faults_leave_the_surroundings_alone(name, frames):
    for frame, as_it_was in zip(changed(name, frames), frames, strict=True):
        assert frame.objects is as_it_was.objects


def test_odometry(frames):
    x = np.array([f.ego.x for f in frames])

    def poses(name):
        return np.array([(f.ego.x, f.ego.yaw, f.ego.speed_mps) for f in changed(name, frames)]).T

    assert 0.2 < (poses("odometry_noise")[0] - x).std() < 0.7
    assert np.abs(poses("odometry_turned")[1]) == pytest.approx(YAW_OFFSET_RAD)
    stutter = poses("odometry_stutter")[0]
    assert len(set(stutter)) == pytest.approx(60 / HELD_POSE_FRAMES, abs=1)
    frozen = poses("odometry_frozen")[0]
    assert (frozen[:15] == x[:15]).all() and len(set(frozen[30:])) == 1
    late = poses("odometry_delay")[0]
    assert (late[DELAY_FRAMES:] == x[:-DELAY_FRAMES]).all()
    assert poses("speed_scale")[2] == pytest.approx(5.0 * SPEED_SCALE)


def test_surroundings(frames):
    def seen(name):
        return [f.objects for f in changed(name, frames)]

    flicker = [len(objects) for objects in seen("objects_flicker")]
    assert 15 < sum(flicker) < 45
    gone = np.array([len(objects) for objects in seen("objects_gone")])
    assert np.flatnonzero(np.diff(gone)).size == pytest.approx(60 / GONE_FRAMES, abs=1)
    noise = [o.poses[0, 0] - f.objects.poses[0, 0] for o, f in
             zip(seen("objects_noise"), frames, strict=True)]  # fmt: skip
    assert 0.8 < np.std(noise) < 2.5
    held = {float(objects.poses[0, 0]) for objects in seen("objects_stutter")}
    assert len(held) == pytest.approx(60 / HELD_FRAMES, abs=1)
    lights = [f.light_states[7] for f in changed("lights_wild", frames)]
    assert {LightState.RED, LightState.GREEN} == set(lights)


def test_nobody_about_is_no_trouble(frames):
    empty = [replace(f, objects=Objects(), light_states={}) for f in frames]
    for name in SURROUNDINGS:
        assert all(len(f.objects) == 0 for f in changed(name, empty))


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(1)
    coarse = rng.integers(30, 200, (20, 10, 18, 3), np.uint8)
    return coarse.repeat(8, 1).repeat(8, 2)


@pytest.mark.parametrize("name", PICTURE_FAULTS)
def test_picture_faults(name, pictures):
    before = pictures.copy()
    one, two = (PICTURE_FAULTS[name](pictures, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(pictures, before)
    assert one.shape == pictures.shape and one.dtype == np.uint8
    assert (one != pictures).any((1, 2, 3))[-1]


def test_what_picture_faults_do(pictures):
    def made(name):
        return PICTURE_FAULTS[name](pictures, np.random.default_rng(3)).astype(float)

    def edges(images):
        return np.abs(np.diff(images, axis=2)).mean()

    assert made("camera_black").max() == 0
    assert np.ptp(made("camera_frozen")[10:], axis=0).max() == 0
    assert edges(made("camera_blur")) < edges(pictures.astype(float)) < edges(made("camera_noise"))
    assert made("camera_overexposed").mean() > 1.2 * pictures.mean()
    dirt = made("camera_dirt") != pictures
    assert 0.02 < dirt.any(-1).mean() < 0.9
    covered = (made("camera_covered") == 12).all((0, 1, 3))
    assert covered.sum() == int(0.4 * 144)
