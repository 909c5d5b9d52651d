"""Road users and obstacles as a handful of boxes and cylinders each.

A shape is a template for one size; an object of another size scales it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from wm_perception.semantics import SemanticTag
from wm_sim.camera_mesh import Rgb
from wm_sim.camera_shaders import CAR_LAMP, PLAIN, SHADOW, code

GLASS, TYRE, METAL = (0.13, 0.15, 0.19), (0.05, 0.05, 0.05), (0.30, 0.31, 0.33)
BLACK, SHADE = (0.04, 0.04, 0.04), (0.20, 0.20, 0.21)
RED_LAMP, WHITE_LAMP = (0.75, 0.08, 0.06), (0.95, 0.95, 0.85)
_RED, _WHITE, _ORANGE = (0.80, 0.10, 0.08), (0.93, 0.93, 0.92), (0.92, 0.36, 0.06)
_SKIN, _HAIR, _TROUSERS = (0.80, 0.62, 0.50), (0.16, 0.11, 0.08), (0.17, 0.19, 0.27)
_UPRIGHT = math.pi / 2  # rolls a cylinder into a wheel

CAR_RGB = (
    (0.75, 0.10, 0.10),
    (0.10, 0.20, 0.55),
    (0.85, 0.85, 0.85),
    (0.25, 0.25, 0.28),
    (0.80, 0.65, 0.10),
    (0.10, 0.40, 0.25),
)
_TRUCK_RGB = ((0.88, 0.88, 0.87), (0.20, 0.34, 0.58), (0.62, 0.16, 0.13), (0.78, 0.74, 0.62))
_COAT_RGB = (
    (0.70, 0.16, 0.18),
    (0.16, 0.34, 0.60),
    (0.84, 0.80, 0.72),
    (0.20, 0.42, 0.28),
    (0.90, 0.66, 0.16),
    (0.42, 0.22, 0.46),
)


@dataclass(frozen=True)
class Part:
    """One solid of a shape, in the object's frame (x forward, z up from the ground), m.

    Attributes:
        offset: of the middle; of the joint if the part swings.
        size: full extent before it is turned.
        rgb: colour, or None for the object's own.
        kind: material.
        taper: how far the top is drawn in along x and y, 0 to 1.
        tilt, roll: about y, then x, rad.
        round: a cylinder and not a box.
        swing: how it follows the walk: it hangs from its joint and swings by this share.
    """

    offset: tuple[float, float, float]
    size: tuple[float, float, float]
    rgb: Rgb | None
    kind: int = PLAIN
    taper: tuple[float, float] = (0.0, 0.0)
    tilt: float = 0.0
    roll: float = 0.0
    round: bool = False
    swing: float = 0.0


@dataclass(frozen=True, eq=False)
class Shape:
    """A template.

    Attributes:
        size: length, width and height it is drawn for, m.
        tag: what it is.
        parts: its solids.
        palette: own colours, one of which follows from an object's id.
        beacon: x and z of the middle of the blue lights, m.
    """

    size: tuple[float, float, float]
    tag: SemanticTag
    parts: tuple[Part, ...]
    palette: tuple[Rgb, ...] = CAR_RGB
    beacon: tuple[float, float] = (0.0, 0.0)
    offset: np.ndarray = field(init=False)
    extent: np.ndarray = field(init=False)
    paint: np.ndarray = field(init=False)  # (K, 4) RGB and code
    own: np.ndarray = field(init=False)  # (K,) takes the object's colour
    form: np.ndarray = field(init=False)  # (K, 4) taper, tilt, roll
    swing: np.ndarray = field(init=False)
    round: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        columns = {
            "offset": [part.offset for part in self.parts],
            "extent": [part.size for part in self.parts],
            "paint": [(*(p.rgb or BLACK), code(p.kind, self.tag)) for p in self.parts],
            "own": [part.rgb is None for part in self.parts],
            "form": [(*part.taper, part.tilt, part.roll) for part in self.parts],
            "swing": [part.swing for part in self.parts],
            "round": [part.round for part in self.parts],
        }
        for name, rows in columns.items():
            object.__setattr__(self, name, np.array(rows))


def _shadow(length: float, width: float, *, is_round: bool = False) -> Part:
    return Part((0, 0, 0.03), (length, width, 0.02), SHADE, SHADOW, round=is_round)


def _pair(x: float, y: float, z: float, size: tuple, rgb: Rgb | None, **rest) -> tuple[Part, Part]:
    """The same part on the left and on the right."""
    return Part((x, y, z), size, rgb, **rest), Part((x, -y, z), size, rgb, **rest)


def _lamps(front: float, back: float, y: float, z: float, size: tuple) -> tuple[Part, ...]:
    """Head and tail lamps."""
    return (
        *_pair(back, y, z + 0.04, size, RED_LAMP, kind=CAR_LAMP),
        *_pair(front, y - 0.02, z, size, WHITE_LAMP, kind=CAR_LAMP),
    )


def _wheels(x: float, y: float, across: float, wide: float) -> tuple[Part, ...]:
    """Two wheels of an axle with their hubs."""
    size, hub = (across, across, wide), (0.5 * across, 0.5 * across, wide + 0.03)
    turned = {"roll": _UPRIGHT, "round": True}
    return (
        *_pair(x, y, across / 2, size, TYRE, **turned),
        *_pair(x, y, across / 2, hub, METAL, **turned),
    )


def _bar(start: tuple, end: tuple, thick: tuple, rgb: Rgb | None, y: float = 0.0) -> Part:
    """A bar between two (x, z) points, ``thick`` high and wide."""
    dx, dz = end[0] - start[0], end[1] - start[1]
    middle = ((start[0] + end[0]) / 2, y, (start[1] + end[1]) / 2)
    return Part(middle, (math.hypot(dx, dz), thick[1], thick[0]), rgb, tilt=-math.atan2(dz, dx))


def _rim(x: float, radius: float) -> tuple[Part, ...]:
    """A bicycle wheel: eight straight pieces of tyre around nothing."""
    piece = (2.15 * radius * math.tan(math.pi / 8), 0.045, 0.05)
    turns = [k * math.pi / 4 for k in range(8)]
    return tuple(
        Part(
            (x + radius * math.cos(turn), 0, radius * (1 + math.sin(turn)) + 0.02),
            piece,
            TYRE,
            tilt=-turn - math.pi / 2,
        )
        for turn in turns
    )


CAR = Shape(
    (4.5, 1.85, 1.5),
    SemanticTag.VEHICLE,
    (
        _shadow(4.7, 2.0),
        Part((0, 0, 0.62), (4.5, 1.85, 0.62), None),
        Part((-0.25, 0, 1.18), (2.7, 1.7, 0.56), GLASS, taper=(0.3, 0.15)),
        Part((-0.25, 0, 1.48), (1.8, 1.42, 0.06), None),
        Part((1.4, 0, 0.32), (0.66, 1.9, 0.62), TYRE),
        Part((-1.4, 0, 0.32), (0.66, 1.9, 0.62), TYRE),
        *_pair(-2.26, 0.68, 0.72, (0.06, 0.35, 0.16), RED_LAMP, kind=CAR_LAMP),
        *_pair(2.26, 0.65, 0.68, (0.06, 0.35, 0.16), WHITE_LAMP, kind=CAR_LAMP),
    ),
    beacon=(-0.25, 1.56),
)
VAN = Shape(
    (5.9, 2.0, 2.5),
    SemanticTag.VEHICLE,
    (
        _shadow(6.1, 2.15),
        Part((-0.75, 0, 1.42), (4.4, 2.0, 2.1), None),
        Part((2.05, 0, 0.80), (1.8, 1.96, 0.9), None),
        Part((1.65, 0, 1.80), (1.5, 1.86, 1.1), GLASS, taper=(0.55, 0.1)),
        Part((0.95, 0, 1.85), (0.8, 2.03, 0.65), GLASS),
        Part((-2.96, 0, 1.85), (0.03, 1.5, 0.6), GLASS),
        Part((2.95, 0, 0.48), (0.1, 1.9, 0.26), METAL),
        *_wheels(1.95, 0.88, 0.72, 0.26),
        *_wheels(-1.85, 0.88, 0.72, 0.26),
        *_lamps(2.96, -2.96, 0.78, 0.95, (0.05, 0.3, 0.22)),
    ),
    palette=_TRUCK_RGB,
    beacon=(0.9, 2.56),
)
LORRY = Shape(
    (8.5, 2.5, 3.6),
    SemanticTag.VEHICLE,
    (
        _shadow(8.7, 2.7),
        Part((-0.1, 0, 0.72), (8.1, 1.7, 0.3), METAL),
        Part((-1.15, 0, 2.25), (6.2, 2.5, 2.7), _WHITE),
        Part((3.2, 0, 1.70), (2.05, 2.4, 2.3), None),
        Part((4.2, 0, 2.20), (0.1, 2.1, 0.85), GLASS),
        Part((3.6, 0, 2.20), (0.8, 2.43, 0.7), GLASS),
        Part((4.2, 0, 0.62), (0.16, 2.3, 0.34), METAL),
        Part((4.2, 0, 1.20), (0.09, 1.5, 0.4), BLACK),
        Part((-4.2, 0, 0.55), (0.1, 2.2, 0.16), METAL),
        *_wheels(3.1, 1.05, 1.0, 0.32),
        *_wheels(-1.7, 1.05, 1.0, 0.36),
        *_wheels(-2.9, 1.05, 1.0, 0.36),
        *_lamps(4.27, -4.28, 0.9, 0.72, (0.05, 0.36, 0.2)),
    ),
    palette=_TRUCK_RGB,
    beacon=(3.2, 2.92),
)
PEDESTRIAN = Shape(
    (0.5, 0.5, 1.75),
    SemanticTag.PEDESTRIAN,
    (
        _shadow(0.6, 0.55, is_round=True),
        Part((0, 0.09, 0.88), (0.17, 0.15, 0.86), _TROUSERS, swing=1.0),
        Part((0, -0.09, 0.88), (0.17, 0.15, 0.86), _TROUSERS, swing=-1.0),
        Part((0, 0, 1.14), (0.25, 0.36, 0.62), None),
        Part((0, 0.215, 1.43), (0.12, 0.09, 0.60), None, swing=-0.8),
        Part((0, -0.215, 1.43), (0.12, 0.09, 0.60), None, swing=0.8),
        Part((0.02, 0, 1.58), (0.21, 0.19, 0.28), _SKIN, round=True),
        Part((-0.02, 0, 1.70), (0.23, 0.21, 0.10), _HAIR, round=True),
    ),
    palette=_COAT_RGB,
)
_RIDER = (
    _bar((-0.22, 0.92), (0.14, 1.44), (0.25, 0.36), None),
    *(_bar((0.12, 1.38), (0.42, 1.04), (0.10, 0.10), None, y) for y in (0.2, -0.2)),
    Part((0.22, 0, 1.57), (0.20, 0.18, 0.22), _SKIN, round=True),
    Part((0.20, 0, 1.69), (0.26, 0.21, 0.12), _WHITE, taper=(0.3, 0.3), round=True),
)
CYCLIST = Shape(
    (1.75, 0.6, 1.75),
    SemanticTag.VEHICLE,
    (
        _shadow(1.7, 0.4),
        *_rim(-0.53, 0.33),
        *_rim(0.53, 0.33),
        _bar((-0.53, 0.35), (0.0, 0.30), (0.035, 0.05), METAL),
        _bar((-0.53, 0.35), (-0.14, 0.82), (0.03, 0.05), METAL),
        _bar((0.0, 0.30), (-0.17, 0.92), (0.04, 0.04), _RED),
        _bar((-0.14, 0.80), (0.42, 0.84), (0.04, 0.04), _RED),
        _bar((0.0, 0.30), (0.42, 0.82), (0.045, 0.045), _RED),
        _bar((0.53, 0.35), (0.40, 1.00), (0.04, 0.05), METAL),
        Part((0.41, 0, 1.01), (0.05, 0.58, 0.04), BLACK),
        Part((-0.19, 0, 0.93), (0.26, 0.14, 0.06), BLACK),
        Part((-0.87, 0, 0.62), (0.04, 0.10, 0.08), RED_LAMP, CAR_LAMP),
        Part((0.49, 0, 0.90), (0.05, 0.10, 0.08), WHITE_LAMP, CAR_LAMP),
        _bar((-0.16, 0.90), (0.24, 0.78), (0.15, 0.14), _TROUSERS, y=0.1),
        _bar((0.24, 0.80), (0.08, 0.42), (0.12, 0.11), _TROUSERS, y=0.1),
        _bar((-0.16, 0.90), (0.12, 0.54), (0.15, 0.14), _TROUSERS, y=-0.1),
        _bar((0.12, 0.56), (-0.08, 0.16), (0.12, 0.11), _TROUSERS, y=-0.1),
        *_RIDER,
    ),
    palette=_COAT_RGB,
)
MOTORCYCLE = Shape(
    (2.1, 0.8, 1.75),
    SemanticTag.VEHICLE,
    (
        _shadow(2.1, 0.7),
        *(
            Part((x, 0, 0.32), (size, size, wide), rgb, roll=_UPRIGHT, round=True)
            for x in (-0.72, 0.72)
            for size, wide, rgb in ((0.64, 0.15, TYRE), (0.36, 0.17, METAL))
        ),
        Part((0.0, 0, 0.48), (0.75, 0.30, 0.42), METAL),
        Part((0.14, 0, 0.82), (0.55, 0.32, 0.26), None),
        Part((-0.42, 0, 0.84), (0.75, 0.28, 0.12), BLACK),
        _bar((0.74, 0.34), (0.45, 1.02), (0.08, 0.16), METAL),
        Part((0.42, 0, 1.04), (0.06, 0.72, 0.05), BLACK),
        Part((0.66, 0, 0.86), (0.10, 0.22, 0.2), WHITE_LAMP, CAR_LAMP),
        Part((-0.82, 0, 0.86), (0.05, 0.18, 0.1), RED_LAMP, CAR_LAMP),
        *(_bar((-0.2, 0.92), (0.2, 0.76), (0.17, 0.15), _TROUSERS, y) for y in (0.2, -0.2)),
        *(_bar((0.2, 0.78), (0.0, 0.36), (0.13, 0.13), _TROUSERS, y) for y in (0.2, -0.2)),
        *_RIDER,
    ),
)
