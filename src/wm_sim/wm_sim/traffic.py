"""SUMO traffic and traffic lights around a foreign ego vehicle.

``libsumo`` is a process-wide singleton: the last :class:`Traffic` that started owns it. Frames and
units are the stack's (REP-103, map frame = SUMO's network coordinates).
"""

from __future__ import annotations

import math
from pathlib import Path

import libsumo
import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.frame import EgoState, LightBox, LightState, Objects
from wm_sim.pedestrians import FIRST_ID as FIRST_WALKER_ID
from wm_sim.pedestrians import Pedestrians
from wm_sim.traffic_network import Network, read_network
from wm_sim.traffic_puppets import Puppets
from wm_sim.traffic_types import (
    CAR,
    CAR_LENGTH_M,
    CAR_TYPE,
    CYCLIST,
    FIRST_ID,
    LORRY,
    VAN,
    TrafficType,
    as_objects,
    define,
    define_car,
)
from wm_sim.world import World

EGO = "ego"
_PREFIX = "v"  # of the names of vehicles that SUMO drives
NO_PAVEMENTS = "this town has no pavements, so it can have no pedestrians"
START_CLEARANCE_M = 20.0  # nobody stands this close to the ego when an episode starts
SPAWN_CLEARANCE_M = 50.0  # nobody appears this close to the ego later
STUCK_AFTER_S = 100.0  # longer than any red phase: a jam; the car is taken out
STUCK_CHECK_S = 5.0
CRASHED_S = 5.0  # how long who was hit stands still
LANE_CHANGE_S = 3.0
_SPAWN_ATTEMPTS = 20
_LIGHT_PHASES_S = 3600  # an episode starts at a random time of the signal programmes
_TRUCK_STREAM, _BIKE_STREAM, _WALK_STREAM = 1, 2, 3


class Traffic:
    """Everybody that SUMO drives in one town, and the lights.

    Call :meth:`start` for each episode, then alternate :meth:`move_ego` and :meth:`step`.

    Args:
        net_path: SUMO network of the streets.
        walk_net_path: the same with pavements and crossings, or None.
        step_s: s per step.
    """

    _owner: Traffic | None = None  # whose network libsumo holds; None when it is not running

    def __init__(self, net_path: Path, walk_net_path: Path | None, step_s: float) -> None:
        self._paths = (net_path, walk_net_path)
        self._step_s = step_s
        self._networks: dict[Path, Network] = {}
        self._reset(World(), 0, 0)

    def _reset(self, world: World, seed: int, cars: int) -> None:
        self._rng = np.random.default_rng([seed, cars])
        truck_rng = np.random.default_rng([seed, cars, _TRUCK_STREAM])
        bike_rng = np.random.default_rng([seed, cars, _BIKE_STREAM])
        self._targets = (
            ((LORRY, VAN), world.trucks, truck_rng),
            ((CYCLIST,), world.cyclists, bike_rng),
        )
        self._cars = cars
        self._count = self._elapsed = 0
        self._waiting: list[str] = []  # asked for, to be inserted in the next step
        self._gone: set[str] = set()  # removed since the last step
        self._kinds: dict[str, TrafficType] = {}  # of everybody who is not a car
        self._crashed: dict[str, int] = {}  # who was hit, and the step in which it drives on
        self._ego: EgoState | None = None
        self._lights: dict[int, LightState] = {}
        self._lights_until = -math.inf  # simulation time, s

    def start(self, seed: int, cars: int, world: World, warm_up_s: float = 10.0) -> None:
        """Begin an episode: reload the network, put everybody in and let them drive for a while.

        Raises:
            UserError: there shall be pedestrians and the town has no pavements.
        """
        path = self._paths[world.pedestrians > 0]
        if path is None:
            raise UserError(NO_PAVEMENTS)
        self._reset(world, seed, cars)
        begin = int(self._rng.integers(_LIGHT_PHASES_S))
        options = [
            *("--begin", str(begin)),
            *("-n", str(path), "--step-length", str(self._step_s)),
            *("--seed", str(seed % (1 << 31)), "--collision.action", "none"),
            *("--time-to-teleport", "-1", "--default.speeddev", "0.1"),
            *("--no-step-log", "--no-warnings"),
        ]
        is_new = path not in self._networks
        if is_new:
            self._load(options)
            self._networks[path] = read_network()
        self.network = self._networks[path]
        if self.network.has_lanes:
            options += ["--lanechange.duration", str(LANE_CHANGE_S)]
        if self.network.has_lanes or not is_new:
            self._load(options)
        self.puppets = Puppets(self.network.edges[0])
        if world.pedestrians and not self.network.walks:
            raise UserError(NO_PAVEMENTS)
        self.pedestrians = Pedestrians(
            self.network,
            world.pedestrians,
            np.random.default_rng([seed, cars, _WALK_STREAM]),
        )
        self._populate()
        for _ in range(round(warm_up_s / self._step_s)):
            self.step()

    def _load(self, options: list[str]) -> None:
        if Traffic._owner is None:
            libsumo.start(["sumo", *options])
        else:
            libsumo.load(options)
        Traffic._owner = self

    def _populate(self) -> None:
        define_car()
        for _ in range(self._cars):
            self._spawn(CAR, self._rng)
        for kinds, number, rng in self._targets:
            for kind in kinds if number else ():
                define(kind)
            for _ in range(number):
                self._spawn(kinds[int(rng.integers(len(kinds)))], rng)
        self.pedestrians.populate()

    @property
    def boxes(self) -> tuple[LightBox, ...]:
        """Trigger volumes of the traffic lights."""
        return self.network.boxes

    def _spawn(self, kind: TrafficType, rng: np.random.Generator) -> None:
        """Ask SUMO for one more vehicle somewhere away from the ego."""
        edges, drive_lane = self.network.edges, self.network.drive_lane
        for _ in range(_SPAWN_ATTEMPTS):
            start, goal = (edges[i] for i in rng.integers(len(edges), size=2))
            lane = drive_lane[start]
            length = libsumo.lane.getLength(f"{start}_{lane}")
            at = float(rng.uniform(CAR_LENGTH_M + 0.5, length - 10.0))
            if self._ego is not None:
                x, y = libsumo.simulation.convert2D(start, at, lane)
                if math.hypot(x - self._ego.x, y - self._ego.y) < SPAWN_CLEARANCE_M:
                    continue
            route = libsumo.simulation.findRoute(start, goal, kind.name).edges
            if len(route) < 3:
                continue
            name = f"v{self._count}"
            self._count += 1
            libsumo.route.add(name, route)
            libsumo.vehicle.add(name, name, kind.name, departPos=f"{at:.2f}", departSpeed="max")
            self._waiting.append(name)
            if kind is not CAR:
                self._kinds[name] = kind
            return

    def insert_ego(self, ego: EgoState) -> None:
        """Put the ego among the cars; those that stand too close to it are moved elsewhere."""
        self._ego = ego
        for number, x, y, _, _ in self._vehicles():
            if math.hypot(x - ego.x, y - ego.y) < START_CLEARANCE_M + CAR_LENGTH_M / 2:
                self._remove(f"v{number}")
        self.pedestrians.clear(ego.x, ego.y, START_CLEARANCE_M / 2)
        self.puppets.add(EGO, CAR_TYPE, ego.x, ego.y)
        self.move_ego(ego)

    def move_ego(self, ego: EgoState) -> None:
        """Tell SUMO where the ego is after the next step.

        Raises:
            ValueError: the pose is not finite (SUMO would hang on it).
        """
        self.puppets.move(EGO, ego.x, ego.y, ego.yaw, ego.length)
        self._ego = ego

    def step(self) -> None:
        """Advance SUMO by one step and keep the number of everybody.

        Raises:
            RuntimeError: another instance has started an episode meanwhile.
        """
        if Traffic._owner is not self:
            raise RuntimeError("SUMO runs one simulator per process, and another one has started")
        libsumo.simulationStep()
        self._elapsed += 1
        self._gone.clear()
        if self._waiting:
            departed = set(libsumo.simulation.getDepartedIDList())
            for name in self._waiting:
                if name not in departed:  # no room; it must not appear when the ego may be there
                    libsumo.vehicle.remove(name)
            self._waiting.clear()
        if self._elapsed % round(STUCK_CHECK_S / self._step_s) == 0:
            self._remove_stuck()
        self._release_crashed()
        self._replenish()
        self.pedestrians.step(None if self._ego is None else (self._ego.x, self._ego.y))

    def _replenish(self) -> None:
        """Ask for one more of each kind that is short."""
        cars = libsumo.vehicle.getIDCount() - (self._ego is not None)
        if self._kinds or len(self.puppets) > 1:
            present = libsumo.vehicle.getIDList()
            others = [self._kinds[name] for name in present if name in self._kinds]
            cars -= len(others) + sum(n in self.puppets for n in present if n != EGO)
            for kinds, number, rng in self._targets:
                if sum(kind in kinds for kind in others) < number:
                    self._spawn(kinds[int(rng.integers(len(kinds)))], rng)
        if cars < self._cars:
            self._spawn(CAR, self._rng)

    def _remove_stuck(self) -> None:
        for number, x, y, _, speed in self._vehicles():
            name = f"v{number}"
            if speed > 0.1 or libsumo.vehicle.getWaitingTime(name) < STUCK_AFTER_S:
                continue
            ego = self._ego
            if ego is None or math.hypot(x - ego.x, y - ego.y) > SPAWN_CLEARANCE_M:
                self._remove(name)

    def _remove(self, name: str) -> None:
        libsumo.vehicle.remove(name)
        self._gone.add(name)  # SUMO goes on listing it until the next step

    def crash(self, actor_id: int, speed_mps: float) -> None:
        """Somebody was hit and has this speed now: it brakes and stands for a while."""
        if actor_id >= FIRST_WALKER_ID:
            self.pedestrians.knock_down(actor_id, CRASHED_S)
            return
        name = f"v{actor_id - FIRST_ID}"
        libsumo.vehicle.setPreviousSpeed(name, max(0.0, speed_mps))
        libsumo.vehicle.setSpeed(name, 0.0)
        self._crashed[name] = self._elapsed + round(CRASHED_S / self._step_s)

    def _release_crashed(self) -> None:
        for name in [n for n, until in self._crashed.items() if until <= self._elapsed]:
            del self._crashed[name]
            if name in libsumo.vehicle.getIDList():
                libsumo.vehicle.setSpeed(name, -1.0)

    def kind(self, actor_id: int) -> TrafficType:
        """What kind of vehicle an id stands for."""
        return self._kinds.get(f"v{actor_id - FIRST_ID}", CAR)

    def _vehicles(self) -> list[tuple[int, float, float, float, float]]:
        """Number, x and y of the front bumper, SUMO's angle and speed of every vehicle.

        Asking for each value costs less than subscribing to them.
        """
        ask = libsumo.vehicle
        position, angle, speed = ask.getPosition, ask.getAngle, ask.getSpeed
        return [
            (int(name[1:]), *position(name), angle(name), speed(name))
            for name in ask.getIDList()
            if name[0] == _PREFIX and name not in self._gone
        ]

    def objects(self) -> Objects:
        """The vehicles now, the ego and what was spawned excluded."""
        rows = sorted(self._vehicles())
        kinds = [self._kinds.get(f"v{row[0]}", CAR) for row in rows] if self._kinds else None
        return as_objects(np.array(rows), kinds)

    def light_states(self) -> dict[int, LightState]:
        """State of every light box."""
        if libsumo.simulation.getTime() > self._lights_until - self._step_s:
            self._lights, self._lights_until = self.network.light_states()
        return self._lights

    def close(self) -> None:
        """Release libsumo, unless another instance uses it by now."""
        if Traffic._owner is self:
            libsumo.close()
            Traffic._owner = None
