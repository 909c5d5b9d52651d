"""Road users, actors and scenery as carla-ros-bridge publishes them.

As there, every vehicle is classified as a car whatever it is, each object is stamped with the time
the node last heard of (that of the frame before), colours are 0 to 255 where ROS means 0 to 1, and
an actor without a role name is called ``None``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from carla_msgs.msg import CarlaActorInfo, CarlaActorList
from derived_object_msgs.msg import Object, ObjectArray
from geometry_msgs.msg import Vector3
from shape_msgs.msg import SolidPrimitive
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from wm_perception.frame import ObjectClass, Objects, SceneFrame
from wm_perception.node_tools import header
from wm_perception.semantics import CITYSCAPES_RGB, SemanticTag
from wm_sim.actors import Actor
from wm_sim.bridge_messages import pose

EGO_HEIGHT_M = 1.5
WALKERS = (ObjectClass.PEDESTRIAN,)
_EGO_COLOUR, _VEHICLE_COLOUR, _WALKER_COLOUR = (
    (0.0, 255.0, 0.0),
    (255.0, 0.0, 0.0),
    (0.0, 0.0, 255.0),
)
_MARKER_ALPHA, _STATIC_ALPHA = 0.3, 0.8
_MIN_EDGE_M = 0.1


@dataclass
class Accelerations:
    """Accelerations of road users, from their velocities in this frame and the one before.

    Attributes:
        before: id -> (vx, vy) of the frame before, map axes, m/s.
        stamp_ns: of that frame.
    """

    before: dict[int, tuple[float, float]] = field(default_factory=dict)
    stamp_ns: int = 0

    def update(self, frame: SceneFrame) -> np.ndarray:
        """(M, 2) accelerations of the frame's objects, map axes, m/s^2; zero for new ones."""
        ids = frame.objects.ids.tolist()
        velocities = frame.objects.velocities
        dt = (frame.stamp_ns - self.stamp_ns) * 1e-9
        known = [self.before.get(identity) for identity in ids]
        last = [v if old is None else old for v, old in zip(velocities, known, strict=True)]
        self.before = dict(zip(ids, map(tuple, velocities.tolist()), strict=True))
        self.stamp_ns = frame.stamp_ns
        if not ids or dt <= 0.0:
            return np.zeros((len(ids), 2))
        return (velocities - np.array(last)) / dt


def _object(head, identity: int, at, velocity, accel, size, walker: bool, age: int) -> Object:
    length, width, height = map(float, size)
    item = Object(
        header=head,
        id=identity,
        object_classified=True,
        pose=pose(*at),
        shape=SolidPrimitive(type=SolidPrimitive.BOX, dimensions=[length, width, height]),
        classification=(Object.CLASSIFICATION_PEDESTRIAN if walker else Object.CLASSIFICATION_CAR),
        classification_certainty=255,
        classification_age=age,
    )
    item.twist.linear.x, item.twist.linear.y = map(float, velocity)
    item.accel.linear.x, item.accel.linear.y = map(float, accel)
    return item


def _rows(objects: Objects) -> Iterable[tuple]:
    """(id, pose, velocity, (length, width, height), is a walker) of every road user."""
    sizes = np.c_[objects.sizes, objects.heights]
    walkers = np.isin(objects.kinds, WALKERS)
    return zip(
        objects.ids.tolist(),
        objects.poses.tolist(),
        objects.velocities.tolist(),
        sizes.tolist(),
        walkers.tolist(),
        strict=True,
    )


def object_arrays(
    frame: SceneFrame, ego_id: int, age: int, accelerations: np.ndarray, node_ns: int
) -> tuple[ObjectArray, ObjectArray]:
    """(/carla/objects, R/objects): all road users with the ego, and without it.

    Args:
        frame: the frame.
        ego_id: actor id of the ego.
        age: frames since the start, the age of every classification.
        accelerations: (M, 2) of the frame's objects, map axes, m/s^2.
        node_ns: stamp of the objects; the arrays carry the frame's.
    """
    ego, head, old = frame.ego, header(frame.stamp_ns), header(node_ns)
    items = [
        _object(old, identity, at, velocity, accel, size, walker, age)
        for (identity, at, velocity, size, walker), accel in zip(
            _rows(frame.objects), accelerations.tolist(), strict=True
        )
    ]
    cos, sin = math.cos(ego.yaw), math.sin(ego.yaw)
    velocity = ego.speed_mps * cos, ego.speed_mps * sin
    along, across = ego.accel_mps2, ego.speed_mps * ego.yaw_rate_radps
    accel = along * cos - across * sin, along * sin + across * cos
    size = ego.length, ego.width, EGO_HEIGHT_M
    own = _object(old, ego_id, ego.pose, velocity, accel, size, False, age)
    return ObjectArray(header=head, objects=[own, *items]), ObjectArray(header=head, objects=items)


def actor_list(actors: Iterable[Actor]) -> CarlaActorList:
    """Every actor that exists now."""
    return CarlaActorList(
        actors=[
            CarlaActorInfo(
                id=actor.id, parent_id=actor.parent, type=actor.type, rolename=actor.role or "None"
            )
            for actor in actors
        ]
    )


def _colour(rgb: Iterable[float], alpha: float) -> ColorRGBA:
    red, green, blue = map(float, rgb)
    return ColorRGBA(r=red, g=green, b=blue, a=alpha)


def markers(frame: SceneFrame, ego_id: int) -> MarkerArray:
    """A box around every road user."""
    head, ego = header(frame.stamp_ns), frame.ego
    own = (ego_id, ego.pose.tolist(), None, (ego.length, ego.width, EGO_HEIGHT_M), False)
    found = []
    for identity, at, _, (length, width, height), walker in (own, *_rows(frame.objects)):
        colour = _WALKER_COLOUR if walker else _VEHICLE_COLOUR
        colour = _EGO_COLOUR if identity == ego_id else colour
        marker = Marker(
            header=head,
            id=identity,
            type=Marker.CUBE,
            pose=pose(*at),
            scale=Vector3(x=length, y=width, z=height),
            color=_colour(colour, _MARKER_ALPHA),
        )
        marker.pose.position.z = height / 2
        found.append(marker)
    return MarkerArray(markers=found)


def static_markers(boxes: np.ndarray, tags: np.ndarray, stamp_ns: int) -> MarkerArray:
    """Scenery as boxes in CityScapes colours.

    Args:
        boxes: (B, 7) centre x, y, z, full sizes x, y, z (m) and yaw (rad), map frame.
        tags: (B,) semantic tags.
        stamp_ns: of the message.
    """
    head, found = header(stamp_ns), []
    rows = zip(boxes.tolist(), tags.tolist(), strict=True)
    for number, ((x, y, z, *size, yaw), tag) in enumerate(rows, start=1):
        edges = [max(_MIN_EDGE_M, edge) for edge in size]
        marker = Marker(
            header=head,
            ns=SemanticTag(tag).name.lower(),
            id=number,
            type=Marker.CUBE,
            pose=pose(x, y, yaw),
            scale=Vector3(x=edges[0], y=edges[1], z=edges[2]),
            color=_colour(CITYSCAPES_RGB[tag] / 255.0, _STATIC_ALPHA),
        )
        marker.pose.position.z = z
        found.append(marker)
    return MarkerArray(markers=found)
