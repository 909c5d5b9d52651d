"""Actors that somebody put into the world, and the list of everything alive.

Whoever spawned an actor owns its motion: it stands where it was put until it is moved, and stands
still again in the first frame without a move. A walker may also be given a direction and a speed,
which it keeps (CARLA's WalkerControl).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.conventions import wrap_angle
from wm_perception.frame import Objects
from wm_sim.blueprints import Blueprint

FIRST_ID = 200_000
MAX_SPEED_MPS = 100.0


@dataclass(frozen=True)
class Actor:
    """One entry of the list of actors.

    Attributes:
        id: unique.
        type: blueprint name.
        role: role name, may be empty.
        parent: id of the actor it is attached to, 0 for none.
    """

    id: int
    type: str
    role: str = ""
    parent: int = 0


@dataclass(frozen=True)
class Spawned:
    """An actor that somebody put into the world.

    Attributes:
        id: unique.
        blueprint: what it is.
        x, y, yaw: body centre, map frame, m and rad.
        speed_mps: along its heading.
        role: role name.
        walk: direction (rad) and speed (m/s) that a walker keeps, or None.
        siren: its blue lights flash.
    """

    id: int
    blueprint: Blueprint
    x: float
    y: float
    yaw: float
    speed_mps: float = 0.0
    role: str = ""
    walk: tuple[float, float] | None = None
    siren: bool = False


def check_finite(**values: float) -> None:
    """Refuse values that are no numbers.

    Raises:
        UserError: one is NaN or infinite.
    """
    for name, value in values.items():
        if not math.isfinite(value):
            raise UserError(f"{name} must be a finite number, not {value}")


def check_speed(speed_mps: float) -> None:
    """Refuse a speed that nothing here reaches.

    Raises:
        UserError: the speed is not finite, or beyond 100 m/s.
    """
    check_finite(speed=speed_mps)
    if abs(speed_mps) > MAX_SPEED_MPS:
        raise UserError(f"speed must be within {MAX_SPEED_MPS:g} m/s, not {speed_mps:g}")


def as_objects(actors: Iterable[Spawned]) -> Objects:
    """The actors as rows of :class:`Objects`."""
    rows = list(actors)
    if not rows:
        return Objects()
    poses = np.array([(a.x, a.y, a.yaw) for a in rows])
    speeds = np.array([a.speed_mps for a in rows])[:, None]
    return Objects(
        np.array([a.id for a in rows], np.int64),
        poses,
        speeds * np.stack([np.cos(poses[:, 2]), np.sin(poses[:, 2])], 1),
        np.array([(a.blueprint.length, a.blueprint.width) for a in rows]),
        np.array([a.blueprint.kind for a in rows], np.uint8),
        np.array([a.blueprint.height for a in rows]),
    )


class SpawnedActors:
    """The spawned actors of one episode; ids count up from 200,000."""

    def __init__(self) -> None:
        self._actors: dict[int, Spawned] = {}
        self._next_id = FIRST_ID
        self._moved: set[int] = set()
        self._moving: set[int] = set()
        self._cache: tuple[Objects, Objects] | None = None

    def __contains__(self, actor_id: int) -> bool:
        return actor_id in self._actors

    def __iter__(self) -> Iterator[Spawned]:
        return iter(self._actors.values())

    def add(
        self,
        blueprint: Blueprint,
        x: float,
        y: float,
        yaw: float,
        role: str = "",
        siren: bool = False,
    ) -> int:
        """Put an actor into the world and return its id."""
        actor_id = self._next_id
        self._next_id += 1
        self._put(Spawned(actor_id, blueprint, x, y, wrap_angle(yaw), 0.0, role, siren=siren))
        return actor_id

    def get(self, actor_id: int) -> Spawned:
        """The actor with this id.

        Raises:
            UserError: nobody spawned it.
        """
        if actor_id not in self._actors:
            raise UserError(f"no spawned actor has the id {actor_id}; only those can be moved")
        return self._actors[actor_id]

    def remove(self, actor_id: int) -> Spawned | None:
        """Take an actor out of the world; None when there is none of that id."""
        self._cache = None
        self._moved.discard(actor_id)
        self._moving.discard(actor_id)
        return self._actors.pop(actor_id, None)

    def move(self, actor_id: int, x: float, y: float, yaw: float, speed_mps: float) -> Spawned:
        """Place an actor for the next frame; its speed holds for that frame.

        Raises:
            UserError: nobody spawned it, or a value is not a sensible number.
        """
        actor = self.get(actor_id)
        check_finite(x=x, y=y, yaw=yaw)
        check_speed(speed_mps)
        self._moved.add(actor_id)
        self._moving.add(actor_id)
        moved = replace(actor, x=x, y=y, yaw=wrap_angle(yaw), speed_mps=speed_mps, walk=None)
        return self._put(moved)

    def walk(self, actor_id: int, direction: float, speed_mps: float) -> None:
        """Let a walker go on in a direction (rad, map frame) until it is told otherwise.

        Raises:
            UserError: it is not a spawned walker, or a value is not a sensible number.
        """
        actor = self.get(actor_id)
        if not actor.blueprint.is_walker:
            raise UserError(f"actor {actor_id} is a {actor.blueprint.name}, not a walker")
        check_finite(direction=direction)
        check_speed(speed_mps)
        self._moving.add(actor_id)
        self._put(replace(actor, walk=(wrap_angle(direction), speed_mps)))

    def advance(self, dt: float) -> None:
        """Bring every actor to the next frame: walk, or stand still unless it was moved."""
        for actor_id in sorted(self._moving - self._moved):
            actor = self._actors[actor_id]
            if actor.walk is None:
                self._moving.discard(actor_id)
                self._put(replace(actor, speed_mps=0.0))
                continue
            yaw, speed = actor.walk
            x = actor.x + speed * dt * math.cos(yaw)
            y = actor.y + speed * dt * math.sin(yaw)
            self._put(replace(actor, x=x, y=y, yaw=yaw, speed_mps=speed))
        self._moved.clear()

    def objects(self) -> Objects:
        """Vehicles and walkers."""
        return self._columns()[0]

    def props(self) -> Objects:
        """Static obstacles."""
        return self._columns()[1]

    def _put(self, actor: Spawned) -> Spawned:
        self._cache = None
        self._actors[actor.id] = actor
        return actor

    def _columns(self) -> tuple[Objects, Objects]:
        if self._cache is None:
            users = as_objects(a for a in self if not a.blueprint.is_prop)
            self._cache = users, as_objects(a for a in self if a.blueprint.is_prop)
        return self._cache
