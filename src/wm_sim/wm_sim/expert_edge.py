"""Making room: keeping to the right edge for oncoming vehicles and for those that must get past."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wm_perception.frame import ObjectClass, SceneFrame
from wm_sim.expert_path import CORRIDOR_HALF_M, HALF_WIDTH_M, Placed

EDGE_M = 0.8  # how far right of the lane's centre the ego goes
ROOM_M = 0.35  # wanted beside an oncoming vehicle
ONCOMING_MPS = 1.0
ONCOMING_AHEAD_M = 55.0
ONCOMING_TOP_MPS = 4.0  # speed past an oncoming vehicle that takes part of the lane
HOLD_S = 1.0
# A large vehicle that follows this close, for this long, wants to get past. The topics do not say
# who has a siren on; no other driver keeps so little distance.
TAILGATE_S, TAILGATE_M, TAILGATE_FOR_S = 0.6, 2.5, 0.4
TAILGATE_FROM_MPS = 2.5
YIELD_MPS, YIELD_FOR_S = 1.8, 10.0


@dataclass(frozen=True)
class Room:
    """What making room asks for: shift to the left (m, negative), highest speed (m/s)."""

    shift_m: float = 0.0
    top_mps: float = np.inf


class EdgeKeeper:
    """Remembers for whom the ego makes room on one route."""

    def __init__(self) -> None:
        self._oncoming = Room()
        self._oncoming_ns = -(10**18)
        self._close_since: dict[int, int] = {}
        self._yielding: tuple[int, int] | None = None  # id, stamp of the beginning
        self._done: set[int] = set()

    def update(
        self, frame: SceneFrame, s: float, placed: Placed, base: float, in_junction: bool
    ) -> Room:
        """How far right to keep and how fast to drive.

        Args:
            frame: now.
            s: station of the ego, m.
            placed: road users on the path.
            base: usual offset of the driver, m.
            in_junction: the ego is about to cross others' ways and must not dawdle.
        """
        oncoming = self._meet(frame, s, placed, base)
        behind = Room() if in_junction else self._let_pass(frame, s, placed)
        return Room(min(oncoming.shift_m, behind.shift_m), min(oncoming.top_mps, behind.top_mps))

    def _meet(self, frame: SceneFrame, s: float, placed: Placed, base: float) -> Room:
        """Room for a vehicle that comes towards the ego in its lane."""
        front = s + frame.ego.length / 2
        coming = placed.on & (placed.along < -ONCOMING_MPS)
        coming &= (placed.right - base < CORRIDOR_HALF_M) & (placed.left - base > -CORRIDOR_HALF_M)
        coming &= (placed.front > front) & (placed.rear < front + ONCOMING_AHEAD_M)
        coming &= placed.objects.kinds != ObjectClass.PEDESTRIAN
        # One that crosses the lane at an angle will be gone; only who follows it needs room.
        coming &= np.abs(placed.across) < 0.5 * np.abs(placed.along)
        if coming.any():
            shift = float(placed.right[coming].min()) - base - HALF_WIDTH_M - ROOM_M
            self._oncoming = Room(float(np.clip(shift, -EDGE_M, 0.0)), ONCOMING_TOP_MPS)
            self._oncoming_ns = frame.stamp_ns
        elif (frame.stamp_ns - self._oncoming_ns) * 1e-9 > HOLD_S:
            self._oncoming = Room()
        return self._oncoming

    def _let_pass(self, frame: SceneFrame, s: float, placed: Placed) -> Room:
        """Room for a large vehicle that pushes from behind, until it has got past."""
        rear = s - frame.ego.length / 2
        if self._yielding is not None:
            return self._keep_yielding(frame, s, placed)
        gap = rear - placed.front
        close = (placed.objects.kinds == ObjectClass.TRUCK) & placed.on & (np.abs(placed.d) < 2.2)
        close &= (gap > -1.0) & (gap < TAILGATE_M + TAILGATE_S * frame.ego.speed_mps)
        close &= placed.along > TAILGATE_FROM_MPS
        names = [int(name) for name in placed.objects.ids[close]]
        known = self._close_since
        self._close_since = {name: known.get(name, frame.stamp_ns) for name in names}
        for name, since in self._close_since.items():
            if name not in self._done and (frame.stamp_ns - since) * 1e-9 >= TAILGATE_FOR_S:
                self._yielding = (name, frame.stamp_ns)
                return Room(-EDGE_M, YIELD_MPS)
        return Room()

    def _keep_yielding(self, frame: SceneFrame, s: float, placed: Placed) -> Room:
        assert self._yielding is not None
        name, since = self._yielding
        rows = np.flatnonzero(placed.objects.ids == name)
        past = not len(rows) or placed.rear[rows[0]] > s + frame.ego.length / 2
        if past or (frame.stamp_ns - since) * 1e-9 > YIELD_FOR_S:
            self._yielding = None
            self._done.add(name)
            return Room()
        return Room(-EDGE_M, YIELD_MPS)
