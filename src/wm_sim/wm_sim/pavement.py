"""Where people on foot really are: off the carriageway, round parked cars, and without jumps.

SUMO lets people walk on the edge of the kerb, through what it does not know, and jump by a metre or
two where pavements meet. Here they keep off the road (but for crossings), step round parked cars,
do not walk into a car that stands, and catch up at a brisk walk.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from wm_perception.conventions import to_ego, to_map
from wm_perception.frame import Objects
from wm_perception.town_map import PIXELS_PER_M, TownMap

KERB_M = 0.6  # from the edge of the road to the middle of a person
BESIDE_M = 0.35  # between a person's side and a parked car; half a person is about as much
CLEAR_M = 0.5  # between the middle of a person and a car that stands: half a person and a bit
SWERVE_M = 1.5  # along the pavement, to step aside
CATCH_UP_MPS = 2.5
_STEP_M, _EDGE = 0.05, 128  # resolution of the kerb field, and its value at the edge of the road
_BLUR_PX = 2.0  # takes the steps out of a slanting edge
_PROBES_PX = np.array([(0, 0), (-3, 0), (3, 0), (0, -3), (0, 3)])


class Pavement:
    """Places people in one town.

    Args:
        town: the map.
    """

    def __init__(self, town: TownMap) -> None:
        self._town = town
        off_road = cv2.distanceTransform((town.road == 0).astype(np.uint8), cv2.DIST_L2, 5)
        off_road -= cv2.distanceTransform((town.road > 0).astype(np.uint8), cv2.DIST_L2, 5)
        off_road = cv2.GaussianBlur(off_road, (0, 0), _BLUR_PX)
        # Distance from the edge of the road, more outside; a byte per pixel.
        self._field = np.clip(_EDGE + off_road / (PIXELS_PER_M * _STEP_M), 0, 255).astype(np.uint8)
        self._shown: dict[int, np.ndarray] = {}

    def clear(self) -> None:
        """Forget where everybody was; at the start of an episode."""
        self._shown = {}

    def show(
        self,
        people: Objects,
        crossing: np.ndarray,
        parked: Objects,
        standing: Objects,
        dt: float,
    ) -> Objects:
        """The people where they are seen.

        Args:
            people: where SUMO has them.
            crossing: (M,) bool, who is on a crossing.
            parked: cars parked on the pavement.
            standing: vehicles that stand on the road and that SUMO's people do not see.
            dt: s since the previous call.
        """
        if not len(people):
            self._shown = {}
            return people
        points = people.poses[:, :2].copy()
        if not crossing.all():
            points[~crossing] = step_aside(self._off_road(points[~crossing]), parked)
        points = keep_clear(points, standing)
        ids = people.ids.tolist()
        before = np.array([self._shown.get(i, p) for i, p in zip(ids, points, strict=True)])
        change = points - before
        distance = np.hypot(*change.T)[:, None]
        points = before + change * np.minimum(1.0, CATCH_UP_MPS * dt / np.maximum(distance, 1e-9))
        # Nobody walks through to the other side; who is too close already leaves without a jump.
        outside = (keep_clear(before, standing) == before).all(1, keepdims=True)
        points = np.where(outside, keep_clear(points, standing), points)
        self._shown = dict(zip(ids, points, strict=True))
        return replace(people, poses=np.concatenate([points, people.poses[:, 2:]], 1))

    def _off_road(self, points: np.ndarray) -> np.ndarray:
        """(P, 2) points, moved away from the road by what they lack to the kerb distance."""
        spots = (self._town.to_pixels(points)[:, None] + _PROBES_PX - 0.5).astype(np.float32)
        columns, rows = (np.ascontiguousarray(spots[..., axis]) for axis in (0, 1))
        probes = cv2.remap(self._field, columns, rows, cv2.INTER_LINEAR)
        here, west, east, north, south = (probes.astype(float).T - _EDGE) * _STEP_M
        lacking = np.maximum(0.0, KERB_M - here)
        away = np.stack([east - west, north - south], 1)
        return points + lacking[:, None] * away / np.maximum(np.hypot(*away.T), 1e-9)[:, None]


def step_aside(points: np.ndarray, parked: Objects) -> np.ndarray:
    """(P, 2) points of people, moved to the house side of the parked cars that they pass.

    The kerb is on the left of a parked car, so people pass on its right; they leave their line over
    ``SWERVE_M`` before the car and come back to it as far behind.
    """
    reach = SWERVE_M + 4.0
    close = (np.abs(points[:, None] - parked.poses[:, :2]) < reach).all(-1)
    points = points.copy()
    for row, car in np.argwhere(close):
        pose, (length, width) = parked.poses[car], parked.sizes[car]
        x, y = to_ego(points[row], pose).tolist()
        beyond = abs(x) - length / 2 - BESIDE_M
        share = min(1.0, max(0.0, 1.0 - beyond / SWERVE_M))
        wanted = -(width / 2 + 2 * BESIDE_M)
        if share and wanted < y < width / 2:
            y += share * share * (3.0 - 2.0 * share) * (wanted - y)
            points[row] = to_map(np.array([x, y]), pose)
    return points


def keep_clear(points: np.ndarray, standing: Objects) -> np.ndarray:
    """(P, 2) points of people; who is too close to a standing vehicle is moved away from it."""
    points = points.copy()
    for pose, size in zip(standing.poses, standing.sizes, strict=True):
        local = to_ego(points, pose)
        lacking = size / 2 + CLEAR_M - np.abs(local)  # along, across
        for row in np.flatnonzero((lacking > 0.0).all(1)):
            axis = int(lacking[row].argmin())
            away = 1.0 if local[row, axis] >= 0.0 else -1.0
            local[row, axis] += away * lacking[row, axis]
            points[row] = to_map(local[row], pose)
    return points
