"""Comfort and efficiency of drives that are made by formula."""

from __future__ import annotations

import numpy as np
import pytest

from wm_perception.frame import EgoState, ObjectClass, Objects, SceneFrame
from wm_training.bench2drive import (
    comfortness,
    driving_efficiency,
    savitzky_golay,
    speed_percent,
)
from wm_training.drive_log import DriveLog


def log_of(speeds, yaw_rates=None, traffic=float("nan"), dt=0.1):
    speeds = np.asarray(speeds, float)
    rates = np.zeros(len(speeds)) if yaw_rates is None else np.broadcast_to(yaw_rates, speeds.shape)
    stations = np.cumsum(speeds * dt)
    stamps_ns = [round(k * dt * 1e9) for k in range(len(speeds))]
    return DriveLog(
        stamps_ns, list(stations), list(speeds), list(rates),
        [traffic] * len(speeds), [0.0] * len(speeds), [False] * len(speeds),
    )  # fmt: skip


def test_the_filter_is_savitzky_and_golays():
    smooth, slope = savitzky_golay(20)
    assert smooth[9, 6:13] * 21 == pytest.approx([-2, 3, 6, 7, 6, 3, -2])
    assert slope[9, 6:13] * 28 == pytest.approx([-3, -2, -1, 0, 1, 2, 3])
    t = np.arange(20.0)
    parabola = 3.0 + 2.0 * t - 0.5 * t**2
    assert smooth @ parabola == pytest.approx(parabola), "at the ends too"
    assert slope @ parabola == pytest.approx(2.0 - t)


def test_an_even_drive_is_comfortable():
    assert comfortness(log_of(np.full(60, 8.0))) == 100.0
    gentle = 0.2 * np.arange(60)  # 2 m/s^2, from the first frame on
    assert comfortness(log_of(gentle)) == pytest.approx(200 / 3), "only its beginning is a jerk"


@pytest.mark.parametrize(
    "about",
    [
        {"speeds": 2.0 + 0.26 * np.arange(40)},  # accelerates by 2.6 m/s^2
        {"speeds": 30.0 - 0.45 * np.arange(40)},  # brakes by 4.5 m/s^2
        {"speeds": np.full(40, 10.0), "yaw_rates": 0.5},  # 5 m/s^2 across
        {"speeds": np.full(40, 1.0), "yaw_rates": 1.0},  # turns by 1 rad/s
        {"speeds": 9.0 + np.cumsum(0.18 * (-1.0) ** (np.arange(40) // 10))},  # jerks
    ],
)
def test_each_bound_makes_a_drive_uncomfortable(about):
    assert comfortness(log_of(**about)) == 0.0


def test_comfort_is_counted_by_pieces_of_twenty_frames():
    speeds = np.concatenate([np.full(40, 10.0), 10.0 - 0.5 * np.arange(20)])
    assert comfortness(log_of(speeds)) == pytest.approx(200 / 3)
    assert comfortness(log_of(speeds[:50])) == 100.0, "what is left over does not count"
    assert comfortness(log_of(np.full(15, 5.0))) == 100.0, "a short drive is one piece"
    assert comfortness(log_of(np.full(5, 5.0))) is None


def test_efficiency_is_the_speed_against_the_traffics():
    steady = np.full(400, 6.0)
    assert driving_efficiency(log_of(steady, traffic=4.0), 240.0) == pytest.approx(150.0)
    assert driving_efficiency(log_of(steady), 240.0) is None, "nobody else was there"
    assert driving_efficiency(log_of(steady, traffic=0.1), 240.0) is None, "off the scale"


def test_a_checkpoint_is_passed_every_so_many_metres():
    speeds = np.concatenate([np.full(100, 2.0), np.full(200, 4.0)])  # 20 m, then 80 m
    log = log_of(speeds, traffic=4.0)
    quarters = speed_percent(log, 100.0, 4)
    assert len(quarters) == 4
    # 20 m at half the traffic's speed and 5 m at all of it: (100 * 2 + 12.5 * 4) / 112.5 = 2.22
    assert quarters[0] == pytest.approx(55.6, abs=0.5)
    assert quarters[1:] == pytest.approx([100.0] * 3)
    assert len(speed_percent(log, 200.0, 4)) == 1, "half the way, one of four checkpoints closed"


def test_without_traffic_nothing_is_missing():
    assert speed_percent(log_of(np.full(100, 5.0)), 50.0, 2) == [100.0, 100.0]


def frame_with(kinds, speeds, stamp=0):
    count = len(kinds)
    objects = Objects(
        np.arange(count), np.zeros((count, 3)), np.stack([speeds, np.zeros(count)], 1),
        np.ones((count, 2)), np.array(kinds, np.uint8),
    )  # fmt: skip
    return SceneFrame(stamp, EgoState(0.0, 0.0, 0.0, 3.0), objects)


def test_traffic_is_who_has_wheels_and_has_moved():
    car, walker = ObjectClass.CAR, ObjectClass.PEDESTRIAN
    log = DriveLog()
    log.add(frame_with([car, car, walker], [0.0, 4.0, 1.0]), 0.0, 0.0, False)
    log.add(frame_with([car, car, walker], [0.0, 0.0, 1.0]), 0.0, 0.0, False)
    log.add(frame_with([walker], [1.0]), 0.0, 0.0, False)
    assert log.traffic_mps[:2] == [4.0, 0.0], "who waits counts, who is parked does not"
    assert np.isnan(log.traffic_mps[2])
