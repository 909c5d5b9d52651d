"""CARLA's tags and colours."""

from __future__ import annotations

import numpy as np

from wm_perception.frame import ObjectClass
from wm_perception.semantics import CITYSCAPES_RGB, SemanticTag, cityscapes_rgb, tag_of


def test_every_tag_has_a_colour_of_its_own():
    assert len(CITYSCAPES_RGB) == len(SemanticTag)
    assert len(np.unique(CITYSCAPES_RGB, axis=0)) == len(SemanticTag)


def test_colours_are_those_of_cityscapes():
    tags = np.array([[SemanticTag.ROAD, SemanticTag.PEDESTRIAN], [SemanticTag.VEHICLE, 13]])
    colours = cityscapes_rgb(tags)
    assert colours.dtype == np.uint8
    assert colours.tolist() == [
        [[128, 64, 128], [220, 20, 60]],
        [[0, 0, 142], [70, 130, 180]],
    ]


def test_whoever_rides_is_a_vehicle_and_whoever_walks_a_pedestrian():
    assert tag_of(ObjectClass.BIKE) == tag_of(ObjectClass.TRUCK) == SemanticTag.VEHICLE
    assert tag_of(ObjectClass.PEDESTRIAN) == SemanticTag.PEDESTRIAN
    assert tag_of(ObjectClass.BARRIER) == SemanticTag.STATIC
