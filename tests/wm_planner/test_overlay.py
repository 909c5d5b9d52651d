"""Markers of what the stack believes: memory, road users, gate, text, map."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (pip install . brings it)")

from visualization_msgs.msg import Marker

from wm_msgs.msg import PlanStatistics, SafetyState
from wm_perception.frame import ObjectClass, Objects
from wm_perception.node_tools import header
from wm_perception.town_map import LaneStrip
from wm_planner.hindsight import Hindsight
from wm_planner.map_markers import map_markers, read_strips, simplified
from wm_planner.overlay import MOST, Shown, overlay, thinned

STEP_NS = 100_000_000
POSE = np.array([10.0, 5.0, 0.0])


def crowd(count: int, spacing_m: float = 0.5) -> Objects:
    return Objects(
        ids=np.arange(count),
        poses=np.stack([10 + spacing_m * np.arange(count), np.zeros(count), np.zeros(count)], 1),
        velocities=np.stack([np.arange(count) % 2 * 3.0, np.zeros(count)], 1),
        sizes=np.tile([4.0, 2.0], (count, 1)),
        kinds=np.full(count, ObjectClass.CAR, np.uint8),
    )


def by_namespace(shown: Shown) -> dict[str, list[Marker]]:
    found: dict[str, list[Marker]] = {}
    for marker in overlay(shown, header(STEP_NS)).markers:
        found.setdefault(marker.ns, []).append(marker)
    return found


def test_everything_is_in_the_map_frame_named_and_mortal():
    gate = SafetyState(state=SafetyState.COMFORT_STOP, reason="no odometry")
    said = PlanStatistics(plan_ms=12.0, doubt_level=1, doubt_reason="unusual: novelty")
    shown = Shown(POSE, 5.0, crowd(3), memory().compare(), gate, said)
    markers = overlay(shown, header(STEP_NS)).markers
    assert {m.header.frame_id for m in markers} == {"map"}
    assert all(m.ns and m.lifetime.nanosec + m.lifetime.sec for m in markers)
    assert len({(m.ns, m.id) for m in markers}) == len(markers)
    for marker in markers:
        assert marker.color.a > 0.0 and max(marker.scale.x, marker.scale.z) > 0.0
    (text,) = (m.text for m in markers if m.ns == "text")
    for part in ("18 km/h", "plan 12 ms", "doubt (doubt): unusual", "gate comfort stop: no odom"):
        assert part in text


def test_the_nearest_road_users_are_drawn_and_those_that_move_get_an_arrow():
    found = by_namespace(Shown(POSE, 0.0, crowd(200)))
    assert len(found["objects"]) == MOST
    assert len(found["object_motion"]) == MOST // 2
    first = found["objects"][0]
    assert (first.scale.x, first.scale.y) == (4.0, 2.0) and first.pose.position.x == 10.0
    start, end = found["object_motion"][0].points
    assert end.x - start.x == pytest.approx(3.0)
    assert "objects" not in by_namespace(Shown(POSE + 1000.0, 0.0, crowd(5)))


def test_before_anybody_has_spoken_there_is_still_the_speed():
    found = by_namespace(Shown(POSE, 1.0))
    assert list(found) == ["text"] and found["text"][0].text == "4 km/h"


# ---------------------------------------------------------------------- hindsight


def memory(seconds: float = 1.0, frames: int = 21, sideways: float = 0.5) -> Hindsight:
    """Driven straight on at 10 m/s; every plan wanted to be ``sideways`` m to the left."""
    found = Hindsight(seconds)
    for frame in range(frames):
        stamp = frame * STEP_NS
        here = np.array([float(frame), 0.0])
        ahead = np.arange(1, 16) * 2.0
        path = np.stack([frame + ahead, np.full(15, sideways)], 1)
        found.plan(stamp, stamp + 200_000_000 * np.arange(1, 16), path)
        found.position(stamp, here)
    return found


def test_a_plan_of_the_past_is_held_against_what_was_driven_since():
    found = memory().compare()
    assert found.age_s == pytest.approx(1.0)
    assert found.driven[0] == pytest.approx((10.0, 0.0))
    assert found.driven[-1] == pytest.approx((20.0, 0.0))
    assert found.imagined[0] == pytest.approx((10.0, 0.0))
    assert found.imagined[-1] == pytest.approx((20.0, 0.5))
    assert found.error_m == pytest.approx(0.5)


def test_hindsight_ends_where_the_plan_ended():
    late = memory(frames=2)
    for frame in range(2, 60):  # no plan since
        late.position(frame * STEP_NS, np.array([float(frame), 0.0]))
    found = late.compare()
    assert found.age_s == pytest.approx(3.0) and found.error_m == pytest.approx(0.5)


def test_a_new_episode_is_not_compared_with_the_one_before():
    lane = memory()
    lane.position(21 * STEP_NS, np.array([500.0, 0.0]))
    assert lane.compare() is None
    lane = memory()
    lane.position(5 * STEP_NS, np.array([20.0, 0.0]))
    assert lane.compare() is None
    assert Hindsight(1.0).compare() is None


def test_a_driven_line_has_no_more_points_than_needed():
    path = np.stack([np.linspace(0, 10, 1000), np.zeros(1000)], 1)
    kept = thinned(path)
    assert len(kept) < 40 and (kept[-1] == path[-1]).all()
    assert len(thinned(path[:1])) == 1


# ---------------------------------------------------------------------- the map


def test_the_map_is_few_lines_that_stay():
    x = np.linspace(0, 100, 60)
    strip = LaneStrip(
        "driving", np.stack([x, x * 0 + 2], 1), np.stack([x, x * 0 - 2], 1), "Solid", "NONE"
    )
    wipe, *drawn = map_markers([strip], header(0)).markers
    assert wipe.action == Marker.DELETEALL
    assert {m.ns for m in drawn} == {"lane_lines", "road_edges"}
    assert all(len(m.points) == 2 and not m.lifetime.nanosec for m in drawn)
    assert drawn[0].points[1].x == pytest.approx(100.0)


def test_a_curve_keeps_its_shape_far_from_the_origin():
    angle = np.linspace(0, math.pi, 200)
    arc = 30 * np.stack([np.cos(angle), np.sin(angle)], 1) + 50_000.0
    kept = simplified(arc)
    assert 5 < len(kept) < 60
    distance = np.abs(np.hypot(*(kept - 50_000.0).T) - 30.0)
    assert distance.max() < 0.01


def test_what_is_no_map_is_said():
    with pytest.raises(ValueError, match="has no lanes"):
        read_strips("<nonsense/>")
