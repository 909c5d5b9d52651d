"""One way around something: its geometry, and whether it is free for as long as it takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wm_perception.frame import ObjectClass
from wm_perception.scene import Scene
from wm_sim.expert_blockage import STANDING_MPS
from wm_sim.expert_path import CORRIDOR_HALF_M, HALF_WIDTH_M, Placed
from wm_sim.expert_speed import travel_time

PERSON_EXTRA_M = 0.35  # more of it to people
SQUEEZE_M = 0.25  # what leaves at least this much is passed slowly
IN_LANE_M = 0.8  # an offset up to this leaves a 3.5 m lane hardly
RAMP_M, LEAD_M = 14.0, 2.0  # length of a lane change; the offset is complete this much early
PASS_ACCEL_MPS2 = 1.5
ONCOMING_MARGIN_M, ONCOMING_FASTER = 8.0, 1.2


@dataclass(frozen=True)
class Pass:
    """A decided way around something.

    Attributes:
        ids: what is passed.
        offset: m to the left of the route.
        start, begin, end: stations at which the shift starts, is complete, and may end.
        top: speed while passing, m/s.
    """

    ids: frozenset[int]
    offset: float
    start: float
    begin: float
    end: float
    top: float

    @property
    def in_lane(self) -> bool:
        """The shift leaves the others' lanes alone."""
        return abs(self.offset) <= IN_LANE_M


@dataclass(frozen=True)
class Place:
    """The ego on the route: centre and front bumper, speed."""

    s: float
    front: float
    speed: float
    half: float


def offset_profile(plan: Pass | None, base: float, length: int) -> np.ndarray:
    """(length,) offset at each metre of the route."""
    stations = np.arange(length, dtype=float)
    if plan is None:
        return np.full(len(stations), base)
    knots = [plan.start, max(plan.begin, plan.start + 1.0), plan.end, plan.end + RAMP_M]
    return np.interp(stations, knots, [base, plan.offset, plan.offset, base])


def is_road(plan: Pass, scene: Scene) -> bool:
    """Whether the shifted way is on the road all along."""
    drivable = getattr(scene.town, "drivable", None)
    if drivable is None:
        return True
    route = scene.route
    stations = np.arange(max(plan.begin, 0.0), min(plan.end, route.length_m), 2.0)
    rows = np.minimum(stations.astype(int), len(route) - 1)
    heading = route.headings[rows]
    edge = plan.offset + np.sign(plan.offset) * (HALF_WIDTH_M + 0.1)
    normals = np.stack([-np.sin(heading), np.cos(heading)], 1)
    return bool(drivable(route.points[rows] + edge * normals).all())


def shift_past(placed: Placed, group: list[int], left: bool, clearance: float) -> float:
    """Smallest shift (m to the left) that clears a group on one side."""
    people = placed.objects.kinds[group] == ObjectClass.PEDESTRIAN
    room = HALF_WIDTH_M + clearance + PERSON_EXTRA_M * people
    if left:
        return max(0.0, float((placed.left[group] + room).max()))
    return min(0.0, float((placed.right[group] - room).min()))


def taken(plan: Pass, ego: Place, placed: Placed) -> np.ndarray:
    """(M,) bool: who is, or may come to be, where the shifted way is."""
    seconds = travel_time(plan.end - ego.s, ego.speed, PASS_ACCEL_MPS2, plan.top)
    others = placed.on & ~np.isin(placed.objects.ids, list(plan.ids))
    right, left = placed.right - plan.offset, placed.left - plan.offset
    tight = HALF_WIDTH_M + SQUEEZE_M
    ahead = placed.front > ego.s - ego.half
    still = others & (right < tight) & (left > -tight)
    still &= ahead & (placed.rear < plan.end + 2.0) & (placed.along > -STANDING_MPS)
    still &= (placed.along < plan.top) & (np.abs(placed.across) < 1.0)
    if plan.in_lane:
        return still
    beside = others & (right < CORRIDOR_HALF_M) & (left > -CORRIDOR_HALF_M)
    coming = beside & ahead & (placed.along < -STANDING_MPS)
    reach = placed.rear + ONCOMING_FASTER * placed.along * seconds
    coming &= reach < plan.end + ONCOMING_MARGIN_M
    behind = beside & ~ahead & (placed.along > ego.speed)
    behind &= placed.front + (placed.along - ego.speed) * seconds > ego.s - ego.half - 2.0
    return still | coming | behind
