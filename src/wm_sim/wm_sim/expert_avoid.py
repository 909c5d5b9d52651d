"""Around what stands in the way: how far to the side, when it is free, and back.

A small shift that stays in the lane is made at once; one that reaches into the neighbouring lane
waits for a gap there that lasts until the ego is back. What may be passed at all is decided in
``expert_blockage``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wm_perception.frame import LightState, ObjectClass, SceneFrame
from wm_perception.scene import Scene
from wm_sim.expert_blockage import STANDING_MPS, WAIT_QUEUE_S, Blockages
from wm_sim.expert_junction import Junctions
from wm_sim.expert_pass import (
    LEAD_M,
    PASS_ACCEL_MPS2,
    RAMP_M,
    Pass,
    Place,
    is_road,
    offset_profile,
    shift_past,
    taken,
)
from wm_sim.expert_path import HALF_WIDTH_M, Placed
from wm_sim.expert_speed import Limit, stop_at

CLEARANCES_M = (0.65, 0.35)  # to what is passed: wanted, accepted
CYCLIST_CLEARANCE_M = 1.5
MAX_OFFSET_M = 2.85
GROUP_M = 14.0  # blockages closer than this behind each other are passed in one go
STANDOFF_M = 8.0  # distance kept to a blockage, so that there is room to steer around it
STANDOFF_BRAKE_MPS2 = 2.5
STEER_ROOM, STEER_FREE_M = 2.6, 0.3  # m of distance per metre of shift beyond the first 0.3 m
BACK_CLEAR_M = 11.0  # it backs up when this much is free behind it
PASS_MPS, NUDGE_MPS, CYCLIST_PASS_MPS = 5.0, 6.5, 8.3
BIKE, MOTORCYCLE = int(ObjectClass.BIKE), int(ObjectClass.MOTORCYCLE)
CYCLIST_AHEAD_M, SLOW_MPS = 18.0, 5.0  # cyclists this near and up to this speed are passed
CYCLIST_FASTER_MPS = 0.8  # than now, while being passed
FALL_BACK_M, FALL_BACK_MPS, SLOWEST_MPS = 2.0, 1.5, 0.5  # given up: how far behind, how fast


class Avoidance:
    """Decides on the sideways offset from one route."""

    def __init__(self, scene: Scene, junctions: Junctions):
        self._scene, self._junctions = scene, junctions
        self._blockages = Blockages(scene, junctions)
        self._base = 0.0
        self.offset = np.zeros(len(scene.route))
        self.plan: Pass | None = None
        self.backs_up = False  # it stands too close to what it could pass
        self.wary = False  # there is, or may be, something to pass: look far ahead

    def update(self, frame: SceneFrame, s: float, placed: Placed, base: float) -> None:
        """Look at the road users and props on the path, and decide.

        Args:
            frame: now.
            s: station of the ego, m.
            placed: road users and props.
            base: usual offset of the driver, m.
        """
        half = frame.ego.length / 2
        ego = Place(s, s + half, max(frame.ego.speed_mps, 0.0), half)
        self._blockages.note(frame, placed)
        plan, self.backs_up = self.plan, False
        if plan is not None and (ego.s - RAMP_M > plan.end or self._must_abort(plan, ego, placed)):
            plan = None
        if len(placed):
            plan = self._decide(plan, frame, ego, placed)
        if plan is not self.plan or base != self._base:
            self.plan, self._base = plan, base
            self.offset = offset_profile(plan, base, len(self._scene.route))

    def top_speed(self, s: float) -> float:
        """Speed (m/s) while something is passed, else inf."""
        plan = self.plan
        return plan.top if plan is not None and plan.start <= s < plan.end else np.inf

    def standoff(self, frame: SceneFrame, s: float, placed: Placed) -> list[Limit]:
        """Stop early enough before blockages that are not being passed yet."""
        front = s + frame.ego.length / 2
        passed = self.plan.ids if self.plan is not None else frozenset()
        easy = max(frame.ego.speed_mps, 0.0) ** 2 / (2.0 * STANDOFF_BRAKE_MPS2)
        limits = []
        for row in self._blockages.rows(placed, front):
            waits = self._blockages.wait(frame, placed, row) <= WAIT_QUEUE_S
            stop = float(placed.rear[row]) - STANDOFF_M
            in_the_box = self._junctions.in_area(stop - frame.ego.length, stop + 1.0)
            if waits and not in_the_box and int(placed.objects.ids[row]) not in passed:
                limits.append(stop_at(max(stop - front, easy), "blockage"))
        return limits

    # ------------------------------------------------------------------ decisions

    def _decide(
        self, plan: Pass | None, frame: SceneFrame, ego: Place, placed: Placed
    ) -> Pass | None:
        rows = self._blockages.rows(placed, ego.front)
        saw_far, cyclist = self.wary, self._cyclist(ego, placed)
        self.wary = plan is not None or bool(rows) or cyclist is not None
        if plan is not None:
            rows = [r for r in rows if int(placed.objects.ids[r]) not in plan.ids]
            if rows and placed.rear[rows[0]] < plan.end + GROUP_M:
                return self._extended(plan, frame, ego, placed, rows)
            return self._kept_up(plan, ego, placed)
        if not saw_far:  # decide in the next frame, with everybody in sight
            return None
        if rows:
            group = self._group(placed, rows)
            ready = [self._blockages.ready(frame, placed, row) for row in group]
            return self._best(frame, ego, placed, group) if all(ready) else None
        return None if cyclist is None else self._around_cyclist(ego, placed, cyclist)

    @staticmethod
    def _group(placed: Placed, rows: list[int]) -> list[int]:
        group = rows[:1]
        for row in rows[1:]:
            if placed.rear[row] > placed.front[group].max() + GROUP_M:
                break
            group.append(row)
        return group

    def _extended(
        self, plan: Pass, frame: SceneFrame, ego: Place, placed: Placed, rows: list[int]
    ) -> Pass:
        """The plan, stretched over more blockages on the same side if that is possible."""
        ready = self._blockages.ready
        group = [row for row in self._group(placed, rows) if ready(frame, placed, row)]
        if not group:
            return plan
        end = max(plan.end, float(placed.front[group].max()) + ego.half + LEAD_M)
        ids = plan.ids | {int(placed.objects.ids[row]) for row in group}
        left = plan.offset > 0
        for clearance in CLEARANCES_M:
            offset = shift_past(placed, group, left, clearance)
            offset = max(plan.offset, offset) if left else min(plan.offset, offset)
            wider = replace(plan, ids=ids, offset=offset, end=end)
            if abs(offset) <= MAX_OFFSET_M and self._free(wider, ego, placed):
                return wider
        return plan

    def _kept_up(self, plan: Pass, ego: Place, placed: Placed) -> Pass | None:
        """A plan around something that moves ends where that is, not where it was.

        Where the street ends before that, the ego falls back; it returns to its lane (None) only
        when it is behind again.
        """
        rows = np.isin(placed.objects.ids, list(plan.ids)) & (placed.along > STANDING_MPS)
        if not rows.any():
            return plan
        behind = ego.front < float(placed.rear[rows].min()) - FALL_BACK_M
        if behind and plan.top < CYCLIST_PASS_MPS:  # it stood when this was decided
            return None
        ahead = float(placed.front[rows].max())
        end = max(plan.end, ahead + ego.half + 3.0)
        if ego.front < ahead and not self._clear_street(ego.s, end + RAMP_M):
            slower = max(float(placed.along[rows].min()) - FALL_BACK_MPS, SLOWEST_MPS)
            return None if behind else replace(plan, end=end, top=slower)
        return replace(plan, end=end) if end > plan.end else plan

    def _best(self, frame: SceneFrame, ego: Place, placed: Placed, group: list[int]) -> Pass | None:
        """The smallest shift that is free, or None."""
        ids = frozenset(int(placed.objects.ids[row]) for row in group)
        rear = float(placed.rear[group].min())
        begin, start = rear - ego.half - LEAD_M, max(ego.s, rear - ego.half - LEAD_M - RAMP_M)
        end = float(placed.front[group].max()) + ego.half + LEAD_M
        here = float(self.offset[min(int(ego.s), len(self.offset) - 1)])
        for clearance in CLEARANCES_M:
            offsets = [shift_past(placed, group, left, clearance) for left in (True, False)]
            for offset in sorted(offsets, key=abs):
                plan = Pass(ids, offset, start, begin, end, PASS_MPS)
                if plan.in_lane:
                    plan = replace(plan, top=NUDGE_MPS)
                elif abs(offset) > MAX_OFFSET_M or not self._green(frame, ego, plan):
                    continue
                if not self._free(plan, ego, placed):
                    continue
                if rear - ego.front > STEER_ROOM * (abs(offset - here) - STEER_FREE_M):
                    return plan
                self.backs_up = self._may_back_up(ego, placed)
        return None

    @staticmethod
    def _may_back_up(ego: Place, placed: Placed) -> bool:
        """It stands, and nobody is close behind."""
        behind = placed.in_corridor() & (placed.s < ego.s)
        behind &= placed.front > ego.s - ego.half - BACK_CLEAR_M
        return ego.speed < STANDING_MPS and not bool(behind.any())

    @staticmethod
    def _cyclist(ego: Place, placed: Placed) -> int | None:
        """Row of the nearest slow cyclist in the way, or None."""
        kinds = placed.objects.kinds
        bikes = (kinds == BIKE) | (kinds == MOTORCYCLE)
        if not bikes.any():
            return None
        bikes &= (placed.rear > ego.front - 1.0) & (placed.rear < ego.front + CYCLIST_AHEAD_M)
        bikes &= (placed.along > STANDING_MPS) & (placed.along < SLOW_MPS) & placed.in_corridor()
        rows = np.flatnonzero(bikes)
        return int(rows[placed.rear[rows].argmin()]) if len(rows) else None

    def _around_cyclist(self, ego: Place, placed: Placed, row: int) -> Pass | None:
        """Overtake a cyclist when everything is free for as long as it takes."""
        slow, top = float(placed.along[row]) + CYCLIST_FASTER_MPS, CYCLIST_PASS_MPS
        relative = float(placed.front[row]) - ego.s + ego.half + 5.0
        seconds = relative / (top - slow) + (top - ego.speed) / PASS_ACCEL_MPS2 * 0.5
        end = ego.s + relative + slow * seconds
        if not self._clear_street(ego.s, end + RAMP_M):
            return None
        offset = float(placed.left[row]) + HALF_WIDTH_M + CYCLIST_CLEARANCE_M
        begin = min(float(placed.rear[row]) - ego.half, ego.s + RAMP_M)
        ids = frozenset([int(placed.objects.ids[row])])
        begin = max(begin, ego.s + 4.0)
        plan = Pass(ids, min(offset, MAX_OFFSET_M), ego.s, begin, end, top)
        return plan if self._free(plan, ego, placed) else None

    # ------------------------------------------------------------------ what is free

    def _clear_street(self, low: float, high: float) -> bool:
        """Whether a stretch of the route has no junction, no light and not the route's end."""
        lights = any(low < light.stop_s < high for light in self._scene.route_lights)
        ends = high > self._scene.route.length_m
        return not (lights or ends or self._junctions.in_area(low, high))

    def _green(self, frame: SceneFrame, ego: Place, plan: Pass) -> bool:
        """No light can stop the ego beside the blockage, in the others' lane."""
        return all(
            frame.light_states.get(light.id) == LightState.GREEN
            for light in self._scene.route_lights
            if ego.front < light.stop_s < plan.end + RAMP_M
        )

    def _free(self, plan: Pass, ego: Place, placed: Placed) -> bool:
        """Whether the shifted way is road, empty, and stays so until the ego is back."""
        return not taken(plan, ego, placed).any() and is_road(plan, self._scene)

    @staticmethod
    def _must_abort(plan: Pass, ego: Place, placed: Placed) -> bool:
        """Somebody comes, and there is still time to go back behind the blockage."""
        if ego.front > plan.begin + ego.half or plan.in_lane or not len(placed):
            return False
        return bool(taken(plan, ego, placed).any())
