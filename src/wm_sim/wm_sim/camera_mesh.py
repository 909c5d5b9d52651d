"""Triangles from simple solids and bands.

Vertices are rows of 10 float32: position (3), normal (3), colour (3), material code (1), three
rows per triangle, counter-clockwise seen from outside.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

VERTEX_FLOATS = 10
Rgb = tuple[float, float, float]


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


def cylinder(sides: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Upright cylinder in the unit cube: (12 * sides, 3) positions and normals."""
    turn = np.arange(sides + 1) * 2 * math.pi / sides
    ring = 0.5 * np.stack([np.cos(turn), np.sin(turn)], 1)
    positions: list[tuple] = []
    normals: list[tuple] = []
    for number, ((ax, ay), (bx, by)) in enumerate(pairwise(ring)):
        middle = turn[number : number + 2].mean()
        side = (math.cos(middle), math.sin(middle), 0.0)
        low_a, low_b, top_a, top_b = ((ax, ay, -0.5), (bx, by, -0.5), (ax, ay, 0.5), (bx, by, 0.5))
        positions += [low_a, low_b, top_b, low_a, top_b, top_a]
        positions += [(0.0, 0.0, 0.5), top_a, top_b, (0.0, 0.0, -0.5), low_b, low_a]
        normals += [side] * 6 + [(0.0, 0.0, 1.0)] * 3 + [(0.0, 0.0, -1.0)] * 3
    return np.array(positions, np.float32), np.array(normals, np.float32)


def rows(positions: np.ndarray, normals: np.ndarray, rgb: Rgb, code: int) -> np.ndarray:
    """Assemble vertex rows of one material."""
    paint = np.tile(np.array([*rgb, code], np.float32), (len(positions), 1))
    return np.concatenate([positions, normals, paint], 1).astype(np.float32)


def band(left: np.ndarray, right: np.ndarray, z: float, rgb: Rgb, code: int) -> np.ndarray:
    """A flat band between two (n, 2) borders as triangles facing up."""
    a, b, c, d = left[:-1], right[:-1], right[1:], left[1:]
    flat = np.stack([a, b, c, a, c, d], 1).reshape(-1, 2)
    positions = np.c_[flat, np.full(len(flat), z)]
    return rows(positions, np.tile([0.0, 0.0, 1.0], (len(flat), 1)), rgb, code)


def sideways(border: np.ndarray, distance_m: float) -> np.ndarray:
    """Shift a (n, 2) polyline to its left."""
    tangent = np.gradient(border, axis=0)
    tangent /= np.maximum(np.hypot(*tangent.T), 1e-6)[:, None]
    return border + distance_m * np.stack([-tangent[:, 1], tangent[:, 0]], 1)


def box(centre: tuple, size: tuple, rgb: Rgb, code: int, *, sides_only: bool = False) -> np.ndarray:
    """An upright box along the map's axes, with or without its top and bottom."""
    positions, normals = cube()
    if sides_only:
        positions, normals = positions[normals[:, 2] == 0], normals[normals[:, 2] == 0]
    return rows(positions * np.array(size) + np.array(centre), normals, rgb, code)
