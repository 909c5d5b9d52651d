"""The streets and lights of the network that SUMO has loaded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import libsumo

from wm_perception.frame import LightBox, LightState

LIGHT_BOX_LENGTH_M = 4.0  # trigger volume, ends at the stop line
MIN_EDGE_M = 20.0
_STATES = {
    "r": LightState.RED,
    "u": LightState.RED,
    "y": LightState.YELLOW,
    "Y": LightState.YELLOW,
    "g": LightState.GREEN,
    "G": LightState.GREEN,
    "o": LightState.OFF,
    "O": LightState.OFF,
}


@dataclass(frozen=True, eq=False)  # one object for each loaded network: compared by identity
class Network:
    """What the traffic needs to know of its streets.

    Attributes:
        edges: drivable streets, long enough to put a car on, sorted.
        drive_lane: street -> index of its rightmost lane for cars.
        walks: streets with a pavement, sorted; the pavement is lane 0.
        has_lanes: some street has more than one lane for cars, so that they change lanes.
        boxes: trigger volumes of the traffic lights.
        signals: (light id, SUMO's traffic light, link index) of every box.
    """

    edges: tuple[str, ...]
    drive_lane: dict[str, int]
    walks: tuple[str, ...]
    has_lanes: bool
    boxes: tuple[LightBox, ...]
    signals: tuple[tuple[int, str, int], ...]

    @cached_property
    def controllers(self) -> tuple[str, ...]:
        """SUMO's traffic lights that have a box."""
        return tuple(sorted({tls for _, tls, _ in self.signals}))

    def light_states(self) -> tuple[dict[int, LightState], float]:
        """State of every light box now, and the time (s) until which none changes."""
        now = tuple(map(libsumo.trafficlight.getRedYellowGreenState, self.controllers))
        switches = map(libsumo.trafficlight.getNextSwitch, self.controllers)
        return dict(self._decoded(now)), min(switches, default=math.inf)

    @lru_cache(maxsize=1)  # noqa: B019  # networks live as long as the process; states change rarely
    def _decoded(self, now: tuple[str, ...]) -> dict[int, LightState]:
        states = dict(zip(self.controllers, now, strict=True))
        return {
            light: _STATES.get(states[tls][index], LightState.UNKNOWN)
            for light, tls, index in self.signals
        }


def allows(lane: str, vehicle_class: str) -> bool:
    """Whether a lane is open to a SUMO vehicle class."""
    allowed = libsumo.lane.getAllowed(lane)
    return not allowed or vehicle_class in allowed


def read_network() -> Network:
    """Read the loaded network; ids of lights follow the order of the lanes' names.

    They are the same with and without pavements, which take the index 0 of a street's lanes.
    """
    drive_lane: dict[str, int] = {}
    walks, has_lanes = [], False
    for edge in sorted(e for e in libsumo.edge.getIDList() if not e.startswith(":")):
        lanes = range(libsumo.edge.getLaneNumber(edge))
        first = next((i for i in lanes if allows(f"{edge}_{i}", "passenger")), None)
        if first is not None:
            drive_lane[edge] = first
            has_lanes |= len(lanes) > first + 1
        long_enough = libsumo.lane.getLength(f"{edge}_0") > MIN_EDGE_M
        if long_enough and libsumo.lane.getAllowed(f"{edge}_0") == ("pedestrian",):
            walks.append(edge)
    edges = tuple(
        e for e, i in drive_lane.items() if libsumo.lane.getLength(f"{e}_{i}") > MIN_EDGE_M
    )
    boxes, signals = _lights(drive_lane)
    return Network(edges, drive_lane, tuple(walks), has_lanes, boxes, signals)


def _lights(drive_lane: dict[str, int]):
    """One light per signalised approach, a lane that cars take to a junction."""
    approaches: dict[str, tuple[str, str, int]] = {}
    for tls in sorted(libsumo.trafficlight.getIDList()):
        for index, links in enumerate(libsumo.trafficlight.getControlledLinks(tls)):
            for lane, _, _ in links:
                edge, number = lane.rsplit("_", 1)
                if edge in drive_lane and int(number) >= drive_lane[edge]:
                    key = f"{edge}_{int(number) - drive_lane[edge]}"
                    approaches.setdefault(key, (lane, tls, index))
    boxes, signals = [], []
    for light, key in enumerate(sorted(approaches), start=1):
        lane, tls, index = approaches[key]
        before, (x, y) = libsumo.lane.getShape(lane)[-2:]
        yaw = math.atan2(y - before[1], x - before[0])
        half = LIGHT_BOX_LENGTH_M / 2
        center = (x - half * math.cos(yaw), y - half * math.sin(yaw))
        width = libsumo.lane.getWidth(lane)
        boxes.append(LightBox(light, center, yaw, LIGHT_BOX_LENGTH_M, width))
        signals.append((light, tls, index))
    return tuple(boxes), tuple(signals)
