"""The room around the ego: coordinates along its path, and what the rules make of neighbours."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wm_perception.frame import Objects
from wm_planner.gate_config import GateConfig, RssConfig
from wm_planner.gate_events import Odometry, RoadUsers, RouteKnown
from wm_planner.gate_room import Room, RoomWatch
from wm_planner.gate_rss import (
    lateral_distance,
    needed_braking,
    opposite_direction_distance,
    same_direction_distance,
)

SIZE = (4.5, 1.85)
RSS = RssConfig()
NAN, INF = float("nan"), float("inf")


def cars(*rows: tuple[float, ...]) -> Objects:
    """Cars at (x, y, yaw) with velocity (vx, vy)."""
    table = np.array(rows, float).reshape(-1, 5)
    return Objects(
        np.arange(len(table)), table[:, :3], table[:, 3:], np.tile(SIZE, (len(table), 1))
    )


def odometry(x=0.0, y=0.0, yaw=0.0, speed=10.0, yaw_rate=0.0, stamp_ns=10**9) -> Odometry:
    return Odometry(stamp_ns, 1.0, x, y, yaw, speed, yaw_rate)


def judged(speed: float, *rows: tuple[float, ...], ego_yaw: float = 0.0) -> dict[str, object]:
    """The rules by name, and "braking", for an ego at the origin that drives along x."""
    watch = RoomWatch(GateConfig())
    watch.see(RoadUsers(10**9, cars(*rows), 1.0))
    watch.know(RouteKnown(np.array([[-50.0, 0.0], [200.0, 0.0]]), 1.0))
    room = watch.judge(odometry(speed=speed, yaw=ego_yaw), speed)
    return {rule.name: rule for rule in room.rules} | {"braking": room.braking_mps2}


# ---------------------------------------------------------------------- rules


def test_a_leader_is_dangerous_below_the_distance_in_the_same_direction():
    needed = float(same_direction_distance(10.0, 6.0, RSS.response_s, RSS))
    for gap, tripped in ((needed - 0.01, True), (needed + 0.01, False)):
        rules = judged(10.0, (gap + 4.5, 0.0, 0.0, 6.0, 0.0))
        rule = rules["rss_same_direction"]
        assert (rule.value, rule.limit) == (pytest.approx(gap), pytest.approx(needed))
        assert rule.tripped is tripped
        assert rules["rss_lateral"].tripped is tripped
        assert rules["rss_opposite_direction"].value == INF


def test_one_who_comes_against_us_is_dangerous_from_farther_away():
    needed = float(opposite_direction_distance(5.0, 3.0, RSS))
    for gap, tripped in ((needed - 0.01, True), (needed + 0.01, False)):
        rules = judged(5.0, (gap + 4.5, 0.0, math.pi, -3.0, 0.0))
        rule = rules["rss_opposite_direction"]
        assert (rule.value, rule.limit) == (pytest.approx(gap), pytest.approx(needed))
        assert rule.tripped is tripped and rules["rss_lateral"].tripped is tripped
        assert rules["rss_same_direction"].value == INF
    assert judged(5.0, (9.0, 0.0, 0.0, -0.4, 0.0))["rss_opposite_direction"].value == INF


def test_a_car_in_the_next_lane_is_safe_until_it_comes_nearer():
    needed = float(lateral_distance(0.0, 0.5, RSS))
    calm = judged(10.0, (10.0, 3.5, 0.0, 10.0, 0.0))
    assert not any(calm[name].tripped for name in ("rss_same_direction", "rss_lateral"))
    assert (calm["rss_lateral"].value, calm["rss_lateral"].limit) == pytest.approx((1.65, 0.725))
    near = judged(10.0, (10.0, 3.5, 0.0, 10.0, -0.5))
    assert near["rss_same_direction"].tripped and near["rss_lateral"].tripped
    assert near["rss_lateral"].limit == pytest.approx(needed)
    away = judged(10.0, (10.0, 3.5, 0.0, 10.0, 0.5))
    assert not away["rss_lateral"].tripped


def test_one_beside_counts_across_and_one_behind_does_not():
    beside = judged(10.0, (-1.0, 2.3, 0.0, 10.0, 0.0))
    assert beside["rss_lateral"].tripped and beside["rss_lateral"].value == pytest.approx(0.45)
    assert beside["rss_same_direction"].value == INF
    behind = judged(10.0, (-8.0, 0.0, 0.0, 20.0, 0.0))
    assert not behind["rss_lateral"].tripped and behind["braking"] == 0.0


def test_the_worst_of_several_is_reported():
    rules = judged(
        10.0, (40.0, 0.0, 0.0, 10.0, 0.0), (25.0, 0.0, 0.0, 9.0, 0.0), (24.0, 0.0, 0.0, 15.0, 0.0)
    )
    assert rules["rss_same_direction"].value == pytest.approx(20.5)


def test_nobody_near_leaves_the_rules_out():
    assert set(judged(10.0)) == {"objects_age", "braking"}
    assert set(judged(10.0, (80.0, 0.0, 0.0, 0.0, 0.0))) == {"objects_age", "braking"}


def test_only_those_in_the_way_are_reported():
    def rule(name: str, speed: float, *rows: tuple[float, ...]):
        return judged(speed, *rows)[name]

    passing = (10.0, 3.5, math.pi, -8.0, 0.0)
    assert rule("rss_opposite_direction", 8.0, passing).value == INF
    leader = (20.0, 0.0, 0.0, 6.0, 0.0)
    assert rule("rss_same_direction", 8.0, passing, leader).value == pytest.approx(15.5)
    # Enough room across, or along, so that the other axis does not matter.
    assert rule("rss_same_direction", 10.0, (10.0, 2.75, 0.0, 2.0, 0.0)).value == INF
    hurries_away = rule("rss_lateral", 2.0, (5.0, 0.0, 0.0, 20.0, 0.0))
    assert (hurries_away.value, hurries_away.limit) == (INF, 0.0)
    assert rule("rss_lateral", 10.0, (-5.0, 0.0, 0.0, 20.0, 0.0)).value == INF
    half_ahead = rule("rss_same_direction", 10.0, (0.5, 2.3, 0.0, 10.0, 0.0))
    assert half_ahead.value == 0.0
    needed = float(same_direction_distance(10.0, 10.0, RSS.response_s, RSS))
    assert half_ahead.limit == pytest.approx(needed)


def test_one_who_comes_slowly_comes_against_us():
    assert judged(5.0, (9.0, 0.0, 0.0, -1.0, 0.0))["rss_opposite_direction"].value < INF


# ---------------------------------------------------------------------- last resort


def test_braking_begins_where_firm_braking_just_suffices():
    rss = GateConfig().last_resort
    needed = float(same_direction_distance(10.0, 0.0, rss.response_s, rss))
    calm = judged(10.0, (needed + 5.01, 0.0, 0.0, 0.0, 0.0))
    assert calm["braking"] == 0.0 and not calm["last_resort"].tripped
    firm = judged(10.0, (needed + 4.99, 0.0, 0.0, 0.0, 0.0))
    assert firm["braking"] == pytest.approx(6.0, rel=1e-2) and firm["last_resort"].tripped
    assert firm["last_resort"].value == pytest.approx(firm["braking"])
    assert firm["last_resort"].limit == rss.brake_min_mps2
    assert judged(10.0, (10.0, 0.0, 0.0, 0.0, 0.0))["braking"] > firm["braking"]


def test_half_a_metre_is_left_to_one_who_stands():
    assert judged(0.2, (4.5 + 0.7, 0.0, 0.0, 0.0, 0.0))["braking"] == 0.0
    assert judged(0.2, (4.5 + 0.5, 0.0, 0.0, 0.0, 0.0))["braking"] == pytest.approx(2.0)


def test_ordinary_driving_never_comes_there():
    queue = judged(8.0, (4.5 + 8.0, 0.0, 0.0, 8.0, 0.0))  # one second behind the leader
    crawl = judged(0.5, (4.5 + 1.5, 0.0, 0.0, 0.3, 0.0))
    passing = judged(8.0, (10.0, 3.5, math.pi, -8.0, 0.0), (10.0, -3.0, 0.0, 0.0, 0.0))
    walker_waits = judged(8.0, (15.0, -2.6, 0.0, 0.0, 0.0))
    assert [case["braking"] for case in (queue, crawl, passing, walker_waits)] == [0.0] * 4


def test_one_who_steps_into_the_way_is_braked_for():
    assert judged(8.0, (10.5, -4.6, math.pi / 2, 0.0, 2.5))["braking"] > 6.0
    assert judged(8.0, (10.5, -4.6, math.pi / 2, 0.0, 0.0))["braking"] == 0.0


def test_one_beside_is_not_braked_for_and_one_at_the_bumper_is():
    beside = judged(8.0, (3.0, 2.0, 0.0, 8.0, -1.0))
    assert beside["rss_lateral"].tripped and beside["braking"] == 0.0
    assert judged(8.0, (4.4, 0.5, 0.0, 0.0, 0.0))["braking"] > 6.0
    assert judged(8.0, (2.2, 0.0, 0.0, 0.0, 0.0))["braking"] == 0.0  # inside us: a wrong box


def turning(
    speed: float, x: float, y: float, origin: tuple[float, float] = (0.0, 0.0), yaw: float = 0.0
) -> Room:
    """The room of an ego that begins a right turn of 6 m radius beside a walker at (x, y).

    It is at the origin of these coordinates, which lies at ``origin`` on the map, turned by yaw.
    """
    watch = RoomWatch(GateConfig())
    turn = np.array([[math.cos(yaw), math.sin(yaw)], [-math.sin(yaw), math.cos(yaw)]])
    arc = np.linspace(0.0, 0.5 * math.pi, 20)
    bend = np.stack([6.0 * np.sin(arc), 6.0 * np.cos(arc) - 6.0], -1)
    straight = np.stack([np.arange(-20.0, 0.0), np.zeros(20)], -1)
    route = np.vstack([straight, bend[:-1], bend[-1] - [[0.0, 0.0], [0.0, 30.0]]])
    watch.know(RouteKnown(route @ turn + origin, 1.0))
    place = np.array([x, y]) @ turn + origin
    walker = Objects(
        np.array([0]),
        np.array([[*place, 1.5 + yaw]]),
        np.array([[0.1, 1.0]]) @ turn,
        np.array([[0.5, 0.5]]),
    )
    watch.see(RoadUsers(10**9, walker, 1.0))
    return watch.judge(odometry(*origin, yaw, speed), speed)


def test_it_does_not_turn_into_one_inside_the_bend():
    held = turning(0.0, 1.6, -1.4)
    assert held.braking_mps2 == pytest.approx(1.5)
    assert held.rules[-1].tripped and held.rules[-1].value == held.rules[-1].limit == 6.0
    assert turning(0.5, 1.6, -1.4).braking_mps2 == pytest.approx(5.0)
    assert turning(3.0, 1.6, -1.4).braking_mps2 == pytest.approx(6.0)
    outside, passed = turning(3.0, 1.6, 1.4), turning(3.0, -2.0, -1.4)
    wrong_box = turning(3.0, 1.6, -0.5)
    for room in (outside, passed, wrong_box):
        assert room.braking_mps2 == 0.0 and not room.rules[-1].tripped


@pytest.mark.parametrize("yaw", [0.0, 0.9, 2.5, -2.0])
def test_where_the_map_has_its_origin_does_not_matter(yaw):
    for speed, x, y in ((3.0, 1.6, -1.4), (3.0, 1.6, 1.4), (3.0, 1.6, -0.5), (6.0, 6.0, -2.5)):
        here, there = turning(speed, x, y), turning(speed, x, y, (300.0, -80.0), yaw)
        assert there.braking_mps2 == pytest.approx(here.braking_mps2)
        for one, other in zip(here.rules, there.rules, strict=True):
            assert other.tripped is one.tripped
            numbers = (one.value, one.limit)
            assert (other.value, other.limit) == pytest.approx(numbers, abs=1e-6)


def test_almost_touching_and_almost_beside_is_braked_for():
    assert judged(8.0, (5.0, 1.9, 0.0, 0.0, 0.0))["braking"] > 6.0


def test_the_braking_is_what_the_distance_to_one_who_stands_calls_for():
    rss = GateConfig().last_resort
    needed = float(needed_braking(8.0, 0.0, 12.0 - 4.5 - rss.standoff_m, rss))
    assert judged(8.0, (12.0, 0.0, 0.0, 0.0, 0.0))["braking"] == pytest.approx(needed)


def test_one_of_many_is_enough_and_the_worst_counts():
    close, far = (9.0, 0.0, 0.0, 0.0, 0.0), (60.0, 0.0, 0.0, 0.0, 0.0)
    both = judged(8.0, far, close)
    assert both["last_resort"].tripped
    assert both["braking"] == judged(8.0, close)["braking"] > 0.0


def test_braking_is_bounded_by_what_stops_the_car_within_a_frame():
    assert judged(0.3, (5.0, 0.0, 0.0, -3.0, 0.0))["braking"] == pytest.approx(3.0)
    assert judged(0.1, (5.0, 0.0, 0.0, -3.0, 0.0))["braking"] == pytest.approx(1.5)
    assert judged(-0.1, (5.0, 0.0, 0.0, -3.0, 0.0))["braking"] == pytest.approx(1.5)


def test_one_who_rolls_back_slowly_counts_as_standing():
    rolls, stands = (judged(8.0, (12.0, 0.0, 0.0, v, 0.0))["braking"] for v in (-0.4, 0.0))
    assert rolls == stands > 6.0


# ---------------------------------------------------------------------- messages


def test_without_odometry_or_road_users_there_is_nothing_to_say():
    watch = RoomWatch(GateConfig())
    assert watch.judge(odometry(), 10.0) == Room((), 0.0)
    watch.see(RoadUsers(10**9, cars((12.0, 0.0, 0.0, 0.0, 0.0)), 1.0))
    assert watch.judge(None, 10.0) == Room((), 0.0)
    assert watch.judge(odometry(), 10.0).braking_mps2 > 0.0
    watch.restart()
    assert watch.judge(odometry(), 10.0) == Room((), 0.0)


@pytest.mark.parametrize("age_s, stale", [(0.5, False), (-0.5, False), (0.6, True), (-0.6, True)])
def test_road_users_of_another_time_are_stale(age_s, stale):
    watch = RoomWatch(GateConfig())
    watch.see(RoadUsers(10**9, cars((12.0, 0.0, 0.0, 0.0, 0.0)), 1.0))
    room = watch.judge(odometry(stamp_ns=10**9 + int(age_s * 1e9)), 10.0)
    age = room.rules[0]
    assert (age.name, age.value, age.limit) == ("objects_age", pytest.approx(age_s), 0.5)
    assert age.tripped is stale and (room.braking_mps2 == 0.0) is stale


def test_a_list_that_cannot_be_used_is_left_out():
    good = cars((12.0, 0.0, 0.0, 0.0, 0.0))
    for attribute, value in (
        ("poses", NAN),
        ("poses", 1e9),
        ("velocities", INF),
        ("velocities", 1e9),
        ("sizes", -0.1),
        ("sizes", 100.1),
        ("sizes", NAN),
    ):
        bad = cars((12.0, 0.0, 0.0, 0.0, 0.0))
        getattr(bad, attribute)[0, 0] = value
        assert not RoadUsers(0, bad, 1.0).is_usable
        watch = RoomWatch(GateConfig())
        watch.see(RoadUsers(10**9, good, 1.0))
        watch.see(RoadUsers(2 * 10**9, bad, 2.0))
        assert watch.judge(odometry(stamp_ns=10**9), 10.0).braking_mps2 > 0.0
    assert RoadUsers(0, good, 1.0).is_usable and RoadUsers(0, Objects(), 1.0).is_usable
    for size in (0.0, 0.5, 100.0):  # a point, a child, a train
        good.sizes[0] = size
        assert RoadUsers(0, good, 1.0).is_usable


def test_a_speed_that_no_road_user_has_fails_closed():
    assert judged(8.0, (30.0, 0.0, 0.0, 200.0, 0.0))["rss_same_direction"].tripped
    assert judged(8.0, (30.0, 0.0, 0.0, 200.0, 0.0))["braking"] > 6.0


def test_the_route_outlives_a_new_episode():
    angle = np.linspace(0.0, math.pi / 2, 32)
    bend = np.stack([20.0 * np.sin(angle), 20.0 * (1.0 - np.cos(angle))], 1)
    watch = RoomWatch(GateConfig())
    watch.know(RouteKnown(bend, 1.0))
    watch.restart()
    at = 0.6
    x, y = 20.0 * math.sin(at), 20.0 - 20.0 * math.cos(at)  # on the bend, beside the straight
    watch.see(RoadUsers(10**9, cars((x, y, at, 0.0, 0.0)), 1.0))
    assert watch.judge(odometry(), 10.0).braking_mps2 > 0.0
    watch.know(RouteKnown(np.zeros((1, 2)), 1.0))  # none: straight on
    assert watch.judge(odometry(), 10.0).braking_mps2 == 0.0
