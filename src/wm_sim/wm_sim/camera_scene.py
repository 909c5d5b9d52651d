"""What the camera sees of a town: a static triangle mesh, the same for the same town.

Roads, lane lines and pavements come from the map's lane strips, crosswalks from the map, buildings,
trees and signs from :class:`wm_sim.scenery.Scenery`. All in the map frame with z up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from wm_perception.conventions import carla_to_ros_pose
from wm_perception.semantics import SemanticTag
from wm_perception.town_map import PIXELS_PER_M, LaneStrip, TownMap
from wm_sim.camera_mesh import VERTEX_FLOATS, Rgb, band, box, rows, sideways, spindle
from wm_sim.camera_shaders import ASPHALT, FACADE, GRASS, LINE, PAVEMENT, PLAIN, code
from wm_sim.camera_signs import sign_mesh
from wm_sim.scenery import ROOF_M, Scenery

PAVEMENT_WIDTH_M = 2.0
LINE_WIDTH_M = 0.15
DASH_M, DASH_PERIOD_M = 3.0, 9.0
ZEBRA_M, ZEBRA_PERIOD_M = 0.5, 1.0
GROUND_MARGIN_M = 400.0
BORDER_TOLERANCE_M, PAVEMENT_TOLERANCE_M = 0.03, 0.12
END_OVERLAP_M = 0.02
TILE_M = 48.0
# Heights keep the depth order of surfaces that lie on each other.
GROUND_Z, PAVEMENT_Z, ROAD_Z, LINE_Z = -0.10, -0.05, 0.0, 0.02

GRASS_RGB = (0.34, 0.44, 0.23)
ROAD_RGB = (0.36, 0.36, 0.38)
PAVEMENT_RGB = (0.62, 0.60, 0.57)
WHITE_RGB, YELLOW_RGB = (0.95, 0.95, 0.92), (0.92, 0.72, 0.18)
ROOF_RGB, TRUNK_RGB, LEAVES_RGB = (0.35, 0.26, 0.23), (0.33, 0.24, 0.16), (0.18, 0.38, 0.14)
FACADE_RGB = (
    (0.70, 0.59, 0.50),
    (0.63, 0.63, 0.65),
    (0.75, 0.69, 0.59),
    (0.55, 0.39, 0.33),
    (0.80, 0.78, 0.75),
    (0.47, 0.51, 0.57),
)

GROUND = code(GRASS, SemanticTag.TERRAIN)
ROAD = code(ASPHALT, SemanticTag.ROAD)
SIDEWALK = code(PAVEMENT, SemanticTag.SIDEWALK)
MARKING = code(LINE, SemanticTag.ROAD_LINE)
WALL = code(FACADE, SemanticTag.BUILDING)
ROOF = code(PLAIN, SemanticTag.BUILDING)
TREE = code(PLAIN, SemanticTag.VEGETATION)


def _line(border: np.ndarray, marking: str, rgb: Rgb) -> list[np.ndarray]:
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
        band(sideways(piece, half), sideways(piece, -half), LINE_Z, rgb, MARKING)
        for piece in pieces
    ]


def _thin(left: np.ndarray, right: np.ndarray, tolerance_m: float) -> np.ndarray:
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
        if distance.max() > tolerance_m:
            middle = first + 1 + int(distance.argmax())
            keep.add(middle)
            spans += [(first, middle), (middle, last)]
    return np.array(sorted(keep))


def _lengthened(border: np.ndarray) -> np.ndarray:
    """A border with longer ends: strips that follow each other leave a hairline gap."""
    border = border.copy()
    for end, inner in ((0, 1), (-1, -2)):
        along = border[end] - border[inner]
        border[end] += END_OVERLAP_M * along / max(np.hypot(*along), 1e-6)
    return border


def _surface(strip: LaneStrip, widen_m: float, tolerance_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Borders of a strip that is this much wider on both sides, without needless points."""
    needed = _thin(strip.left, strip.right, tolerance_m)
    left, right = _lengthened(strip.left[needed]), _lengthened(strip.right[needed])
    return sideways(left, widen_m), sideways(right, -widen_m)


def _strip_mesh(strip: LaneStrip, painted: set[tuple]) -> list[np.ndarray]:
    """Surface, pavement and lines of a lane; ``painted`` keeps lines from being drawn twice."""
    if strip.kind == "sidewalk":
        borders = _surface(strip, 0.0, BORDER_TOLERANCE_M)
        return [band(*borders, PAVEMENT_Z, PAVEMENT_RGB, SIDEWALK)]
    left, right = _surface(strip, 0.0, BORDER_TOLERANCE_M)
    wide = _surface(strip, PAVEMENT_WIDTH_M, PAVEMENT_TOLERANCE_M)
    meshes = [
        band(*wide, PAVEMENT_Z, PAVEMENT_RGB, SIDEWALK),
        band(left, right, ROAD_Z, ROAD_RGB, ROAD),
    ]
    centre = WHITE_RGB if "Broken" in strip.left_marking else YELLOW_RGB
    for border, marking, rgb in (
        (left, strip.left_marking, centre),
        (right, strip.right_marking, WHITE_RGB),
    ):
        ends = tuple(sorted(map(tuple, np.round(border[[0, -1]], 1).tolist())))
        if ends not in painted:  # lanes side by side share a line
            painted.add(ends)
            meshes += _line(border, marking, rgb)
    return meshes


def _building(x: float, y: float, width: float, height: float, shade: float) -> list[np.ndarray]:
    facade = FACADE_RGB[int(shade * len(FACADE_RGB))]
    wall, wide = height - GROUND_Z, width * 1.04
    return [
        box((x, y, height - wall / 2), (width, width, wall), facade, WALL, sides_only=True),
        box((x, y, height + ROOF_M / 2), (wide, wide, ROOF_M), ROOF_RGB, ROOF),
    ]


def _tree(x: float, y: float, radius: float, height: float) -> list[np.ndarray]:
    positions, normals = spindle()
    crown = positions * (2 * radius, 2 * radius, 0.8 * height) + (x, y, 0.65 * height)
    trunk = 0.4 * height - GROUND_Z
    return [
        box(
            (x, y, 0.4 * height - trunk / 2), (0.35, 0.35, trunk), TRUNK_RGB, TREE, sides_only=True
        ),
        rows(crown, normals, LEAVES_RGB, TREE),
    ]


def crosswalks(town: TownMap) -> list[np.ndarray]:
    """(n, 2) outlines of the map's crosswalks, map frame; the first corner is not repeated."""
    outlines: list[np.ndarray] = []
    corners: list[tuple[float, float]] = []
    for location in town.carla_map.get_crosswalks():
        x, y, _ = carla_to_ros_pose(location.x, location.y, 0.0)
        if corners and (x, y) == corners[0]:  # a closed outline ends with its first corner
            outlines.append(np.array(corners))
            corners = []
        else:
            corners.append((x, y))
    return outlines


def _zebra(outline: np.ndarray) -> list[np.ndarray]:
    """Stripes across the walking direction, which is the outline's longer axis."""
    (x, y), (width, height), turn = cv2.minAreaRect(outline.astype(np.float32))
    turn = math.radians(turn)
    if height > width:
        width, height, turn = height, width, turn + math.pi / 2
    along = np.array([math.cos(turn), math.sin(turn)])
    across = np.array([-along[1], along[0]]) * height / 2
    count = max(1, int(width / ZEBRA_PERIOD_M))
    starts = (np.arange(count) - (count - 1) / 2) * ZEBRA_PERIOD_M - ZEBRA_M / 2
    stripes = []
    for start in starts:
        middle = np.array([x, y]) + along * np.array([[start], [start + ZEBRA_M]])
        stripes.append(band(middle + across, middle - across, LINE_Z, WHITE_RGB, MARKING))
    return stripes


@dataclass(frozen=True)
class Tile:
    """A range of the mesh's vertices and the sphere that encloses it, m.

    The first ``standing`` of them are not flat on the ground.
    """

    first: int
    count: int
    standing: int
    centre: tuple[float, float, float]
    radius: float


def _tiles(mesh: np.ndarray) -> tuple[np.ndarray, list[Tile]]:
    """Sort triangles into square tiles, so that what is out of sight need not be drawn.

    In a tile, what stands comes first and then what lies on the ground, the upper layers before
    the lower ones that they hide.
    """
    triangles = mesh.reshape(-1, 3, mesh.shape[1])
    cell = np.floor(triangles[:, :, :2].mean(1) / TILE_M).astype(int)
    order = np.lexsort((_layer(triangles), *cell.T))
    triangles, cell = triangles[order], cell[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(cell, axis=0) != 0).any(1)]).tolist()
    tiles = []
    for first, last in zip(starts, [*starts[1:], len(cell)], strict=True):
        tiles.append(_tile(triangles[first:last], 3 * first))
    return triangles.reshape(mesh.shape), tiles


def _layer(triangles: np.ndarray) -> np.ndarray:
    """(n,) int: 0 stands; 1 lines, 2 roads and 3 pavements lie on the ground."""
    codes = triangles[:, 0, 9]
    return np.select([codes == MARKING, codes == ROAD, codes == SIDEWALK], [1, 2, 3], 0)


def _tile(triangles: np.ndarray, first: int) -> Tile:
    corners = triangles[:, :, :3].reshape(-1, 3)
    centre = (corners.min(0) + corners.max(0)) / 2
    radius = float(np.linalg.norm(corners - centre, axis=1).max())
    standing = 3 * int((_layer(triangles) == 0).sum())
    return Tile(first, len(corners), standing, tuple(centre.tolist()), radius)


TownMesh = tuple[np.ndarray, tuple[Tile, ...]]


def town_mesh(town: TownMap, scenery: Scenery) -> TownMesh:
    """(V, 10) float32 vertex rows of a town, three per triangle, and the tiles they lie in.

    The last tile is the ground under everything: drawn last, little of it is left to shade.
    """
    low = town.origin - GROUND_MARGIN_M
    size = np.array(town.road.shape[::-1]) / PIXELS_PER_M + 2 * GROUND_MARGIN_M
    left = np.array([[low[0], low[1] + size[1]], low + size])
    right = np.array([low, [low[0] + size[0], low[1]]])
    meshes: list[np.ndarray] = []
    painted: set[tuple] = set()
    for strip in town.strips:
        meshes += _strip_mesh(strip, painted)
    for outline in crosswalks(town):
        meshes += _zebra(outline)
    for building in scenery.buildings.tolist():
        meshes += _building(*building)
    for tree in scenery.trees.tolist():
        meshes += _tree(*tree)
    for sign in scenery.signs:
        meshes += sign_mesh(sign, GROUND_Z)
    mesh, tiles = _tiles(np.concatenate(meshes).astype(np.float32))
    ground = band(left, right, GROUND_Z, GRASS_RGB, GROUND)
    last = _tile(ground.reshape(-1, 3, VERTEX_FLOATS), len(mesh))
    return np.concatenate([mesh, ground]), (*tiles, last)
