"""Poses of another frame than the map's are not taken for poses in the map."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from wm_perception.map_frame import MapFrame


def message(frame_id: str) -> SimpleNamespace:
    return SimpleNamespace(header=SimpleNamespace(frame_id=frame_id))


@pytest.mark.parametrize("frame_id", ["map", "/map", ""])
def test_the_map_is_accepted(frame_id):
    frame = MapFrame()
    assert frame.accepts("odometry", message(frame_id)) and not frame.text


def test_another_frame_is_refused_with_a_word_until_it_is_the_map_again():
    frame = MapFrame()
    assert not frame.accepts("odometry", message("odom"))
    assert "odometry is in the frame 'odom' and not in 'map'" in frame.text
    assert frame.accepts("objects", message("map")) and frame.text
    assert frame.accepts("odometry", message("map")) and not frame.text


def test_topics_without_poses_may_have_any_frame():
    assert MapFrame().accepts("image", message("ego_vehicle/rgb_front"))
