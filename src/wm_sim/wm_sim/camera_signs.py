"""Road signs as triangles: post, plate, and the text as strokes."""

from __future__ import annotations

import math

import numpy as np

from wm_perception.semantics import SemanticTag
from wm_sim.camera_mesh import Rgb, box, rows
from wm_sim.camera_shaders import PLAIN, code
from wm_sim.scenery import SIGN_PLATE_M, SIGN_POST_M, Sign

POST_RGB, BACK_RGB = (0.50, 0.51, 0.53), (0.42, 0.43, 0.45)
RED_RGB, WHITE_RGB, BLACK_RGB = (0.72, 0.06, 0.07), (0.95, 0.95, 0.93), (0.06, 0.06, 0.07)
_LAYER_M = 0.012  # between what is painted on each other
_STROKE = 0.16  # width of a stroke in heights of a letter
_POST = code(PLAIN, SemanticTag.POLE)
_PLATE = code(PLAIN, SemanticTag.TRAFFIC_SIGN)

# Strokes of a letter in a cell 0.6 wide and 1 high: lines from (x, y) to (x, y).
_TOP, _MID, _LOW = ((0, 1), (0.6, 1)), ((0, 0.5), (0.6, 0.5)), ((0, 0), (0.6, 0))
_NW, _SW = ((0, 0.5), (0, 1)), ((0, 0), (0, 0.5))
_NE, _SE = ((0.6, 0.5), (0.6, 1)), ((0.6, 0), (0.6, 0.5))
_GLYPHS = {
    "0": (_TOP, _LOW, _NW, _SW, _NE, _SE),
    "1": (((0.3, 0), (0.3, 1)), ((0.1, 0.8), (0.3, 1))),
    "2": (_TOP, _NE, _MID, _SW, _LOW),
    "3": (_TOP, _NE, _MID, _SE, _LOW),
    "4": (_NW, _MID, _NE, _SE),
    "5": (_TOP, _NW, _MID, _SE, _LOW),
    "6": (_TOP, _NW, _SW, _MID, _SE, _LOW),
    "7": (_TOP, ((0.6, 1), (0.25, 0))),
    "8": (_TOP, _MID, _LOW, _NW, _SW, _NE, _SE),
    "9": (_TOP, _NW, _NE, _MID, _SE, _LOW),
    "S": (_TOP, _NW, _MID, _SE, _LOW),
    "T": (_TOP, ((0.3, 0), (0.3, 1))),
    "O": (_TOP, _LOW, _NW, _SW, _NE, _SE),
    "P": (_TOP, _NW, _SW, _NE, _MID),
}


def _polygon(radius: float, sides: int) -> np.ndarray:
    """(sides - 2 triangles, 3, 2) regular polygon with a flat top."""
    turn = (np.arange(sides) + 0.5) * 2 * math.pi / sides
    ring = radius * np.stack([np.sin(turn), np.cos(turn)], 1)[::-1]
    return np.stack([[ring[0], ring[i], ring[i + 1]] for i in range(1, sides - 1)])


def _text(text: str, height: float) -> np.ndarray:
    """(triangles, 3, 2) text around the origin."""
    pitch = 0.6 + 2.2 * _STROKE
    left = -(pitch * (len(text) - 1) + 0.6) / 2
    triangles = []
    for number, letter in enumerate(text):
        for start, end in _GLYPHS[letter]:
            a, b = (np.array(p) + (left + number * pitch, -0.5) for p in (start, end))
            along = (b - a) / np.linalg.norm(b - a) * _STROKE / 2
            across = np.array([-along[1], along[0]])
            a, b = a - along, b + along
            triangles += [
                (a - across, b - across, b + across),
                (a - across, b + across, a + across),
            ]
    return height * np.array(triangles)


def _face(sign: Sign) -> list[tuple[np.ndarray, Rgb]]:
    """The painted side of a sign from below to above, in (right, up) of its reader."""
    half = SIGN_PLATE_M / 2
    if sign.kind == "stop":
        return [
            (_polygon(1.06 * half, 8), WHITE_RGB),
            (_polygon(0.98 * half, 8), RED_RGB),
            (_text("STOP", 0.235 * SIGN_PLATE_M), WHITE_RGB),
        ]
    number = f"{sign.value:.0f}"
    return [
        (_polygon(half, 20), RED_RGB),
        (_polygon(0.78 * half, 20), WHITE_RGB),
        (_text(number, (0.42 if len(number) < 3 else 0.30) * SIGN_PLATE_M), BLACK_RGB),
    ]


def sign_mesh(sign: Sign, ground_z: float) -> list[np.ndarray]:
    """Vertex rows of a sign whose post stands on ``ground_z``."""
    middle = np.array([sign.x, sign.y, SIGN_POST_M + SIGN_PLATE_M / 2])
    right = np.array([math.sin(sign.yaw), -math.cos(sign.yaw), 0.0])
    to_reader = -np.array([math.cos(sign.yaw), math.sin(sign.yaw), 0.0])
    post = SIGN_POST_M + 0.6 * SIGN_PLATE_M - ground_z
    centre = (sign.x, sign.y, ground_z + post / 2)
    meshes = [box(centre, (0.07, 0.07, post), POST_RGB, _POST)]
    layers = _face(sign)
    back = layers[0][0][:, ::-1]  # the same outline, turned to be seen from behind
    sides = [(back, BACK_RGB, -3.5), *((*face, 3.5 + n) for n, face in enumerate(layers))]
    for triangles, rgb, layer in sides:
        flat = triangles.reshape(-1, 2)
        up = np.c_[np.zeros((len(flat), 2)), flat[:, 1]]
        positions = middle + flat[:, :1] * right + up + layer * _LAYER_M * to_reader
        normal = to_reader * math.copysign(1.0, layer)
        meshes.append(rows(positions, np.tile(normal, (len(flat), 1)), rgb, _PLATE))
    return meshes
