"""The plain-array picture of one moment, the seam between every source and the stack.

A :class:`SceneFrame` is what one synchronised simulator frame says. ROS messages (through
``wm_perception.sync``), recorded bags and the embedded simulator all produce it, and everything
downstream (observation, labels, scoring, the rule-based expert) is a function of it, so the same
objects run in process, over ROS and offline.

Frames and signs are REP-103: x forward, y left, yaw counter-clockwise, SI units. Steering is
left-positive in [-1, 1]. CARLA's signs are converted at the edge, in ``conventions``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

OBJECT_HEIGHT_M = 1.5  # of a road user that does not say


class LightState(IntEnum):
    """Traffic-light states, numbered as in carla_msgs/CarlaTrafficLightStatus."""

    RED = 0
    YELLOW = 1
    GREEN = 2
    OFF = 3
    UNKNOWN = 4


class ObjectClass(IntEnum):
    """What a road user or an obstacle is, numbered as in derived_object_msgs/Object."""

    UNKNOWN = 0
    PEDESTRIAN = 4
    BIKE = 5
    CAR = 6
    TRUCK = 7
    MOTORCYCLE = 8
    OTHER_VEHICLE = 9
    BARRIER = 10
    SIGN = 11


@dataclass(frozen=True)
class Command:
    """A driving command held for one frame.

    Attributes:
        steer: left-positive fraction of the maximum steering angle, in [-1, 1].
        accel: > 0 is throttle, < 0 is brake, in [-1, 1].
        reverse: the gear is reverse: throttle drives backwards.
    """

    steer: float = 0.0
    accel: float = 0.0
    reverse: bool = False


@dataclass(frozen=True)
class EgoState:
    """The ego vehicle in the map frame.

    Attributes:
        x, y: vehicle centre on the ground, m.
        yaw: heading, rad, in (-pi, pi].
        speed_mps: signed forward speed, m/s.
        yaw_rate_radps: counter-clockwise positive, rad/s.
        accel_mps2: longitudinal acceleration, m/s^2.
        command: the command applied during the frame that led here (the simulator's echo).
        length, width: full extent of the body, m.
    """

    x: float
    y: float
    yaw: float
    speed_mps: float
    yaw_rate_radps: float = 0.0
    accel_mps2: float = 0.0
    command: Command = Command()
    length: float = 4.5
    width: float = 1.85

    @property
    def pose(self) -> np.ndarray:
        """(3,) x, y, yaw."""
        return np.array([self.x, self.y, self.yaw])


@dataclass(frozen=True)
class Objects:
    """Road users or obstacles, ego excluded; M of them, one row each.

    Attributes:
        ids: (M,) int64.
        poses: (M, 3) x, y, yaw of the body centre, map frame, m and rad.
        velocities: (M, 2) map axes, m/s.
        sizes: (M, 2) full length and width, m.
        kinds: (M,) uint8 :class:`ObjectClass`; cars unless said.
        heights: (M,) full height, m; 1.5 unless said.
    """

    ids: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    poses: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    velocities: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    sizes: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    kinds: np.ndarray = None  # type: ignore[assignment]  # both are filled in below
    heights: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.kinds is None:
            object.__setattr__(self, "kinds", np.full(len(self.ids), ObjectClass.CAR, np.uint8))
        if self.heights is None:
            object.__setattr__(self, "heights", np.full(len(self.ids), OBJECT_HEIGHT_M))

    def __len__(self) -> int:
        return len(self.ids)

    def columns(self) -> tuple[np.ndarray, ...]:
        """All columns, in the order of the attributes."""
        return self.ids, self.poses, self.velocities, self.sizes, self.kinds, self.heights

    def __getitem__(self, rows) -> Objects:
        """The objects of a mask, slice or list of rows."""
        return Objects(*(column[rows] for column in self.columns()))

    def __add__(self, other: Objects) -> Objects:
        """These and then the others."""
        pairs = zip(self.columns(), other.columns(), strict=True)
        return Objects(*(np.concatenate(pair) for pair in pairs))

    def within(self, x: float, y: float, radius_m: float) -> Objects:
        """The objects whose centre lies within ``radius_m`` of (x, y)."""
        dx, dy = self.poses[:, 0] - x, self.poses[:, 1] - y
        return self[(dx * dx + dy * dy < radius_m * radius_m).nonzero()[0]]


@dataclass(frozen=True)
class LightBox:
    """Static part of a traffic light: its trigger volume on the ground.

    A vehicle must stop before it leaves the box while the light is red, so the stop line of a
    route is where the route leaves the box.

    Attributes:
        id: the light's id, as in the status topic.
        center: (2,) box centre, map frame, m.
        yaw: direction of the box's length, rad.
        length, width: full extent, m.
    """

    id: int
    center: tuple[float, float]
    yaw: float
    length: float
    width: float


@dataclass(frozen=True)
class Contact:
    """A collision of the ego during one frame.

    Attributes:
        other_id: actor hit, 0 for the town itself (a building, a pole).
        kind: what was hit; BARRIER for anything that stands.
        impulse: (2,) normal impulse on the ego, map axes, N s.
    """

    other_id: int
    kind: ObjectClass
    impulse: tuple[float, float]


@dataclass(frozen=True)
class SceneFrame:
    """One synchronised frame.

    Attributes:
        stamp_ns: simulation time, ns.
        ego: the ego vehicle.
        objects: other road users.
        light_states: light id -> LightState for every known light.
        collided: the collision sensor reported a contact since the previous frame.
        crossed_markings: lane-marking types crossed since the previous frame (CARLA numbers).
        image: (H, W, 3) uint8 RGB of the front camera, or None.
        contact: what was hit, when ``collided`` and the source knows it.
        props: static obstacles on the road (cones, barriers); no topic of CARLA's bridge carries
            them, so they are known in process only.
        missing: keys of the topics whose message got lost; what they tell is of the frame before.
    """

    stamp_ns: int
    ego: EgoState
    objects: Objects = Objects()
    light_states: dict[int, LightState] = field(default_factory=dict)
    collided: bool = False
    crossed_markings: tuple[int, ...] = ()
    image: np.ndarray | None = None
    contact: Contact | None = None
    props: Objects = Objects()
    missing: tuple[str, ...] = ()
