"""Markers of what the stack believes besides its plan: memory, road users, gate, text; map frame.

Everything has a namespace of its own and a lifetime, so whoever stops publishing leaves nothing
standing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from geometry_msgs.msg import Quaternion
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from wm_msgs.msg import PlanStatistics, SafetyState
from wm_perception.conventions import quaternion_from_yaw
from wm_perception.frame import ObjectClass, Objects
from wm_planner.doubt import Level
from wm_planner.gate_state import GateState
from wm_planner.hindsight import Comparison
from wm_planner.markers import points, shape

NEAR_M, MOST = 80.0, 64  # road users that are drawn: how far away, how many
VELOCITY_S = 1.0  # an arrow shows the way of the next second
MOVING_MPS = 0.5
LAMP_M, LAMP_Z_M, TEXT_Z_M, LETTER_M = 0.8, 2.6, 4.6, 0.7
SPACING_M = 0.3  # of the points of a driven line
WHITE = (1.0, 1.0, 1.0, 0.9)
IMAGINED = (0.9, 0.35, 0.9, 0.9)
LAMPS = {
    GateState.WAITING: (0.6, 0.6, 0.6, 0.9),
    GateState.NOMINAL: (0.2, 0.9, 0.3, 0.9),
    GateState.COMFORT_STOP: (1.0, 0.75, 0.1, 0.95),
    GateState.EMERGENCY_STOP: (1.0, 0.1, 0.1, 0.95),
    GateState.HOLD: (1.0, 0.4, 0.1, 0.95),
}
KINDS = {
    ObjectClass.PEDESTRIAN: (1.0, 0.35, 0.6, 0.85),
    ObjectClass.BIKE: (1.0, 0.8, 0.2, 0.85),
}
VEHICLE = (0.95, 0.6, 0.25, 0.8)


@dataclass(frozen=True)
class Shown:
    """What there is to show of one frame.

    Attributes:
        pose: (3,) of the ego, map frame, m and rad.
        speed_mps: of the ego.
        objects: other road users, map frame.
        comparison: what became of a plan of the past.
        gate: what the gate said last.
        statistics: what the planner said last.
    """

    pose: np.ndarray
    speed_mps: float
    objects: Objects = field(default_factory=Objects)
    comparison: Comparison | None = None
    gate: SafetyState | None = None
    statistics: PlanStatistics | None = None


def overlay(shown: Shown, header: Header) -> MarkerArray:
    """All of it; ``header``: stamp of the frame, frame ``map``."""
    markers = [*road_users(shown, header), *memory(shown.comparison, header)]
    if shown.gate is not None:
        markers.append(lamp(shown, header))
    return MarkerArray(markers=[*markers, words(shown, header)])


def _color(rgba: tuple[float, float, float, float]) -> ColorRGBA:
    red, green, blue, alpha = rgba
    return ColorRGBA(r=red, g=green, b=blue, a=alpha)


def road_users(shown: Shown, header: Header) -> list[Marker]:
    """A box for each of the nearest ones, an arrow for each that moves."""
    objects = shown.objects
    away = np.hypot(*(objects.poses[:, :2] - shown.pose[:2]).T)
    rows = [row for row in np.argsort(away, kind="stable")[:MOST] if away[row] < NEAR_M]
    found = []
    for number, row in enumerate(rows):
        (x, y, yaw), (length, width) = objects.poses[row], objects.sizes[row]
        height = float(objects.heights[row])
        box = shape(header, "objects", Marker.CUBE, float(length))
        box.id, box.scale.y, box.scale.z = number, float(width), height
        box.pose.position.x, box.pose.position.y = float(x), float(y)
        box.pose.position.z = height / 2
        qx, qy, qz, qw = quaternion_from_yaw(float(yaw))
        box.pose.orientation = Quaternion(x=qx, y=qy, z=qz, w=qw)
        box.color = _color(KINDS.get(ObjectClass(int(objects.kinds[row])), VEHICLE))
        found.append(box)
        velocity = objects.velocities[row]
        if np.hypot(*velocity) > MOVING_MPS:
            arrow = shape(header, "object_motion", Marker.ARROW, 0.15)
            arrow.id, arrow.scale.y, arrow.scale.z = number, 0.4, 0.5
            ends = np.stack([(x, y), (x, y) + VELOCITY_S * velocity])
            arrow.points, arrow.color = points(ends, height), _color(WHITE)
            found.append(arrow)
    return found


def memory(comparison: Comparison | None, header: Header) -> list[Marker]:
    """The path imagined some seconds ago, the path driven since, and how far they are apart."""
    if comparison is None:
        return []
    lines = []
    for name, path, color, width in (
        ("actual_path", thinned(comparison.driven), WHITE, 0.22),
        ("imagined_path", comparison.imagined, IMAGINED, 0.14),
    ):
        line = shape(header, name, Marker.LINE_STRIP, width)
        line.points, line.color = points(path, 0.25), _color(color)
        if len(line.points) > 1:
            lines.append(line)
    note = shape(header, "imagined_error", Marker.TEXT_VIEW_FACING, 0.0)
    note.scale.z = LETTER_M
    note.text = f"imagined {comparison.age_s:.1f} s ago: {comparison.error_m:.2f} m off"
    note.pose.position.x, note.pose.position.y = map(float, comparison.imagined[0])
    note.pose.position.z = 1.0
    note.color = _color(IMAGINED)
    return [*lines, note]


def thinned(path: np.ndarray) -> np.ndarray:
    """(n, 2) positions in m without those too close to the one before; the last one stays."""
    kept = [0]
    for row in range(1, len(path)):
        if np.hypot(*(path[row] - path[kept[-1]])) >= SPACING_M:
            kept.append(row)
    if kept[-1] != len(path) - 1:
        kept.append(len(path) - 1)
    return path[kept]


def lamp(shown: Shown, header: Header) -> Marker:
    """The gate's state as a light above the vehicle."""
    marker = shape(header, "gate", Marker.SPHERE, LAMP_M)
    marker.scale.y = marker.scale.z = LAMP_M
    marker.pose.position.x, marker.pose.position.y = map(float, shown.pose[:2])
    marker.pose.position.z = LAMP_Z_M
    assert shown.gate is not None, "asked for when the gate has spoken"
    marker.color = _color(LAMPS[GateState(shown.gate.state)])
    return marker


def words(shown: Shown, header: Header) -> Marker:
    """Speed, plan, doubt and gate in words above the vehicle."""
    marker = shape(header, "text", Marker.TEXT_VIEW_FACING, 0.0)
    marker.scale.z = LETTER_M
    marker.pose.position.x, marker.pose.position.y = map(float, shown.pose[:2])
    marker.pose.position.z = TEXT_Z_M
    marker.color = _color(WHITE)
    marker.text = "\n".join(lines(shown))
    return marker


def lines(shown: Shown) -> list[str]:
    """The text, line by line."""
    found = [f"{3.6 * shown.speed_mps:.0f} km/h"]
    plan = shown.statistics
    if plan is not None:
        found.append(
            f"plan {plan.plan_ms:.0f} ms, P(collision) {plan.collision_probability:.0%}"
            + ("" if plan.feasible else ", not feasible")
        )
        if plan.doubt_level:
            level = Level(plan.doubt_level).name.lower()
            found.append(f"doubt ({level}): {plan.doubt_reason}"[:60])
    if shown.gate is not None:
        name = GateState(shown.gate.state).name.lower().replace("_", " ")
        reason = f": {shown.gate.reason}" if shown.gate.reason else ""
        found.append(f"gate {name}{reason}"[:60])
    return found
