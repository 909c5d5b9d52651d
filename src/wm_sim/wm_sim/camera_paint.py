"""Other looks of a town than its own: the same streets in colours that no town has.

For tests of what a camera model makes of a place unlike those it has learned in.
"""

from __future__ import annotations

import numpy as np

from wm_dynamics.errors import UserError
from wm_sim.camera_scene import GROUND, ROAD, ROOF, SIDEWALK, TREE, WALL

_COLOUR, _CODE = slice(6, 9), 9  # columns of a vertex, see camera_mesh
# Material code -> (3, 3) matrix that the colour is multiplied by.
_Paint = dict[float, np.ndarray]


def _tint(red: float, green: float, blue: float) -> np.ndarray:
    return np.diag([red, green, blue])


PAINTS: dict[str, _Paint] = {
    # Sand, brick roads, pale plaster and dry trees.
    "desert": {
        GROUND: _tint(2.3, 1.5, 1.6),
        ROAD: _tint(1.55, 1.15, 0.85),
        SIDEWALK: _tint(1.35, 1.05, 0.75),
        WALL: _tint(1.3, 1.05, 0.75),
        ROOF: _tint(1.9, 1.6, 1.3),
        TREE: _tint(2.6, 1.1, 1.0),
    },
    # Snow on everything but the road, which is dark and wet-looking; houses of another colour.
    "snow": {
        GROUND: _tint(2.6, 2.1, 4.1),
        ROAD: _tint(0.55, 0.6, 0.7),
        SIDEWALK: _tint(1.45, 1.55, 1.7),
        WALL: np.array([[0.2, 0.3, 0.5], [0.3, 0.4, 0.3], [0.6, 0.3, 0.2]]),
        ROOF: _tint(2.6, 3.5, 4.0),
        TREE: _tint(4.5, 2.3, 6.0),
    },
}


def repaint(vertices: np.ndarray, paint: str) -> np.ndarray:
    """Vertex rows of a town (V, 10) in other colours; as they are for an empty name.

    Raises:
        UserError: there is no such paint.
    """
    if not paint:
        return vertices
    if paint not in PAINTS:
        raise UserError(f"unknown paint '{paint}'; known: {', '.join(PAINTS)}")
    painted = vertices.copy()
    for code, matrix in PAINTS[paint].items():
        rows = vertices[:, _CODE] == np.float32(code)
        colour = vertices[rows, _COLOUR] @ matrix.T.astype(np.float32)
        painted[rows, _COLOUR] = np.clip(colour, 0.0, 1.0)
    return painted
