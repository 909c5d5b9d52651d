"""The camera watchdog."""

from __future__ import annotations

import numpy as np
import pytest
from sensor_msgs.msg import Image

from wm_perception.image_check import ImageCheck, is_black
from wm_perception.messages import to_array
from wm_perception.node_tools import header
from wm_sim.bridge_sensor_messages import rgb_image


def picture(value: int, width: int = 4) -> Image:
    return rgb_image(header(0), np.full((3, width, 3), value, np.uint8))


def test_changing_pictures_are_fine():
    check = ImageCheck()
    assert [check.check(picture(i), 5.0) for i in range(1, 20)] == [""] * 19


def test_a_frozen_picture_is_noticed_only_while_moving():
    check = ImageCheck()
    assert [check.check(picture(1), 0.0) for _ in range(20)] == [""] * 20
    assert "the last 2 are identical" in check.check(picture(1), 5.0), "at the first repetition"
    assert "the last 3 are identical" in check.check(picture(1), 5.0)
    assert check.problems == {"frozen": 2}
    assert check.check(picture(2), 5.0) == ""


def test_a_message_that_comes_twice_is_not_frozen():
    check = ImageCheck()
    for number in range(1, 4):
        message = picture(number)
        message.header.stamp.nanosec = number
        assert [check.check(message, 5.0) for _ in range(2)] == ["", ""]


def test_a_black_picture_is_none():
    check = ImageCheck()
    assert check.check(picture(0), 0.0) == "image is black: every pixel is zero"
    dim = picture(0)
    dim.data[0] = 1
    assert check.check(dim, 0.0) == ""
    assert check.problems == {"black": 1}


def test_wrong_size():
    check = ImageCheck()
    check.check(picture(1), 0.0)
    assert check.check(picture(2, width=5), 0.0) == "image is 5 x 3, expected 4 x 3"
    assert ImageCheck(size=(8, 6)).check(picture(1), 0.0) == "image is 4 x 3, expected 8 x 6"
    least = ImageCheck(smallest=(4, 4)).check(picture(1), 0.0)
    assert least == "image is 4 x 3, the model needs at least 4 x 4"


def test_truncated_data_and_depth_with_nan():
    check = ImageCheck()
    torn = picture(1)
    torn.data = torn.data[:-4]
    assert "bytes" in check.check(torn, 0.0)
    depth = Image(height=1, width=2, step=8, encoding="32FC1")
    depth.data = to_array(np.array([1.0, np.nan], np.float32), "B")
    assert "32FC1" in check.check(depth, 0.0)
    assert "1 values are not finite" in check.text
    assert check.problems == {"unreadable": 2}


@pytest.mark.parametrize("channels", [3, 4])
def test_one_bright_pixel_is_enough_not_to_be_black(channels):
    pixels = np.zeros((50, 70, channels), np.uint8)
    pixels[..., 3:] = 255  # opaque
    assert is_black(pixels)
    pixels[17, 33, 2] = 1  # not one of the few that are looked at first
    assert not is_black(pixels)
