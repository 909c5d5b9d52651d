"""A town as the page draws it: outlines of lanes and lane lines, in decimetres."""

from __future__ import annotations

from typing import Any

import numpy as np

from wm_perception.town_map import LaneStrip, TownMap

STRAIGHT_M = 0.08  # a border point this close to a straight line is left out
UNDRAWN = ("", "NONE", "Other")


def town_shapes(town: TownMap) -> dict[str, Any]:
    """Surfaces ``[kind, x0, y0, dx, dy, ...]`` and lines ``[broken, x0, y0, dx, dy, ...]``.

    Whole decimetres, each point after the first as the step from the one before: half the size.
    """
    surfaces, lines = [], []
    for strip in town.strips:
        left, right = thinned(strip.left), thinned(strip.right)
        kind = "walk" if strip.kind == "sidewalk" else "road"
        surfaces.append([kind, *_steps(np.concatenate([left, right[::-1]]))])
        lines += [[broken, *_steps(border)] for broken, border in _markings(strip, left, right)]
    return {"name": town.name, "surfaces": surfaces, "lines": lines}


def _markings(strip: LaneStrip, left: np.ndarray, right: np.ndarray):
    for border, marking in ((left, strip.left_marking), (right, strip.right_marking)):
        if strip.kind != "sidewalk" and marking not in UNDRAWN:
            yield int("broken" in marking.lower()), border


def _steps(points: np.ndarray) -> list[int]:
    tenths = np.round(points * 10.0).astype(int)
    return np.concatenate([tenths[:1], np.diff(tenths, axis=0)]).ravel().tolist()


def thinned(points: np.ndarray) -> np.ndarray:
    """(n, 2) -> the points that a polyline needs to stay within ``STRAIGHT_M`` (Douglas-Peucker).

    Source: Douglas and Peucker, "Algorithms for the reduction of the number of points", 1973.
    """
    keep = np.zeros(len(points), bool)
    keep[[0, -1]] = True
    waiting = [(0, len(points) - 1)]
    while waiting:
        first, last = waiting.pop()
        if last - first < 2:
            continue
        chord = points[last] - points[first]
        inner = points[first + 1 : last] - points[first]
        length = np.hypot(*chord)
        across = inner[:, 0] * chord[1] - inner[:, 1] * chord[0]
        far = abs(across) / length if length > 1e-6 else np.hypot(inner[:, 0], inner[:, 1])
        worst = int(far.argmax())
        if far[worst] > STRAIGHT_M:
            middle = first + 1 + worst
            keep[middle] = True
            waiting += [(first, middle), (middle, last)]
    return points[keep]
