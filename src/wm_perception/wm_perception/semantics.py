"""CARLA's semantic tags and the colours in which its bridge publishes them."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from wm_perception.frame import ObjectClass


class SemanticTag(IntEnum):
    """Semantic tags of CARLA 0.9.13, the release the ROS bridge is written for."""

    UNLABELED = 0
    BUILDING = 1
    FENCE = 2
    OTHER = 3
    PEDESTRIAN = 4
    POLE = 5
    ROAD_LINE = 6
    ROAD = 7
    SIDEWALK = 8
    VEGETATION = 9
    VEHICLE = 10
    WALL = 11
    TRAFFIC_SIGN = 12
    SKY = 13
    GROUND = 14
    BRIDGE = 15
    RAIL_TRACK = 16
    GUARD_RAIL = 17
    TRAFFIC_LIGHT = 18
    STATIC = 19
    DYNAMIC = 20
    WATER = 21
    TERRAIN = 22


# CARLA's palette (LibCarla image/CityScapesPalette.h, MIT): row n is the RGB of tag n.
CITYSCAPES_RGB = np.array(
    [
        (0, 0, 0),
        (70, 70, 70),
        (100, 40, 40),
        (55, 90, 80),
        (220, 20, 60),
        (153, 153, 153),
        (157, 234, 50),
        (128, 64, 128),
        (244, 35, 232),
        (107, 142, 35),
        (0, 0, 142),
        (102, 102, 156),
        (220, 220, 0),
        (70, 130, 180),
        (81, 0, 81),
        (150, 100, 100),
        (230, 150, 140),
        (180, 165, 180),
        (250, 170, 30),
        (110, 190, 160),
        (170, 120, 50),
        (45, 60, 150),
        (145, 170, 100),
    ],
    np.uint8,
)

_TAG_OF_CLASS = {
    ObjectClass.UNKNOWN: SemanticTag.DYNAMIC,
    ObjectClass.PEDESTRIAN: SemanticTag.PEDESTRIAN,
    ObjectClass.BARRIER: SemanticTag.STATIC,
    ObjectClass.SIGN: SemanticTag.TRAFFIC_SIGN,
}


def tag_of(kind: int) -> SemanticTag:
    """The tag of a road user or obstacle; whoever rides is a vehicle, as in CARLA."""
    return _TAG_OF_CLASS.get(ObjectClass(kind), SemanticTag.VEHICLE)


def cityscapes_rgb(tags: np.ndarray) -> np.ndarray:
    """(..., ) tags -> (..., 3) uint8 RGB, what the bridge publishes as segmentation picture."""
    return CITYSCAPES_RGB[tags]
