"""What stands beside the road: buildings, trees, traffic-light posts and sign posts.

One placement serves the camera (which draws it), the lidar and radar (which hit it) and the
physics (which collides with it). The same town always gets the same scenery.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from wm_perception.conventions import to_map
from wm_perception.frame import LightBox
from wm_perception.route import Route
from wm_perception.scene import Scene
from wm_perception.semantics import SemanticTag
from wm_perception.town_map import PIXELS_PER_M, TownMap

PROP_GRID_M = 6.0
ROOF_M = 0.6
# Where a signal stands, seen from the middle of its stop line: the head hangs over the lane on the
# far side, where the first car in the queue still sees it.
POLE_AHEAD_M, POLE_ASIDE_M = 1.0, 3.2
HEAD_AHEAD_M, HEAD_Z_M = 9.0, 5.2
HEAD_SIZE_M = (0.3, 0.6, 1.5)
POLE_TOP_M = HEAD_Z_M + 0.8
POLE_CLEARANCE_M = 0.3  # from the road
SIGN_POST_M, SIGN_PLATE_M = 2.0, 0.8  # height of the post, side of the plate above it


class Sign(NamedTuple):
    """A road sign that faces traffic driving in direction ``yaw``.

    Attributes:
        x, y: of the post, map frame, m.
        yaw: direction of the traffic it speaks to, rad.
        kind: "stop" or "speed_limit".
        value: speed limit, km/h; 0 for a stop sign.
    """

    x: float
    y: float
    yaw: float
    kind: str
    value: float = 0.0


@dataclass(frozen=True)
class LightPost:
    """Where a traffic light's parts are, map frame, m: middle of the stop line, pole, head."""

    line: tuple[float, float]
    pole: tuple[float, float]
    head: tuple[float, float]

    @property
    def reach_m(self) -> float:
        """Length of the arm from the pole to the head."""
        return math.dist(self.pole, self.head)

    @property
    def arm_yaw(self) -> float:
        """Direction of the arm, rad."""
        return math.atan2(self.head[1] - self.pole[1], self.head[0] - self.pole[0])


def light_post(box: LightBox, town: TownMap) -> LightPost:
    """Place a traffic light: at the right of its lane, farther right where that is road.

    Args:
        box: trigger volume of the light; its far end is the stop line.
        town: whose road the pole must not stand on.
    """
    line, head = to_map(
        np.array([[box.length / 2, 0.0], [box.length / 2 + HEAD_AHEAD_M, 0.0]]),
        np.array([*box.center, box.yaw]),
    ).tolist()
    asides = np.arange(POLE_ASIDE_M, 3 * POLE_ASIDE_M, 0.4)
    aheads = POLE_AHEAD_M - np.arange(0.0, 4.0)
    local = np.stack(np.meshgrid(aheads, -asides, indexing="ij"), -1).reshape(-1, 2)
    sites = to_map(local, np.array([*line, box.yaw]))
    ring = POLE_CLEARANCE_M * np.array([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)])
    blocked = town.drivable((sites[:, None] + ring).reshape(-1, 2)).reshape(len(sites), -1).any(1)
    # With road all around, argmin is 0: the place where it would stand anyway.
    pole = sites[int(blocked.argmin())].tolist()
    return LightPost(tuple(line), tuple(pole), tuple(head))


def _place(town: TownMap) -> tuple[np.ndarray, np.ndarray]:
    """Buildings (N, 5) and trees (M, 4) on a jittered grid, set back from the road."""
    rng = np.random.default_rng(zlib.crc32(town.name.encode()))
    clearance = cv2.distanceTransform((town.road == 0).astype(np.uint8), cv2.DIST_L2, 5)
    clearance /= PIXELS_PER_M
    occupied = np.zeros_like(town.road)
    rows, columns = town.road.shape
    xs, ys = (np.arange(8.0, side / PIXELS_PER_M - 8.0, PROP_GRID_M) for side in (columns, rows))
    sites = rng.permutation(np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2))
    buildings, trees = [], []
    for dx, dy in sites:
        column, row = int(dx * PIXELS_PER_M), int(rows - dy * PIXELS_PER_M)
        free, draw = clearance[row, column], rng.random(4)
        x, y = town.origin + (dx, dy)
        if 8.0 < free < 38.0 and draw[0] < 0.55:
            half = min(free - 3.5, 5.0 + 4.0 * draw[1]) / math.sqrt(2.0)
            reach = int(1.3 * half * PIXELS_PER_M)
            area = np.s_[max(0, row - reach) : row + reach, max(0, column - reach) : column + reach]
            if not occupied[area].any():
                occupied[area] = 1
                buildings.append((x, y, 2 * half, 5.0 + 13.0 * draw[3], draw[2]))
        elif 3.5 < free <= 8.0 and draw[0] < 0.25 and not occupied[row, column]:
            trees.append((x, y, 1.2 + draw[1], 4.0 + 3.0 * draw[2]))
    return np.array(buildings).reshape(-1, 5), np.array(trees).reshape(-1, 4)


def _building_boxes(buildings: np.ndarray) -> np.ndarray:
    x, y, width, height, _ = buildings.T
    top = height + ROOF_M
    return np.stack([x, y, top / 2, width, width, top, np.zeros_like(x)], 1)


def _tree_boxes(trees: np.ndarray) -> np.ndarray:
    """Trunks and then crowns; a crown is a double cone, its box holds the middle of it."""
    x, y, radius, height = trees.T
    zero, thick = np.zeros_like(x), np.full_like(x, 0.35)
    trunks = np.stack([x, y, 0.2 * height, thick, thick, 0.4 * height, zero], 1)
    wide = 1.3 * radius
    crowns = np.stack([x, y, 0.6 * height, wide, wide, 0.45 * height, zero], 1)
    return np.concatenate([trunks, crowns])


def _light_boxes(post: LightPost, yaw: float) -> list[tuple[float, ...]]:
    """Pole, arm and head of a traffic light."""
    (px, py), (hx, hy) = post.pole, post.head
    return [
        (px, py, POLE_TOP_M / 2, 0.18, 0.18, POLE_TOP_M, yaw),
        ((px + hx) / 2, (py + hy) / 2, POLE_TOP_M, post.reach_m, 0.12, 0.12, post.arm_yaw),
        (hx, hy, HEAD_Z_M, *HEAD_SIZE_M, yaw),
    ]


def _sign_boxes(sign: Sign) -> list[tuple[float, ...]]:
    """Post and plate of a sign."""
    middle = SIGN_POST_M + SIGN_PLATE_M / 2
    return [
        (sign.x, sign.y, SIGN_POST_M / 2, 0.07, 0.07, SIGN_POST_M, sign.yaw),
        (sign.x, sign.y, middle, 0.04, SIGN_PLATE_M, SIGN_PLATE_M, sign.yaw),
    ]


class Scenery:
    """What stands beside the roads of a town.

    Args:
        town: the town.
        lights: its traffic lights.
        signs: its road signs.

    Attributes:
        buildings: (N, 5) x, y, width (both ways), height of the walls, shade in [0, 1).
        trees: (M, 4) x, y, radius of the crown, height.
        lights: the traffic lights.
        posts: light id -> :class:`LightPost`.
        signs: the road signs.
        boxes: (B, 7) centre x, y, z, full size x, y, z, yaw of everything, map frame, m and rad.
        tags: (B,) uint8 :class:`SemanticTag` of the boxes.
        standing: (B,) bool: reaches down to the ground, so a car can drive into it.
    """

    def __init__(
        self,
        town: TownMap,
        lights: tuple[LightBox, ...] = (),
        signs: tuple[Sign, ...] = (),
    ) -> None:
        self.town = town
        self.signs = signs
        self.buildings, self.trees = _place(town)
        self._light(lights)

    def with_lights(self, lights: tuple[LightBox, ...]) -> Scenery:
        """The same scenery with these traffic lights; free when it has them already."""
        if lights is self.lights:
            return self
        scenery = object.__new__(Scenery)
        scenery.town, scenery.signs = self.town, self.signs
        scenery.buildings, scenery.trees = self.buildings, self.trees
        scenery._light(lights)
        return scenery

    def _light(self, lights: tuple[LightBox, ...]) -> None:
        """Add the traffic lights and list all boxes."""
        self.lights = lights
        self.posts = {box.id: light_post(box, self.town) for box in lights}
        parts: list[tuple[np.ndarray, list[SemanticTag]]] = [
            (_building_boxes(self.buildings), [SemanticTag.BUILDING] * len(self.buildings)),
            (_tree_boxes(self.trees), [SemanticTag.VEGETATION] * (2 * len(self.trees))),
        ]
        light_tags = [SemanticTag.POLE, SemanticTag.POLE, SemanticTag.TRAFFIC_LIGHT]
        for box in lights:
            parts.append((np.array(_light_boxes(self.posts[box.id], box.yaw)), light_tags))
        for sign in self.signs:
            tags = [SemanticTag.POLE, SemanticTag.TRAFFIC_SIGN]
            parts.append((np.array(_sign_boxes(sign)), tags))
        self.boxes = np.concatenate([rows for rows, _ in parts])
        self.tags = np.array([tag for _, tags in parts for tag in tags], np.uint8)
        self.standing = self.boxes[:, 2] - self.boxes[:, 5] / 2 < 0.5
        self._reach = np.hypot(self.boxes[:, 3], self.boxes[:, 4]) / 2

    @property
    def walls(self) -> np.ndarray:
        """(N, 5) footprints of the buildings: centre x, y, yaw, length, width."""
        x, y, width, _, _ = self.buildings.T
        return np.stack([x, y, np.zeros_like(x), width, width], 1)

    def scene(self, route: Route) -> Scene:
        """A route through the town, with what stands beside it."""
        return Scene(self.town, route, self.lights, self.walls)

    def near(self, x: float, y: float, radius_m: float) -> np.ndarray:
        """Row numbers of the boxes whose footprint may reach within ``radius_m`` of (x, y)."""
        away = np.hypot(self.boxes[:, 0] - x, self.boxes[:, 1] - y)
        return np.flatnonzero(away - self._reach < radius_m)
