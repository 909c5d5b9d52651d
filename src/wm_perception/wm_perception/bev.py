"""The bird's-eye-view painter: map, route, vehicles and red stop lines as binary masks.

One painter serves the bridge, recorded bags and the embedded simulator. Up is forward; the ego is
centred and stands at ``EGO_ROW`` of the height from the top.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from wm_perception.conventions import body_corners
from wm_perception.frame import Objects, SceneFrame
from wm_perception.scene import STOPPING, Scene
from wm_perception.town_map import PIXELS_PER_M

CHANNELS = ("road", "lane_line", "route", "vehicle", "vehicle_motion", "stop_line")
SIZE_PX = 64
METRES_PER_PX = 0.8
EGO_ROW = 0.78  # 40 m of road ahead, 11 m behind
REACH_M = 55.0
MOTION_S = 1.0  # a moving vehicle is drawn with the path of its next second
MOVING_MPS = 0.5
LANE_HALF_WIDTH_M = 1.9
FIXED_POINT = 4
# What a sampled pixel (road in the low byte, lane line in the high one) sets in the mask.
_SAMPLES = np.arange(1 << 16)
_DRAWN_BITS = ((_SAMPLES & 255 > 127) | ((_SAMPLES >> 8 > 70) << 1)).astype(np.uint8)


def map_to_bev(pose: np.ndarray) -> np.ndarray:
    """(2, 3) affine transform from map coordinates (m) to BEV (column, row) for ``pose`` (3,)."""
    scale = 1.0 / METRES_PER_PX
    x, y, yaw = map(float, pose)
    cos, sin = scale * math.cos(yaw), scale * math.sin(yaw)
    column, row = SIZE_PX / 2, SIZE_PX * EGO_ROW
    return np.array(
        [[sin, -cos, column - sin * x + cos * y], [-cos, -sin, row + cos * x + sin * y]]
    )


class BevPainter:
    """Paints the masks of one scene."""

    def __init__(self, scene: Scene):
        self._scene = scene
        town = scene.town
        # Halve the resolution once, with area averaging, so that sampling does not alias.
        layers = np.dstack([town.road, cv2.dilate(town.line, np.ones((3, 3), np.uint8))])
        self._layers = cv2.resize(layers, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        metres = 2.0 / PIXELS_PER_M
        top = town.origin[1] + self._layers.shape[0] * metres
        self._raster_to_map = np.array(
            [[metres, 0, town.origin[0]], [0, -metres, top], [0, 0, 1.0]]
        )

    def paint(self, frame: SceneFrame, s: float) -> np.ndarray:
        """(64, 64) uint8 bit mask: bit k is channel ``CHANNELS[k]``.

        Args:
            frame: the moment to paint.
            s: the ego's station along the route, m.
        """
        affine = map_to_bev(frame.ego.pose)
        drawn = cv2.warpAffine(
            self._layers, affine @ self._raster_to_map, (SIZE_PX, SIZE_PX), flags=cv2.INTER_LINEAR
        )
        mask = _DRAWN_BITS[drawn.view("<u2")[..., 0]]
        self._draw_lines(mask, self._route_ahead(s)[None], affine, bit=2)
        near = frame.objects.within(frame.ego.x, frame.ego.y, REACH_M)
        if len(near):
            self._draw_bodies(mask, near, affine)
            self._draw_lines(mask, self._swept(near), affine, bit=4)
        self._draw_lines(mask, self._stop_lines(frame, s), affine, bit=5)
        return mask

    def _pixels(self, points: np.ndarray, affine: np.ndarray) -> np.ndarray:
        pixels = points @ affine[:, :2].T + affine[:, 2]
        return np.round(pixels * (1 << FIXED_POINT)).astype(np.int32)

    def _draw_lines(
        self, mask: np.ndarray, paths: np.ndarray, affine: np.ndarray, bit: int
    ) -> None:
        """Add (k, n, 2) polylines, map frame, m."""
        if len(paths):
            canvas = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
            pixels = list(self._pixels(paths, affine))
            cv2.polylines(canvas, pixels, False, 1 << bit, 2, cv2.LINE_8, FIXED_POINT)
            mask |= canvas

    def _route_ahead(self, s: float) -> np.ndarray:
        first = max(0, int(s) - 2)
        return self._scene.route.points[first : int(s) + 60]

    def _draw_bodies(self, mask: np.ndarray, near: Objects, affine: np.ndarray) -> None:
        canvas = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
        for corners in self._pixels(body_corners(near), affine):
            cv2.fillConvexPoly(canvas, corners, 1 << 3, cv2.LINE_8, FIXED_POINT)
        mask |= canvas

    @staticmethod
    def _swept(near: Objects) -> np.ndarray:
        """(k, 2, 2) way of each moving object in the next second."""
        vx, vy = near.velocities.T
        moving = vx * vx + vy * vy > MOVING_MPS**2
        starts = near.poses[moving, :2]
        return np.stack([starts, starts + MOTION_S * near.velocities[moving]], 1)

    def _stop_lines(self, frame: SceneFrame, s: float) -> np.ndarray:
        """(k, 2, 2) ends of the red and yellow stop lines ahead."""
        route = self._scene.route
        lines = []
        for light in self._scene.route_lights:
            ahead = light.stop_s - s
            if not -2.0 < ahead < REACH_M or frame.light_states.get(light.id) not in STOPPING:
                continue
            heading = route.headings[min(int(light.stop_s), len(route) - 1)]
            across = LANE_HALF_WIDTH_M * np.array([-np.sin(heading), np.cos(heading)])
            centre = route.sample(np.array(light.stop_s))
            lines.append((centre + across, centre - across))
        return np.array(lines)


def planes(mask: np.ndarray) -> np.ndarray:
    """(..., H, W) bit mask -> (..., 6, H, W) uint8 of 0 and 1."""
    bits = np.arange(len(CHANNELS), dtype=np.uint8)[:, None, None]
    return (mask[..., None, :, :] >> bits) & 1
