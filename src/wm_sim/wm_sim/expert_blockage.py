"""What blocks the lane, and for how long it must have stood before it counts as a blockage.

A queue at a light or a junction is never one; a parked car is one at once; whoever was driving a
moment ago is given some time to drive on.
"""

from __future__ import annotations

import numpy as np

from wm_perception.frame import ObjectClass, SceneFrame
from wm_perception.scene import STOPPING, Scene
from wm_sim.expert_junction import Junctions
from wm_sim.expert_path import CORRIDOR_HALF_M, Placed

STANDING_MPS, SEEN_MOVING_MPS = 0.3, 1.0
SIGHT_M = 40.0  # blockages farther away can wait
# Seconds that a vehicle has to stand: seen standing only; seen driving before; in a line of others;
# at a green light; before a junction.
WAIT_S, WAIT_MOVED_S, WAIT_QUEUE_S, WAIT_GREEN_S, WAIT_JUNCTION_S = 2.0, 8.0, 9.0, 12.0, 20.0
WAIT_PERSON_S = 4.0  # who stands at the edge of the lane
OFF_CENTRE_M = 0.7  # whoever stands this far from the middle of the lane has parked
QUEUE_GAP_M, QUEUE_MPS = 10.0, 2.0  # a queue has gaps up to this, and may creep
HEAD_OF_QUEUE_M = 12.0  # whoever stands this close before a light or a junction waits there


class Blockages:
    """Remembers who stands since when on one route."""

    def __init__(self, scene: Scene, junctions: Junctions):
        self._scene, self._junctions = scene, junctions
        self._since: dict[int, int] = {}  # object id -> stamp since when it stands
        self._moved: set[int] = set()  # whom it has seen driving

    def note(self, frame: SceneFrame, placed: Placed) -> None:
        """Keep the clocks of everybody on the path."""
        ids = placed.objects.ids
        self._moved.update(ids[placed.speed > SEEN_MOVING_MPS].tolist())
        known = self._since
        standing = ids[placed.speed < STANDING_MPS].tolist()
        self._since = {name: known.get(name, frame.stamp_ns) for name in standing}

    @staticmethod
    def rows(placed: Placed, front: float) -> list[int]:
        """Rows of what stands on the route ahead of the station ``front``, nearest first."""
        half = CORRIDOR_HALF_M
        rows = np.flatnonzero(
            placed.on
            & (placed.speed < STANDING_MPS)
            & (placed.right < half)
            & (placed.left > -half)
            & (placed.rear > front - 1.0)
            & (placed.rear < front + SIGHT_M)
        )
        return rows[np.argsort(placed.rear[rows])].tolist()

    def ready(self, frame: SceneFrame, placed: Placed, row: int) -> bool:
        """Whether something has stood long enough to be passed."""
        wait = self.wait(frame, placed, row)
        name = int(placed.objects.ids[row])
        if wait == np.inf:  # the time in a queue does not count
            self._since[name] = frame.stamp_ns
        return (frame.stamp_ns - self._since[name]) * 1e-9 >= wait

    def wait(self, frame: SceneFrame, placed: Placed, row: int) -> float:
        """Seconds that something has to stand before it may be passed, inf in a queue."""
        kind = placed.objects.kinds[row]
        if kind == ObjectClass.BARRIER:
            return 0.0
        # Cyclists keep to the right; that does not mean that they have parked.
        if abs(placed.d[row]) > OFF_CENTRE_M and kind != ObjectClass.BIKE:
            return WAIT_PERSON_S if kind == ObjectClass.PEDESTRIAN else WAIT_S
        if kind == ObjectClass.PEDESTRIAN:
            return WAIT_JUNCTION_S
        head, queued = _queue_head(placed, row)
        for light in self._scene.route_lights:
            if head - 3.0 < light.stop_s < head + HEAD_OF_QUEUE_M:
                red = frame.light_states.get(light.id) in STOPPING
                return np.inf if red else WAIT_GREEN_S
        if self._junctions.in_area(head - 4.0, head + HEAD_OF_QUEUE_M):
            return WAIT_JUNCTION_S
        if queued:
            return WAIT_QUEUE_S
        return WAIT_MOVED_S if int(placed.objects.ids[row]) in self._moved else WAIT_S


def _queue_head(placed: Placed, row: int) -> tuple[float, bool]:
    """Front of the first of those who stand in line before ``row``; whether that is another."""
    head = float(placed.front[row])
    line = placed.on & (np.abs(placed.d) < OFF_CENTRE_M) & (placed.speed < QUEUE_MPS)
    line &= placed.objects.kinds != ObjectClass.BARRIER
    order = np.flatnonzero(line & (placed.rear > head - 1.0))
    for other in order[np.argsort(placed.rear[order])]:
        if placed.rear[other] > head + QUEUE_GAP_M:
            break
        head = max(head, float(placed.front[other]))
    return head, head > float(placed.front[row])
