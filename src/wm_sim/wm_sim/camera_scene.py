"""What the camera sees of a town: a static triangle mesh, the same for the same town.

Vertices are rows of 10 float32: position (3), normal (3), colour (3), material kind (1), in the
map frame with z up. Roads, lane lines and pavements come from the map's lane strips; buildings and
trees are placed at random beside them, from the town's name.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np

from wm_perception.town_map import PIXELS_PER_M, LaneStrip, TownMap
from wm_sim.camera_shaders import ASPHALT, FACADE, GRASS, PAVEMENT, PLAIN

PAVEMENT_WIDTH_M = 2.0
LINE_WIDTH_M = 0.15
DASH_M, DASH_PERIOD_M = 3.0, 9.0
GROUND_MARGIN_M = 400.0
BORDER_TOLERANCE_M = 0.03
TILE_M = 64.0
PROP_GRID_M = 6.0
# Heights keep the depth order of surfaces that lie on each other.
GROUND_Z, PAVEMENT_Z, ROAD_Z, LINE_Z = -0.10, -0.05, 0.0, 0.02

GRASS_RGB = (0.34, 0.44, 0.23)
ROAD_RGB = (0.36, 0.36, 0.38)
PAVEMENT_RGB = (0.62, 0.60, 0.57)
WHITE_RGB, YELLOW_RGB = (0.95, 0.95, 0.92), (0.92, 0.72, 0.18)
ROOF_RGB, TRUNK_RGB, LEAVES_RGB = (0.35, 0.26, 0.23), (0.33, 0.24, 0.16), (0.18, 0.38, 0.14)
FACADE_RGB = np.array(
    [
        (0.70, 0.59, 0.50),
        (0.63, 0.63, 0.65),
        (0.75, 0.69, 0.59),
        (0.55, 0.39, 0.33),
        (0.80, 0.78, 0.75),
        (0.47, 0.51, 0.57),
    ]
)


def cube() -> tuple[np.ndarray, np.ndarray]:
    """(36, 3) positions and normals of a unit cube around the origin, counter-clockwise faces."""
    positions, normals = [], []
    for axis in range(3):
        for sign in (-1, 1):
            corners = []
            for u, v in ((-1, -1), (1, -1), (1, 1), (-1, 1))[::sign]:
                point = [0.0, 0.0, 0.0]
                point[axis], point[(axis + 1) % 3], point[(axis + 2) % 3] = sign, u, v
                corners.append(point)
            normal = np.zeros(3)
            normal[axis] = sign
            positions += [corners[i] for i in (0, 1, 2, 0, 2, 3)]
            normals += [normal] * 6
    return np.array(positions, np.float32) / 2, np.array(normals, np.float32)


def spindle(sides: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Unit double cone, the crown of a tree: (6 * sides, 3) positions and normals."""
    turn = np.arange(sides + 1) * 2 * math.pi / sides
    ring = np.stack([0.5 * np.cos(turn), 0.5 * np.sin(turn), np.full(sides + 1, -0.1)], 1)
    positions: list[np.ndarray] = []
    normals: list[np.ndarray] = []
    for a, b in pairwise(ring):
        for corners in ((a, b, (0, 0, 0.5)), (b, a, (0, 0, -0.5))):
            face = np.array(corners)
            normal = np.cross(face[1] - face[0], face[2] - face[0])
            positions.extend(face)
            normals += [normal / np.linalg.norm(normal)] * 3
    return np.array(positions, np.float32), np.array(normals, np.float32)


def _rows(positions: np.ndarray, normals: np.ndarray, rgb: tuple, kind: int) -> np.ndarray:
    """Assemble vertex rows of one material."""
    paint = np.tile(np.array([*rgb, kind], np.float32), (len(positions), 1))
    return np.concatenate([positions, normals, paint], 1).astype(np.float32)


def _band(left: np.ndarray, right: np.ndarray, z: float, rgb: tuple, kind: int) -> np.ndarray:
    """A flat band between two (n, 2) borders as triangles facing up."""
    a, b, c, d = left[:-1], right[:-1], right[1:], left[1:]
    flat = np.stack([a, b, c, a, c, d], 1).reshape(-1, 2)
    positions = np.c_[flat, np.full(len(flat), z)]
    return _rows(positions, np.tile([0.0, 0.0, 1.0], (len(flat), 1)), rgb, kind)


def _sideways(border: np.ndarray, distance_m: float) -> np.ndarray:
    """Shift a (n, 2) polyline to its left."""
    tangent = np.gradient(border, axis=0)
    tangent /= np.maximum(np.hypot(*tangent.T), 1e-6)[:, None]
    return border + distance_m * np.stack([-tangent[:, 1], tangent[:, 0]], 1)


def _line(border: np.ndarray, marking: str, rgb: tuple) -> list[np.ndarray]:
    """The lane marking along a border, dashed if the map says so."""
    if marking in ("", "NONE", "Other"):
        return []
    pieces = [border]
    if "Broken" in marking:
        along = np.r_[0.0, np.cumsum(np.hypot(*np.diff(border, axis=0).T))]
        starts = np.arange(0.0, along[-1] - DASH_M, DASH_PERIOD_M)
        pieces = [
            np.stack([np.interp(dash, along, border[:, i]) for i in (0, 1)], 1)
            for dash in starts[:, None] + np.linspace(0.0, DASH_M, 4)
        ]
    half = LINE_WIDTH_M / 2
    return [
        _band(_sideways(piece, half), _sideways(piece, -half), LINE_Z, rgb, PLAIN)
        for piece in pieces
    ]


def _thin(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Indices of the border points that both shapes need (Ramer-Douglas-Peucker)."""
    points = np.concatenate([left, right], 1)
    keep, spans = {0, len(points) - 1}, [(0, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        chord = points[last] - points[first]
        inner = points[first + 1 : last] - points[first]
        t = np.clip(inner @ chord / max(chord @ chord, 1e-9), 0.0, 1.0)
        distance = np.linalg.norm(inner - t[:, None] * chord, axis=1)
        if distance.max() > BORDER_TOLERANCE_M:
            middle = first + 1 + int(distance.argmax())
            keep.add(middle)
            spans += [(first, middle), (middle, last)]
    return np.array(sorted(keep))


def _strip_mesh(strip: LaneStrip) -> list[np.ndarray]:
    needed = _thin(strip.left, strip.right)
    strip = replace(strip, left=strip.left[needed], right=strip.right[needed])
    wide_left = _sideways(strip.left, PAVEMENT_WIDTH_M)
    wide_right = _sideways(strip.right, -PAVEMENT_WIDTH_M)
    pavement = _band(wide_left, wide_right, PAVEMENT_Z, PAVEMENT_RGB, PAVEMENT)
    if strip.kind == "sidewalk":
        return [_band(strip.left, strip.right, PAVEMENT_Z, PAVEMENT_RGB, PAVEMENT)]
    road = _band(strip.left, strip.right, ROAD_Z, ROAD_RGB, ASPHALT)
    centre = WHITE_RGB if "Broken" in strip.left_marking else YELLOW_RGB
    lines = _line(strip.left, strip.left_marking, centre)
    return [pavement, road, *lines, *_line(strip.right, strip.right_marking, WHITE_RGB)]


def _box(centre: tuple, size: tuple, rgb: tuple, kind: int) -> np.ndarray:
    positions, normals = cube()
    return _rows(positions * np.array(size) + np.array(centre), normals, rgb, kind)


def _building(x: float, y: float, width: float, height: float, rgb: tuple) -> list[np.ndarray]:
    return [
        _box((x, y, height / 2), (width, width, height), rgb, FACADE),
        _box((x, y, height + 0.3), (width * 1.04, width * 1.04, 0.6), ROOF_RGB, PLAIN),
    ]


def _tree(x: float, y: float, radius: float, height: float) -> list[np.ndarray]:
    positions, normals = spindle()
    crown = positions * (2 * radius, 2 * radius, 0.8 * height) + (x, y, 0.65 * height)
    return [
        _box((x, y, 0.2 * height), (0.35, 0.35, 0.4 * height), TRUNK_RGB, PLAIN),
        _rows(crown, normals, LEAVES_RGB, PLAIN),
    ]


def _props(town: TownMap) -> list[np.ndarray]:
    """Buildings and trees on a jittered grid, set back from the road."""
    rng = np.random.default_rng(zlib.crc32(town.name.encode()))
    clearance = cv2.distanceTransform((town.road == 0).astype(np.uint8), cv2.DIST_L2, 5)
    clearance /= PIXELS_PER_M
    occupied = np.zeros_like(town.road)
    rows, columns = town.road.shape
    xs, ys = (np.arange(8.0, side / PIXELS_PER_M - 8.0, PROP_GRID_M) for side in (columns, rows))
    sites = rng.permutation(np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2))
    meshes: list[np.ndarray] = []
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
                facade = FACADE_RGB[int(draw[2] * len(FACADE_RGB))]
                meshes += _building(x, y, 2 * half, 5.0 + 13.0 * draw[3], tuple(facade))
        elif 3.5 < free <= 8.0 and draw[0] < 0.25 and not occupied[row, column]:
            meshes += _tree(x, y, 1.2 + draw[1], 4.0 + 3.0 * draw[2])
    return meshes


@dataclass(frozen=True)
class Tile:
    """A range of the mesh's vertices and the circle on the ground that encloses it, m."""

    first: int
    count: int
    x: float
    y: float
    radius: float


def _tiles(mesh: np.ndarray) -> tuple[np.ndarray, tuple[Tile, ...]]:
    """Sort triangles into square tiles, so that what is out of sight need not be drawn."""
    triangles = mesh.reshape(-1, 3, mesh.shape[1])
    cell = np.floor(triangles[:, :, :2].mean(1) / TILE_M).astype(int)
    order = np.lexsort(cell.T)
    triangles, cell = triangles[order], cell[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(cell, axis=0) != 0).any(1)]).tolist()
    tiles = []
    for first, last in zip(starts, [*starts[1:], len(cell)], strict=True):
        ground = triangles[first:last, :, :2].reshape(-1, 2)
        centre = (ground.min(0) + ground.max(0)) / 2
        x, y = centre.tolist()
        radius = float(np.hypot(*(ground - centre).T).max())
        tiles.append(Tile(3 * first, 3 * (last - first), x, y, radius))
    return triangles.reshape(mesh.shape), tuple(tiles)


def town_mesh(town: TownMap) -> tuple[np.ndarray, tuple[Tile, ...]]:
    """(V, 10) float32 vertex rows of a town, three per triangle, and the tiles they lie in."""
    low = town.origin - GROUND_MARGIN_M
    size = np.array(town.road.shape[::-1]) / PIXELS_PER_M + 2 * GROUND_MARGIN_M
    left = np.array([[low[0], low[1] + size[1]], low + size])
    right = np.array([low, [low[0] + size[0], low[1]]])
    meshes = [_band(left, right, GROUND_Z, GRASS_RGB, GRASS)]
    for strip in town.strips:
        meshes += _strip_mesh(strip)
    return _tiles(np.concatenate(meshes + _props(town)).astype(np.float32))
