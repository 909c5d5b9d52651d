"""Radar as CARLA's: random rays in a cone, each with range, direction and radial velocity."""

from __future__ import annotations

import math

import numpy as np

from wm_sim.lidar_cast import NOTHING, cast
from wm_sim.lidar_world import Solids, sensor_pose
from wm_sim.scenery import Scenery
from wm_sim.sensor_clock import Tick
from wm_sim.sensor_spec import SensorSpec
from wm_sim.view import WorldView

MAX_POINTS = 100_000  # of one measurement
RADAR_POINT = np.dtype(
    [
        (name, "<f4")
        for name in ("x", "y", "z", "Range", "Velocity", "AzimuthAngle", "ElevationAngle")
    ]
)


class Radar:
    """``sensor.other.radar``; defaults of the attributes are those of CARLA's blueprint.

    Raises:
        UserError: an attribute is not a number or out of range.
    """

    def __init__(self, spec: SensorSpec) -> None:
        self._spec = spec
        self._range_m = spec.number("range", 100.0, 0.1)
        self._points_per_s = spec.points_per_second(1500.0, MAX_POINTS)
        widths = (spec.number(f"{way}_fov", 30.0, 0.1, 179.0) for way in ("horizontal", "vertical"))
        self._aside, self._up = (math.tan(math.radians(width) / 2) for width in widths)

    def measure(self, scenery: Scenery, view: WorldView, tick: Tick) -> np.ndarray:
        """(n,) ``RADAR_POINT``.

        x, y, z are in the sensor's axes (REP-103), m. ``AzimuthAngle`` (rad) is CARLA's, right
        positive; ``ElevationAngle`` (rad) is up positive. ``Velocity`` (m/s) is the rate of change
        of the range: negative for what comes closer.
        """
        count = int(self._points_per_s * tick.elapsed_s + 1e-9)
        radius, angle = tick.rng.random(count), tick.rng.random(count) * 2 * math.pi
        right, up = self._aside * radius * np.cos(angle), self._up * radius * np.sin(angle)
        local = np.stack([np.ones(count), -right, up], 1)
        length = np.linalg.norm(local, axis=1)
        local /= length[:, None]
        origin, rotation = sensor_pose(self._spec, view)
        world = local @ rotation.T
        reach = self._range_m * math.hypot(1.0, self._aside, self._up)
        solids = Solids(scenery, view, origin, rotation, reach)
        hits = cast(origin, world[:, None], solids.boxes, self._pairs(solids, count), reach)
        distance, box = hits.distance[:, 0], hits.box[:, 0]
        seen = (box != NOTHING) & (distance <= self._range_m * length)  # rays end in a plane
        return self._points(local[seen], distance[seen], self._speeds(
            view, origin, world[seen], solids, box[seen]
        ))  # fmt: skip

    def _pairs(self, solids: Solids, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Every ray with every box that may be in the beam, sorted by ray."""
        first, width = solids.sectors
        half = math.atan(self._aside)
        middle = (first + width / 2 + math.pi) % (2 * math.pi) - math.pi
        boxes = np.flatnonzero(np.abs(middle) <= half + width / 2)
        return np.repeat(np.arange(count), len(boxes)), np.tile(boxes, count)

    def _speeds(self, view, origin, directions, solids: Solids, box) -> np.ndarray:
        """(n,) rate of change of the range to each point, m/s."""
        ego = view.ego
        arm = origin[:2] - (ego.x, ego.y)
        own = ego.speed_mps * np.array([math.cos(ego.yaw), math.sin(ego.yaw)])
        own = own + ego.yaw_rate_radps * np.array([-arm[1], arm[0]])
        target = np.zeros((len(box), 2))
        target[box >= 0] = solids.velocities[box[box >= 0]]
        return ((target - own) * directions[:, :2]).sum(1)

    @staticmethod
    def _points(local: np.ndarray, distance: np.ndarray, speed: np.ndarray) -> np.ndarray:
        points = np.zeros(len(distance), RADAR_POINT)
        for axis, name in enumerate("xyz"):
            points[name] = local[:, axis] * distance
        points["Range"], points["Velocity"] = distance, speed
        points["AzimuthAngle"] = np.arctan2(-local[:, 1], local[:, 0])
        points["ElevationAngle"] = np.arcsin(local[:, 2])
        return points
