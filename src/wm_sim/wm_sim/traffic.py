"""SUMO traffic and traffic lights around a foreign ego vehicle.

``libsumo`` is a process-wide singleton: the last :class:`Traffic` that started owns it. Frames and
units are the stack's (REP-103, map frame = SUMO's network coordinates).
"""

from __future__ import annotations

import math
from pathlib import Path

import libsumo
import numpy as np
from libsumo import constants as sumo

from wm_perception.conventions import wrap_angle
from wm_perception.frame import EgoState, LightBox, LightState, Objects

CAR_LENGTH_M, CAR_WIDTH_M = 4.5, 1.85
CAR_TYPE, EGO = "car", "ego"
LIGHT_BOX_LENGTH_M = 4.0  # trigger volume, ends at the stop line
START_CLEARANCE_M = 20.0  # nobody stands this close to the ego when an episode starts
SPAWN_CLEARANCE_M = 50.0  # nobody appears this close to the ego later
STUCK_AFTER_S = 100.0  # longer than any red phase: a jam; the car is taken out
STUCK_CHECK_S = 5.0
MIN_EDGE_M = 20.0
_SPAWN_ATTEMPTS = 20
_LIGHT_PHASES_S = 3600  # an episode starts at a random time of the signal programmes

_SUBSCRIBED = [sumo.VAR_POSITION, sumo.VAR_ANGLE, sumo.VAR_SPEED]
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


class Traffic:
    """Cars and lights of one town.

    Call :meth:`start` for each episode, then alternate :meth:`move_ego` and :meth:`step`.
    """

    _owner: Traffic | None = None  # whose network libsumo holds; None when it is not running

    def __init__(self, net_path: Path, step_s: float) -> None:
        self._net_path = net_path
        self._step_s = step_s
        self._edges: list[str] = []
        self._signals: list[tuple[int, str, int]] = []  # (light id, tls id, link index)
        self.boxes: tuple[LightBox, ...] = ()
        self._target = 0
        self._count = 0
        self._elapsed = 0
        self._waiting: list[str] = []  # asked for, to be inserted in the next step
        self._ego: EgoState | None = None
        self._rng = np.random.default_rng(0)

    def start(self, seed: int, cars: int, warm_up_s: float = 10.0) -> None:
        """Begin an episode: reload the network, spawn ``cars`` and let them drive for a while."""
        self._rng = np.random.default_rng([seed, cars])
        begin = int(self._rng.integers(_LIGHT_PHASES_S))
        options = [
            *("--begin", str(begin)),
            *("-n", str(self._net_path), "--step-length", str(self._step_s)),
            *("--seed", str(seed % (1 << 31)), "--collision.action", "none"),
            *("--time-to-teleport", "-1", "--default.speeddev", "0.1"),
            *("--no-step-log", "--no-warnings"),
        ]
        if Traffic._owner is None:
            libsumo.start(["sumo", *options])
        else:
            libsumo.load(options)
        Traffic._owner = self
        self._target, self._count, self._elapsed, self._ego = cars, 0, 0, None
        self._waiting = []
        self._read_network()
        libsumo.vehicletype.copy("DEFAULT_VEHTYPE", CAR_TYPE)
        libsumo.vehicletype.setLength(CAR_TYPE, CAR_LENGTH_M)
        libsumo.vehicletype.setWidth(CAR_TYPE, CAR_WIDTH_M)
        libsumo.vehicletype.setMinGap(CAR_TYPE, 2.5)
        for _ in range(cars):
            self._spawn()
        for _ in range(round(warm_up_s / self._step_s)):
            self.step()

    def _read_network(self) -> None:
        """Drivable edges and one light per signalised approach, ids in the order of names."""
        if self._edges:
            return
        self._edges = sorted(
            edge
            for edge in libsumo.edge.getIDList()
            if not edge.startswith(":") and libsumo.lane.getLength(f"{edge}_0") > MIN_EDGE_M
        )
        approaches: dict[str, tuple[str, int]] = {}
        for tls in sorted(libsumo.trafficlight.getIDList()):
            for index, links in enumerate(libsumo.trafficlight.getControlledLinks(tls)):
                for lane, _, _ in links:
                    approaches.setdefault(lane, (tls, index))
        boxes = []
        for number, lane in enumerate(sorted(approaches), start=1):
            before, (x, y) = libsumo.lane.getShape(lane)[-2:]
            yaw = math.atan2(y - before[1], x - before[0])
            half = LIGHT_BOX_LENGTH_M / 2
            center = (x - half * math.cos(yaw), y - half * math.sin(yaw))
            width = libsumo.lane.getWidth(lane)
            boxes.append(LightBox(number, center, yaw, LIGHT_BOX_LENGTH_M, width))
            self._signals.append((number, *approaches[lane]))
        self.boxes = tuple(boxes)

    def _spawn(self) -> None:
        """Ask SUMO for one more car somewhere away from the ego."""
        for _ in range(_SPAWN_ATTEMPTS):
            start, goal = (self._edges[i] for i in self._rng.integers(len(self._edges), size=2))
            length = libsumo.lane.getLength(f"{start}_0")
            at = float(self._rng.uniform(CAR_LENGTH_M + 0.5, length - 10.0))
            if self._ego is not None:
                x, y = libsumo.simulation.convert2D(start, at, 0)
                if math.hypot(x - self._ego.x, y - self._ego.y) < SPAWN_CLEARANCE_M:
                    continue
            edges = libsumo.simulation.findRoute(start, goal, CAR_TYPE).edges
            if len(edges) < 3:
                continue
            name = f"v{self._count}"
            self._count += 1
            libsumo.route.add(name, edges)
            libsumo.vehicle.add(name, name, CAR_TYPE, departPos=f"{at:.2f}", departSpeed="max")
            self._waiting.append(name)
            return

    def insert_ego(self, ego: EgoState) -> None:
        """Put the ego among the cars; those that stand too close to it are moved elsewhere."""
        self._ego = ego
        for name, (x, y), _, _ in self._cars():
            if math.hypot(x - ego.x, y - ego.y) < START_CLEARANCE_M + CAR_LENGTH_M / 2:
                self._remove(name)
        self._add_ego(ego)
        self.move_ego(ego)

    def _add_ego(self, ego: EgoState) -> None:
        route = f"{EGO}{self._elapsed}"
        edge = libsumo.simulation.convertRoad(ego.x, ego.y)[0]
        libsumo.route.add(route, [self._edges[0] if edge.startswith(":") else edge])
        libsumo.vehicle.add(EGO, route, CAR_TYPE, departPos="0")
        libsumo.vehicle.setSpeedMode(EGO, 0)
        libsumo.vehicle.setLaneChangeMode(EGO, 0)

    def move_ego(self, ego: EgoState) -> None:
        """Tell SUMO where the ego is after the next step.

        Raises:
            ValueError: the pose is not finite (SUMO would hang on it).
        """
        if not all(map(math.isfinite, (ego.x, ego.y, ego.yaw))):
            raise ValueError(f"ego pose is not finite: {ego.x}, {ego.y}, {ego.yaw}")
        self._ego = ego
        yaw = wrap_angle(ego.yaw)
        x, y = ego.x + ego.length / 2 * math.cos(yaw), ego.y + ego.length / 2 * math.sin(yaw)
        angle = 90.0 - math.degrees(yaw)
        try:
            libsumo.vehicle.moveToXY(EGO, "", -1, x, y, angle, keepRoute=2)
        except libsumo.TraCIException:  # it left SUMO, e.g. at the end of its road
            self._add_ego(ego)
            libsumo.vehicle.moveToXY(EGO, "", -1, x, y, angle, keepRoute=2)

    def step(self) -> None:
        """Advance SUMO by one step and keep the number of cars.

        Raises:
            RuntimeError: another instance has started an episode meanwhile.
        """
        if Traffic._owner is not self:
            raise RuntimeError("SUMO runs one simulator per process, and another one has started")
        libsumo.simulationStep()
        self._elapsed += 1
        departed = set(libsumo.simulation.getDepartedIDList())
        for name in self._waiting:
            if name in departed:
                libsumo.vehicle.subscribe(name, _SUBSCRIBED)
            else:  # no room: never let it appear later, when the ego may be there
                libsumo.vehicle.remove(name)
        self._waiting.clear()
        if self._elapsed % round(STUCK_CHECK_S / self._step_s) == 0:
            self._remove_stuck()
        present = libsumo.vehicle.getIDCount() - (self._ego is not None)
        if present < self._target:
            self._spawn()

    def _remove_stuck(self) -> None:
        for name, (x, y), _, speed in self._cars():
            if speed > 0.1 or libsumo.vehicle.getWaitingTime(name) < STUCK_AFTER_S:
                continue
            ego = self._ego
            if ego is None or math.hypot(x - ego.x, y - ego.y) > SPAWN_CLEARANCE_M:
                self._remove(name)

    @staticmethod
    def _remove(name: str) -> None:
        libsumo.vehicle.unsubscribe(name)  # or the next step fails on the missing car
        libsumo.vehicle.remove(name)

    def _cars(self) -> list[tuple[str, tuple[float, float], float, float]]:
        """(name, front bumper, yaw, speed) of every car on the road."""
        return [
            (
                name,
                values[sumo.VAR_POSITION],
                math.radians(90.0 - values[sumo.VAR_ANGLE]),
                values[sumo.VAR_SPEED],
            )
            for name, values in libsumo.vehicle.getAllSubscriptionResults().items()
            if name != EGO and values.get(sumo.VAR_SPEED, -1.0) > -1.0
        ]

    def objects(self) -> Objects:
        """The cars now, the ego excluded."""
        cars = sorted((int(name[1:]), *rest) for name, *rest in self._cars())
        if not cars:
            return Objects()
        ids = np.array([car[0] for car in cars], np.int64)
        front = np.array([car[1] for car in cars])[:, :2]
        yaw = wrap_angle(np.array([car[2] for car in cars]))
        heading = np.stack([np.cos(yaw), np.sin(yaw)], 1)
        poses = np.c_[front - CAR_LENGTH_M / 2 * heading, yaw]
        speed = np.array([car[3] for car in cars])[:, None]
        sizes = np.tile([CAR_LENGTH_M, CAR_WIDTH_M], (len(cars), 1))
        return Objects(ids, poses, speed * heading, sizes)

    def light_states(self) -> dict[int, LightState]:
        """State of every light box."""
        states = {
            tls: libsumo.trafficlight.getRedYellowGreenState(tls)
            for tls in {tls for _, tls, _ in self._signals}
        }
        return {
            light: _STATES.get(states[tls][index], LightState.UNKNOWN)
            for light, tls, index in self._signals
        }

    def close(self) -> None:
        """Release libsumo, unless another instance uses it by now."""
        if Traffic._owner is self:
            libsumo.close()
            Traffic._owner = None
