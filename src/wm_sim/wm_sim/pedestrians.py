"""Pedestrians: SUMO persons that walk on pavements and cross at crossings.

Cars yield to them at crossings by SUMO's right of way, and they wait for lights and for cars that
have the right of way.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache

import libsumo
import numpy as np
from libsumo import constants as sumo

from wm_perception.conventions import wrap_angle
from wm_perception.frame import ObjectClass, Objects
from wm_sim.blueprints import find
from wm_sim.traffic_network import Network

FIRST_ID = 100_000
WALKER = find("walker.pedestrian.0001")
WALKING_MPS = 1.3
SPAWN_CLEARANCE_M = 40.0  # nobody appears this close to the ego
_ATTEMPTS = 20
_SUBSCRIBED = [sumo.VAR_POSITION, sumo.VAR_ANGLE, sumo.VAR_SPEED, sumo.VAR_ROAD_ID]


@lru_cache(maxsize=4096)
def _is_crossing(road: str) -> bool:
    """By the name that SUMO gives to crossings."""
    return re.fullmatch(r":.*_c\d+", road) is not None


class Pedestrians:
    """The people on foot of one episode.

    Args:
        network: streets and pavements that are loaded.
        target: how many there shall be.
        rng: for where they come from and go to.
    """

    def __init__(self, network: Network, target: int, rng: np.random.Generator) -> None:
        self._network, self._target, self._rng = network, target, rng
        self._count = 0
        self._hit: dict[str, float] = {}  # who lies on the ground, and until when

    def populate(self) -> None:
        """Put everybody on the pavements."""
        for _ in range(self._target):
            self._spawn(None)

    def step(self, ego_xy: tuple[float, float] | None) -> None:
        """Keep the number of people; call after each of SUMO's steps."""
        if not self._target:
            return
        now = libsumo.simulation.getTime()
        alive = set(libsumo.person.getIDList())
        for name in [name for name, until in self._hit.items() if until <= now]:
            del self._hit[name]
            if name in alive:
                libsumo.person.setSpeed(name, WALKING_MPS)
        if len(alive) < self._target:
            self._spawn(ego_xy)

    def _spawn(self, ego_xy: tuple[float, float] | None) -> None:
        walks = self._network.walks
        for _ in range(_ATTEMPTS):
            start, goal = (walks[i] for i in self._rng.integers(len(walks), size=2))
            at = float(self._rng.uniform(2.0, libsumo.lane.getLength(f"{start}_0") - 2.0))
            x, y = libsumo.simulation.convert2D(start, at, 0)
            if ego_xy is not None and math.dist((x, y), ego_xy) < SPAWN_CLEARANCE_M:
                continue
            stages = libsumo.simulation.findIntermodalRoute(start, goal, departPos=at)
            if start == goal or not stages or len(stages[0].edges) < 2:
                continue
            name = f"p{self._count}"
            self._count += 1
            libsumo.person.add(name, start, at)
            libsumo.person.appendWalkingStage(name, stages[0].edges, -1.0)
            libsumo.person.subscribe(name, _SUBSCRIBED)
            return

    def clear(self, x: float, y: float, radius_m: float) -> None:
        """Take away who stands within ``radius_m`` of (x, y)."""
        for name, at, *_ in self._people():
            if math.dist(at, (x, y)) < radius_m:
                libsumo.person.unsubscribe(name)
                libsumo.person.removeStages(name)

    def knock_down(self, actor_id: int, seconds: float) -> None:
        """Somebody was hit: no walking for a while."""
        name = f"p{actor_id - FIRST_ID}"
        if name in libsumo.person.getIDList():
            libsumo.person.setSpeed(name, 0.0)
            self._hit[name] = libsumo.simulation.getTime() + seconds

    def objects(self) -> tuple[Objects, np.ndarray]:
        """Everybody now, ids from 100,000, and (M,) who is on a crossing."""
        people = sorted((int(name[1:]), *rest) for name, *rest in self._people())
        if not people:
            return Objects(), np.zeros(0, bool)
        count = len(people)
        yaw = wrap_angle(np.array([person[2] for person in people]))
        speed = np.array([person[3] for person in people])[:, None]
        objects = Objects(
            FIRST_ID + np.array([person[0] for person in people], np.int64),
            np.c_[np.array([person[1] for person in people]), yaw],
            speed * np.stack([np.cos(yaw), np.sin(yaw)], 1),
            np.tile([WALKER.length, WALKER.width], (count, 1)),
            np.full(count, ObjectClass.PEDESTRIAN, np.uint8),
            np.full(count, WALKER.height),
        )
        return objects, np.array([person[4] for person in people])

    def _people(self) -> list[tuple[str, tuple[float, float], float, float, bool]]:
        """(name, position, yaw, speed, is on a crossing) of everybody on the way."""
        if not self._target:
            return []
        return [
            (
                name,
                values[sumo.VAR_POSITION][:2],
                math.radians(90.0 - values[sumo.VAR_ANGLE]),
                values[sumo.VAR_SPEED],
                _is_crossing(values[sumo.VAR_ROAD_ID]),
            )
            for name, values in libsumo.person.getAllSubscriptionResults().items()
            if values.get(sumo.VAR_SPEED, -1.0) > -1.0
        ]
