"""What lidar and radar can hit: scenery, road users and obstacles as boxes, and the ground."""

from __future__ import annotations

import cv2
import numpy as np

from wm_perception.frame import Objects
from wm_perception.semantics import SemanticTag, tag_of
from wm_perception.town_map import PIXELS_PER_M, TownMap
from wm_sim.camera_scene import PAVEMENT_WIDTH_M
from wm_sim.lidar_cast import corners, sectors
from wm_sim.scenery import Scenery
from wm_sim.sensor_spec import SensorSpec
from wm_sim.view import WorldView


class Ground:
    """Semantic tags of the ground: road, lines, pavement, and terrain everywhere else."""

    def __init__(self, town: TownMap) -> None:
        self._town = town
        reach = 2 * round(PAVEMENT_WIDTH_M * PIXELS_PER_M) + 1
        beside = cv2.dilate(town.road, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
        self._tags = np.full(town.road.shape, SemanticTag.TERRAIN, np.uint8)
        self._tags[beside > 0] = SemanticTag.SIDEWALK
        for strip in town.strips:
            if strip.kind == "sidewalk":
                outline = np.round(town.to_pixels(np.r_[strip.left, strip.right[::-1]]))
                cv2.fillPoly(self._tags, [outline.astype(np.int32)], int(SemanticTag.SIDEWALK))
        self._tags[town.road > 0] = SemanticTag.ROAD
        self._tags[(town.line > 0) & (town.road > 0)] = SemanticTag.ROAD_LINE

    def tags(self, points: np.ndarray) -> np.ndarray:
        """(n,) uint8 tags of the map points (n, 2)."""
        pixels = self._town.to_pixels(points).astype(int)
        height, width = self._town.road.shape
        inside = (pixels >= 0).all(1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
        found = np.full(len(pixels), SemanticTag.TERRAIN, np.uint8)
        found[inside] = self._tags[pixels[inside, 1], pixels[inside, 0]]
        return found


class Solids:
    """The boxes around a sensor.

    Args:
        scenery: what stands beside the road; its lights are those of the view.
        view: the moment.
        origin: (3,) position of the sensor, map frame, m.
        rotation: (3, 3) from the sensor's axes to the map's.
        range_m: boxes out of reach are left out.

    Attributes:
        boxes: (B, 7) centre, full size and yaw, map frame.
        tags: (B,) uint8 semantic tags.
        ids: (B,) actor ids, 0 for scenery.
        velocities: (B, 2) map axes, m/s.
        sectors: (B,) first azimuth and (B,) width under which the sensor sees them, rad.
    """

    def __init__(
        self,
        scenery: Scenery,
        view: WorldView,
        origin: np.ndarray,
        rotation: np.ndarray,
        range_m: float,
    ) -> None:
        x, y = float(origin[0]), float(origin[1])
        rows = scenery.near(x, y, range_m)
        movable = _within(view.objects + view.props, x, y, range_m)
        self.boxes = np.concatenate([scenery.boxes[rows], boxes_of(movable)])
        tags = np.array([tag_of(kind) for kind in movable.kinds], np.uint8)
        self.tags = np.concatenate([scenery.tags[rows], tags])
        self.ids = np.concatenate([np.zeros(len(rows), np.int64), movable.ids])
        self.velocities = np.concatenate([np.zeros((len(rows), 2)), movable.velocities])
        self.sectors = sectors((corners(self.boxes) - origin) @ rotation)


def boxes_of(objects: Objects) -> np.ndarray:
    """(M, 7) boxes that stand on the ground."""
    x, y, yaw = objects.poses.T
    return np.stack([x, y, objects.heights / 2, *objects.sizes.T, objects.heights, yaw], 1)


def _within(objects: Objects, x: float, y: float, radius_m: float) -> Objects:
    """The objects any part of which may be that near."""
    away = np.hypot(objects.poses[:, 0] - x, objects.poses[:, 1] - y)
    return objects[away - np.hypot(*objects.sizes.T) / 2 < radius_m]


def sensor_pose(spec: SensorSpec, view: WorldView) -> tuple[np.ndarray, np.ndarray]:
    """(3,) position and (3, 3) rotation (sensor's axes to the map's) of a sensor on the ego."""
    cos, sin = np.cos(view.ego.yaw), np.sin(view.ego.yaw)
    ego = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    return np.array([view.ego.x, view.ego.y, 0.0]) + ego @ spec.position, ego @ spec.rotation
