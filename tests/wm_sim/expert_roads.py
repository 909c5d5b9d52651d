"""Hand-built streets and a closed loop with scripted road users, for the tests of the expert."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wm_perception.frame import (
    EgoState,
    LightBox,
    LightState,
    ObjectClass,
    Objects,
    SceneFrame,
)
from wm_perception.route import Route
from wm_perception.scene import Scene, touches
from wm_perception.town_map import LaneStrip
from wm_sim.expert import Expert, ExpertStyle
from wm_sim.vehicle import Vehicle, VehicleState

LIGHT, CROSS_LIGHT = 7, 8
LANE_M = 3.5
NOBODY = Objects()
SIZES = {
    ObjectClass.CAR: (4.5, 1.85),
    ObjectClass.TRUCK: (6.4, 2.3),
    ObjectClass.BIKE: (1.8, 0.6),
    ObjectClass.PEDESTRIAN: (0.5, 0.5),
    ObjectClass.BARRIER: (0.4, 1.2),
}


class Streets:
    """As much of a town as the expert reads: lane strips, and what is road."""

    def __init__(self, strips: list[LaneStrip]):
        self.strips = strips
        self._centres = np.concatenate([(s.left + s.right) / 2 for s in strips])

    def drivable(self, points: np.ndarray) -> np.ndarray:
        distance = np.hypot(*(points[:, None] - self._centres).transpose(2, 0, 1))
        return distance.min(1) < LANE_M / 2 + 0.1


def strip(points) -> LaneStrip:
    """A driving lane around a centre line."""
    centre = np.asarray(points, float)
    tangent = np.gradient(centre, axis=0)
    tangent /= np.hypot(*tangent.T)[:, None]
    left = np.stack([-tangent[:, 1], tangent[:, 0]], 1) * LANE_M / 2
    return LaneStrip("driving", centre + left, centre - left, "", "")


def line(start, end) -> np.ndarray:
    """Points 1 m apart, both ends included."""
    start, end = np.array(start, float), np.array(end, float)
    count = round(float(np.hypot(*(end - start)))) + 1
    return start + np.linspace(0.0, 1.0, count)[:, None] * (end - start)


def straight(length: float = 150.0) -> Scene:
    """A street along x with a light whose stop line is at 50 m."""
    route = Route(np.array([[0.0, 0.0], [length, 0.0]]))
    lanes = [strip(line((0, 0), (length, 0))), strip(line((length, LANE_M), (0, LANE_M)))]
    return Scene(Streets(lanes), route, (LightBox(LIGHT, (48.0, 0.0), 0.0, 4.0, 3.0),))


def street(length: float = 200.0) -> Scene:
    """The same without a light."""
    scene = straight(length)
    return Scene(scene.town, scene.route)


def crossing() -> Scene:
    """A street along x, crossed at 60 m by one that runs along +y, with a light on the latter."""
    route = Route(np.array([[0.0, 0.0], [150.0, 0.0]]))
    lanes = [
        strip(line((0, 0), (50, 0))),
        strip(line((50, 0), (70, 0))),
        strip(line((70, 0), (150, 0))),
        strip(line((60, -80), (60, -10))),
        strip(line((60, -10), (60, 10))),
        strip(line((60, 10), (60, 80))),
    ]
    return Scene(
        Streets(lanes), route, (LightBox(CROSS_LIGHT, (60.0, -12.0), np.pi / 2, 4.0, 3.0),)
    )


@dataclass(frozen=True)
class User:
    """A road user that goes straight at a constant speed; ``start_s`` later than the ego."""

    x: float
    y: float
    yaw: float = 0.0
    speed: float = 0.0
    kind: ObjectClass = ObjectClass.CAR
    start_s: float = 0.0
    stop_s: float = 1e9

    def at(self, t: float) -> tuple[float, float, float, float]:
        moving = self.start_s <= t < self.stop_s
        way = self.speed * (min(t, self.stop_s) - self.start_s if t > self.start_s else 0.0)
        x, y = self.x + way * np.cos(self.yaw), self.y + way * np.sin(self.yaw)
        return x, y, self.yaw, self.speed if moving else 0.0


def objects_at(users: list[User], t: float) -> Objects:
    """The users at time ``t``; their ids are 1, 2, ..."""
    if not users:
        return NOBODY
    states = np.array([user.at(t) for user in users])
    heading = np.stack([np.cos(states[:, 2]), np.sin(states[:, 2])], 1)
    return Objects(
        np.arange(1, len(users) + 1),
        states[:, :3],
        states[:, 3:] * heading,
        np.array([SIZES[user.kind] for user in users]),
        np.array([user.kind for user in users], np.uint8),
    )


@dataclass(frozen=True)
class Drive:
    """What came of a drive: ego states and objects of every frame, the expert, first contact."""

    egos: list[EgoState]
    objects: list[Objects]
    expert: Expert
    touched: bool

    @property
    def x(self) -> np.ndarray:
        return np.array([ego.x for ego in self.egos])

    @property
    def y(self) -> np.ndarray:
        return np.array([ego.y for ego in self.egos])

    @property
    def speed(self) -> np.ndarray:
        return np.array([ego.speed_mps for ego in self.egos])


def drive(
    scene: Scene,
    users: list[User],
    seconds: float,
    speed: float = 7.0,
    lights: dict[int, LightState] | Callable[[float], dict[int, LightState]] | None = None,
    props: list[User] | None = None,
    style: ExpertStyle | None = None,
    start_x: float = 0.0,
) -> Drive:
    """Let the expert drive a scene among scripted users."""
    expert = Expert(style)
    vehicle = Vehicle(VehicleState(start_x, 0.0, speed=speed))
    expert.reset(scene)
    egos, seen, touched = [], [], False
    for i in range(round(seconds * 10)):
        t = i / 10.0
        ego, others = vehicle.ego(), objects_at(users, t)
        fixed = objects_at(props or [], t)
        egos.append(ego)
        seen.append(others)
        touched |= touches(ego, others) or touches(ego, fixed)
        states = lights(t) if callable(lights) else (lights or {})
        frame = SceneFrame(i * 100_000_000, ego, others, states, props=fixed)
        vehicle.step(expert.drive(frame), 0.1)
    return Drive(egos, seen, expert, touched)
