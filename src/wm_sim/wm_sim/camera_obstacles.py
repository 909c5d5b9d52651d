"""Shapes of what stands on the road, chosen by size: cones, barriers, barrels, boxes."""

from __future__ import annotations

from wm_perception.semantics import SemanticTag
from wm_sim.camera_shapes import Part, Shape

_RED, _WHITE, _ORANGE = (0.80, 0.10, 0.08), (0.93, 0.93, 0.92), (0.92, 0.36, 0.06)
_METAL, _CARD, _EARTH = (0.30, 0.31, 0.33), (0.66, 0.50, 0.33), (0.38, 0.29, 0.20)
_GREEN, _STEEL = (0.16, 0.30, 0.20), (0.22, 0.36, 0.46)


def _cone_ring(low: float, high: float, wide: float, narrow: float, rgb: tuple) -> Part:
    taper = 1.0 - narrow / wide
    middle = (0.0, 0.0, (low + high) / 2)
    return Part(middle, (wide, wide, high - low), rgb, taper=(taper, taper), round=True)


def _panel(z: float) -> tuple[Part, ...]:
    """A board in red and white fields across the road."""
    wide = 0.25
    return tuple(
        Part((0, (n - 2) * wide, z), (0.05, wide, 0.25), _WHITE if n % 2 else _RED)
        for n in range(5)
    )


CONE = Shape(
    (0.4, 0.4, 0.8),
    SemanticTag.STATIC,
    (
        Part((0, 0, 0.025), (0.4, 0.4, 0.05), _ORANGE),
        _cone_ring(0.05, 0.30, 0.30, 0.22, _ORANGE),
        _cone_ring(0.30, 0.50, 0.22, 0.16, _WHITE),
        _cone_ring(0.50, 0.80, 0.16, 0.06, _ORANGE),
    ),
)
BARRIER = Shape(
    (0.4, 1.25, 1.05),
    SemanticTag.STATIC,
    (
        *(Part((0, y, 0.04), (0.4, 0.10, 0.08), _METAL) for y in (0.5, -0.5)),
        *(Part((0, y, 0.52), (0.04, 0.06, 1.04), _METAL) for y in (0.5, -0.5)),
        *_panel(0.9),
        *_panel(0.5),
    ),
)
BARREL = Shape(
    (0.6, 0.6, 0.95),
    SemanticTag.STATIC,
    (
        Part((0, 0, 0.475), (0.56, 0.56, 0.95), _ORANGE, round=True),
        Part((0, 0, 0.33), (0.6, 0.6, 0.16), _WHITE, round=True),
        Part((0, 0, 0.67), (0.6, 0.6, 0.16), _WHITE, round=True),
    ),
)
BIN = Shape(
    (0.6, 0.6, 1.1),
    SemanticTag.STATIC,
    (
        Part((0, 0, 0.5), (0.52, 0.52, 1.0), _GREEN),
        Part((0, 0, 1.05), (0.6, 0.6, 0.1), _METAL),
    ),
)
CRATE = Shape(
    (0.7, 0.7, 0.7),
    SemanticTag.DYNAMIC,
    (
        Part((0, 0, 0.35), (0.7, 0.7, 0.7), _CARD),
        Part((0, 0, 0.352), (0.12, 0.702, 0.7), (0.80, 0.70, 0.52)),
    ),
)
CONTAINER = Shape(
    (2.1, 4.5, 1.9),
    SemanticTag.STATIC,
    (
        Part((0, 0, 0.94), (2.06, 4.46, 1.88), _STEEL),
        *(Part((0, y, 0.95), (2.1, 0.1, 1.9), _METAL) for y in (-2.2, -1.1, 0.0, 1.1, 2.2)),
    ),
)
DEBRIS = Shape(
    (1.7, 2.4, 0.3),
    SemanticTag.DYNAMIC,
    (
        Part((0, 0, 0.09), (1.7, 2.4, 0.18), _EARTH, taper=(0.5, 0.4)),
        Part((0.2, -0.3, 0.2), (0.8, 1.0, 0.2), _EARTH, taper=(0.6, 0.6)),
    ),
)


def obstacle_shape(length: float, width: float, height: float) -> Shape:
    """What an obstacle of this size most likely is."""
    wide = max(length, width)
    if height <= 0.35:
        return DEBRIS
    if wide <= 0.45:
        return CONE
    if wide <= 0.8:
        return BIN if height > 1.0 else BARREL if height > 0.8 else CRATE
    return CONTAINER if height > 1.5 else BARRIER
