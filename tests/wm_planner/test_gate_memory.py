"""What the gate remembers: frames, counts, the planner's history; and what it takes for usable."""

from __future__ import annotations

import numpy as np
import pytest

from wm_planner.gate_config import LimitsConfig
from wm_planner.gate_events import Odometry, Proposal, RouteKnown, Speed
from wm_planner.gate_frames import FrameLedger
from wm_planner.gate_history import History
from wm_planner.gate_rules import RecentCount

LIMITS = LimitsConfig()
NAN, INF = float("nan"), float("inf")
MS = 1_000_000


def test_ledger_settles_earlier_frames_with_later_ones():
    frames = FrameLedger()
    for k in range(3):
        frames.arrive(k * 10**8, 1.0 + k)
    assert frames.wait_s(4.0) == pytest.approx(3.0)
    frames.settle(10**8, 4.0)
    assert frames.is_settled(0) and frames.has_open
    assert frames.wait_s(4.0) == pytest.approx(1.0)
    frames.settle(2 * 10**8, 4.5)
    assert not frames.has_open and frames.age_s(5.0) == pytest.approx(0.5)
    frames.pause(True, 5.0)
    assert frames.age_s(50.0) == 0.0
    frames.pause(False, 50.0)
    assert frames.age_s(50.1) == pytest.approx(0.1)


def test_stamps_within_a_millisecond_are_the_same_frame():
    frames = FrameLedger()
    frames.arrive(100 * MS, 1.0)
    assert not frames.is_new(101 * MS) and frames.is_new(101 * MS + 1)
    assert frames.latency_s(101 * MS, 1.5) == pytest.approx(0.5)
    assert frames.latency_s(99 * MS, 1.5) == pytest.approx(0.5)
    assert frames.latency_s(101 * MS + 1, 1.5) is None
    assert frames.latency_s(99 * MS - 1, 1.5) is None
    frames.settle(100 * MS, 2.0)
    assert frames.is_settled(101 * MS) and not frames.is_settled(101 * MS + 1)


def test_an_answer_to_an_earlier_or_the_same_frame_changes_nothing():
    frames = FrameLedger()
    frames.arrive(100 * MS, 1.0)
    frames.settle(100 * MS, 2.0)
    frames.settle(50 * MS, 5.0)
    frames.settle(100 * MS, 6.0)
    assert frames.age_s(7.0) == pytest.approx(5.0)
    assert frames.is_settled(100 * MS) and not frames.is_settled(102 * MS)


def test_the_ledger_of_nothing():
    frames = FrameLedger()
    assert not frames.has_open
    assert (frames.wait_s(9.0), frames.age_s(9.0)) == (0.0, 0.0)
    assert frames.latency_s(0, 9.0) is None
    assert frames.is_new(-(2**62)) and not frames.paused


def test_a_frame_that_was_answered_before_it_came_is_owed_from_its_arrival():
    frames = FrameLedger()
    frames.settle(100 * MS, 1.0)
    frames.arrive(100 * MS, 3.0)
    assert not frames.has_open
    assert frames.age_s(3.5) == pytest.approx(0.5)


def test_pausing_stops_every_clock():
    frames = FrameLedger()
    frames.arrive(100 * MS, 1.0)
    frames.pause(False, 1.2)  # said again: nothing is resumed
    assert frames.wait_s(1.5) == pytest.approx(0.5)
    frames.pause(True, 1.5)
    assert frames.paused
    assert (frames.wait_s(9.0), frames.latency_s(100 * MS, 9.0)) == (0.0, 0.0)
    frames.pause(True, 9.0)
    frames.pause(False, 10.0)
    assert frames.wait_s(10.5) == pytest.approx(0.5)
    assert frames.latency_s(100 * MS, 10.5) == pytest.approx(0.5)


def test_only_the_last_frames_are_remembered():
    frames = FrameLedger()
    for k in range(70):
        frames.arrive(k * 100 * MS, float(k))
    assert frames.latency_s(6 * 100 * MS, 70.0) == pytest.approx(64.0)
    assert frames.latency_s(5 * 100 * MS, 70.0) is None
    frames.pause(True, 70.0)
    frames.pause(False, 71.0)
    frames.arrive(70 * 100 * MS, 72.0)
    assert frames.latency_s(6 * 100 * MS, 72.0) is None
    assert frames.latency_s(7 * 100 * MS, 72.0) == pytest.approx(1.0)


# ---------------------------------------------------------------------- counts


def test_a_count_is_of_frames_within_a_second():
    count = RecentCount("many", 2)
    for k in range(3):
        count.add(k * 500 * MS, True)
        count.add(k * 500 * MS, True)  # the same frame counts once
    assert (count.rule.name, count.rule.value, count.rule.limit) == ("many", 3.0, 2.0)
    assert count.rule.tripped and count.rule.unit == "1"
    count.add(1000 * MS, False)
    assert count.rule.value == 3.0
    count.add(1000 * MS + 1, False)
    assert count.rule.value == 2.0 and not count.rule.tripped


def test_the_history_knows_silence_and_repetition():
    history = History(LIMITS)
    one = Proposal(100 * MS, 0.1, 0.2, 5.0)
    assert history.silence_s(7.0) == INF and not history.is_repeated(one)
    history.judged(one)
    assert history.silence_s(7.0) == pytest.approx(2.0)
    for stamp, repeated in ((99, True), (100, True), (101, True), (101.001, False), (98, True)):
        again = Proposal(int(stamp * MS), 0.1, 0.2, 5.1)
        assert history.is_repeated(again) is repeated
    assert [rule.value for rule in history.rules] == [0.0, 0.0]


@pytest.mark.parametrize("other", [(0.1, 0.3), (0.2, 0.2)])
def test_the_history_counts_contradictions_of_the_same_frame(other):
    history = History(LIMITS)
    for k in range(6):
        stamp = k * 100 * MS
        history.judged(Proposal(stamp, 0.1, 0.2, 0.0))
        assert history.problem == ""
        history.is_repeated(Proposal(stamp - 2 * MS, *other, 0.0))  # an older frame
        assert history.rules[1].value == k
        history.is_repeated(Proposal(stamp + (-1) ** k * MS, *other, 0.0))
        assert history.rules[1].value == k + 1
    assert "contradict" in history.problem
    history.judged(Proposal(1001 * MS, 0.1, 0.2, 0.0))
    assert history.problem == ""


def test_the_history_counts_clamps_and_can_be_told_only_to_report():
    for stops in (True, False):
        history = History(LimitsConfig(persistent_stops=stops))
        for k in range(6):
            assert history.problem == ""
            history.limited(k * 100 * MS, True)
        assert ("exceeding" in history.problem) == stops
        assert history.rules[0].tripped and history.rules[0].name == "persistent_clamping"
        history.limited(1001 * MS, False)
        assert history.problem == ""


# ---------------------------------------------------------------------- events


def odometry(stamp_ns=0, x=0.0, y=0.0, yaw=0.0, speed=0.0, rate=0.0) -> Odometry:
    return Odometry(stamp_ns, 0.0, x, y, yaw, speed, rate)


@pytest.mark.parametrize("name", ["x", "y", "yaw", "speed", "rate"])
def test_odometry_that_cannot_be_used(name):
    assert odometry().is_usable
    for bad in (NAN, INF, -INF):
        assert not odometry(**{name: bad}).is_usable
    bounds = {"x": 1e7, "y": 1e7, "speed": 100.0, "rate": 100.0}
    for sign in (1.0, -1.0):
        assert odometry(**{name: sign * bounds.get(name, 1e9)}).is_usable
        if name in bounds:
            assert not odometry(**{name: sign * bounds[name] * 1.001}).is_usable


def test_a_jump_is_farther_than_the_faster_speed_and_a_metre():
    before = odometry(0, 1.0, 1.0, speed=-4.0)
    for x, y in ((4.0, 0.0), (0.0, -4.0)):
        near, far = 0.999, 1.001
        step = (4.0 * 0.75 + 1.0) / 4.0
        assert not odometry(750 * MS, 1 + x * step * near, 1 + y * step * near).is_jump_from(before)
        assert odometry(750 * MS, 1 + x * step * far, 1 + y * step * far).is_jump_from(before)
    slow = odometry(0, speed=1.0)
    assert not odometry(500 * MS, 3.9, speed=6.0).is_jump_from(slow)
    assert odometry(500 * MS, 4.1, speed=6.0).is_jump_from(slow)


def test_speeds_and_proposals_that_can_be_used():
    assert Speed(-100.0, 0.0).is_usable and not Speed(100.1, 0.0).is_usable
    assert not Speed(NAN, 0.0).is_usable
    assert Proposal(0, 5.0, -5.0, 0.0).is_finite
    assert not Proposal(0, NAN, 0.0, 0.0).is_finite and not Proposal(0, 0.0, INF, 0.0).is_finite
    plain = Proposal(0, 0.0, 0.0, 0.0)
    assert plain.feasible and not plain.stop_requested and plain.reason == ""


def test_routes_that_can_be_used():
    def usable(*points: tuple[float, float]) -> bool:
        return RouteKnown(np.array(points, float).reshape(-1, 2), 0.0).is_usable

    assert usable() and usable((0.0, 0.0)) and usable((1e7, -1e7), (1e7, 0.5e5 - 1e7))
    assert usable((0.0, 0.0), (40_000.0, 30_000.0), (20_000.0, 20_000.0))
    assert not usable((0.0, 0.0), (40_000.0, 30_000.0), (20_000.0, 19_999.5))
    assert not usable((0.0, 0.0), (0.0, NAN)) and not usable((-1.001e7, 0.0), (-1.001e7, 1.0))
