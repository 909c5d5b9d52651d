"""A repainted town: the same town in other colours."""

from __future__ import annotations

import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_sim.camera_mesh import band
from wm_sim.camera_paint import PAINTS, repaint
from wm_sim.camera_scene import GRASS_RGB, GROUND, MARKING, ROAD, ROAD_RGB, WHITE_RGB


@pytest.fixture
def vertices() -> np.ndarray:
    left, right = np.array([[0.0, 1.0], [5.0, 1.0]]), np.array([[0.0, 0.0], [5.0, 0.0]])
    parts = ((GRASS_RGB, GROUND), (ROAD_RGB, ROAD), (WHITE_RGB, MARKING))
    return np.concatenate([band(left, right, 0.0, *part) for part in parts]).astype(np.float32)


@pytest.mark.parametrize("paint", PAINTS)
def test_only_colours_change_and_lines_stay_white(vertices, paint):
    painted = repaint(vertices, paint)
    same = [column for column in range(vertices.shape[1]) if not 6 <= column < 9]
    np.testing.assert_array_equal(painted[:, same], vertices[:, same])
    lines = vertices[:, 9] == MARKING
    np.testing.assert_array_equal(painted[lines], vertices[lines])
    assert (np.abs(painted[~lines, 6:9] - vertices[~lines, 6:9]).max(1) > 0.05).all()
    assert painted[:, 6:9].min() >= 0.0 and painted[:, 6:9].max() <= 1.0


def test_no_paint_and_an_unknown_one(vertices):
    assert repaint(vertices, "") is vertices
    with pytest.raises(UserError, match="desert, snow"):
        repaint(vertices, "blue")
