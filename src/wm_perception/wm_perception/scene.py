"""What surrounds the vehicle, as quantities: the leader, the red stop line, clearance.

Pure functions of a static :class:`Scene` and a :class:`SceneFrame`. The labels the world model
learns, the evaluation and the rule-based expert are all built from these.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from wm_perception.conventions import box_corners, to_ego, to_map
from wm_perception.frame import EgoState, LightBox, LightState, Objects, SceneFrame
from wm_perception.route import Route
from wm_perception.sight import NO_WALLS
from wm_perception.town_map import TownMap

LOOK_AHEAD_M = 45.0
# Half the body plus a margin: an object is in the way when any part of it is this close to the
# route's centre line. A car in the next 3.5 m lane keeps 2.5 m.
CORRIDOR_HALF_M = 1.35
STOPPING = (LightState.RED, LightState.YELLOW)


@dataclass(frozen=True)
class RouteLight:
    """A traffic light that governs the route: its id and where to stop, m of arc length."""

    id: int
    stop_s: float


@dataclass(frozen=True)
class Leader:
    """The nearest object on the route ahead: bumper gap (m) and speed along the route (m/s)."""

    gap_m: float
    speed_mps: float


def lights_on_route(route: Route, boxes: tuple[LightBox, ...]) -> tuple[RouteLight, ...]:
    """The lights whose trigger volume the route drives through, in order of their stop lines.

    The stop line is where the route leaves the volume. A route that passes a volume twice stops
    at it twice.
    """
    found = []
    for box in boxes:
        local = to_ego(route.points, np.array([*box.center, box.yaw]))
        inside = (abs(local[:, 0]) <= box.length / 2 + 0.5) & (abs(local[:, 1]) <= box.width / 2)
        leaves = np.flatnonzero(inside[:-1] & ~inside[1:])
        for index in leaves:
            # The box was widened by half a metre along its length, so that 1 m sampling cannot
            # step over it; the exact exit is found by interpolation along the box's axis.
            a, b = local[index, 0], local[index + 1, 0]
            edge = np.sign(b - a) * box.length / 2
            fraction = (edge - a) / (b - a) if abs(b - a) > 1e-6 else 0.0
            found.append(RouteLight(box.id, float(index + fraction)))
    return tuple(sorted(found, key=lambda light: light.stop_s))


class Scene:
    """What stays the same during an episode: the town, the route, the lights along it.

    Attributes:
        town, route, lights: as given.
        route_lights: the lights that govern the route, in order.
        walls: (N, 5) footprints of buildings, see :mod:`wm_perception.sight`; known in process
            only, none over ROS.
    """

    def __init__(
        self,
        town: TownMap,
        route: Route,
        lights: tuple[LightBox, ...] = (),
        walls: np.ndarray = NO_WALLS,
    ):
        self.town = town
        self.route = route
        self.lights = lights
        self.walls = walls
        self.route_lights = lights_on_route(route, lights)


def leader(
    scene: Scene, ego: EgoState, objects: Objects, s: float, reach_m: float = LOOK_AHEAD_M
) -> Leader | None:
    """The nearest object whose body reaches into the route's corridor within ``reach_m`` ahead."""
    near = objects.within(ego.x, ego.y, reach_m + 8.0)
    if not len(near):
        return None
    s_path = np.arange(max(0.0, s), min(scene.route.length_m, s + reach_m), 1.0)
    if not len(s_path):
        return None
    path = scene.route.sample(s_path)
    # Corners, centre and side midpoints of every body: (M, 7, 2).
    half = near.sizes[:, None, :] / 2
    unit = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1], [0, 1], [0, -1], [0, 0]])
    cos, sin = np.cos(near.poses[:, 2])[:, None], np.sin(near.poses[:, 2])[:, None]
    local = unit * half
    body = near.poses[:, None, :2] + np.stack(
        [cos * local[..., 0] - sin * local[..., 1], sin * local[..., 0] + cos * local[..., 1]], -1
    )
    squared = ((body[:, :, None] - path) ** 2).sum(-1)
    closest = squared.argmin(-1)
    gaps = s_path[closest] - s - ego.length / 2
    nearest = np.take_along_axis(squared, closest[..., None], -1)[..., 0]
    touching = (nearest < CORRIDOR_HALF_M**2) & (closest > 0)
    gaps = np.where(touching, gaps, np.inf)
    # A body that already lies beside or behind the front bumper is not ahead.
    centre_ahead = to_ego(near.poses[:, :2], ego.pose)[:, 0] > 0.5
    per_object = np.where(centre_ahead, gaps.min(1), np.inf)
    index = int(per_object.argmin())
    if not np.isfinite(per_object[index]):
        return None
    station = int(closest[index, int(gaps[index].argmin())])
    heading = scene.route.headings[min(int(s_path[station]), len(scene.route) - 1)]
    velocity = near.velocities[index]
    along = float(velocity[0] * np.cos(heading) + velocity[1] * np.sin(heading))
    return Leader(max(0.0, float(per_object[index])), max(0.0, along))


def stop_distance(scene: Scene, frame: SceneFrame, s: float) -> float | None:
    """Metres from the front bumper to the next stop line that is red or yellow, or None."""
    front = s + frame.ego.length / 2
    for light in scene.route_lights:
        if light.stop_s - front > LOOK_AHEAD_M:
            break
        if light.stop_s > front and frame.light_states.get(light.id) in STOPPING:
            return light.stop_s - front
    return None


def ran_red_light(scene: Scene, frame: SceneFrame, s_before: float, s_now: float) -> bool:
    """Whether the front bumper crossed a stop line between two stations while it was red.

    ``frame`` is the earlier of the two frames: the light as the driver saw it.
    """
    half = frame.ego.length / 2
    return any(
        frame.light_states.get(light.id) == LightState.RED
        and s_before + half <= light.stop_s < s_now + half
        for light in scene.route_lights
    )


def touches(ego: EgoState, objects: Objects, ahead_m: float = 0.0, side_m: float = 0.0) -> bool:
    """Whether the ego's body, grown forward and to both sides, meets an object."""
    dx, dy = objects.poses[:, 0] - ego.x, objects.poses[:, 1] - ego.y
    length, width = objects.sizes.T
    reach = np.hypot(ego.length / 2 + ahead_m, ego.width / 2 + side_m)
    near = objects[(dx * dx + dy * dy < (reach + (length + width) / 2) ** 2).nonzero()[0]]
    if not len(near):
        return False
    x, y = to_map(np.array([ahead_m / 2, 0.0]), ego.pose)
    body = box_corners(x, y, ego.yaw, ego.length + ahead_m, ego.width + 2 * side_m)
    body = body.astype(np.float32)
    for pose, size in zip(near.poses, near.sizes, strict=True):
        other = box_corners(*pose, *size).astype(np.float32)
        if cv2.intersectConvexConvex(body, other)[0] > 0.02:
            return True
    return False
