"""Frames and pictures that arrive out of step."""

from __future__ import annotations

import array

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image

from wm_perception import messages
from wm_perception.camera_feed import CameraFeed
from wm_perception.camera_stream import CameraStream
from wm_perception.frame import EgoState, SceneFrame
from wm_perception.messages import CHANNELS
from wm_perception.node_tools import header
from wm_sim.bridge_sensor_messages import rgb_image

STREAM = CameraStream("camera_front", 4, 8)
SCENE = object()
MS = 1_000_000


def frame(ms: int) -> SceneFrame:
    return SceneFrame(ms * MS, EgoState(0.0, 0.0, 0.0, 5.0))


def picture(ms: int, value: int, height: int = 8, width: int = 16) -> Image:
    return rgb_image(header(ms * MS), np.full((height, width, 3), value, np.uint8))


@pytest.fixture
def feed() -> CameraFeed:
    return CameraFeed(STREAM, max_age_s=0.1, wait_s=0.05)


def test_a_picture_that_is_there_already_needs_no_wait(feed):
    feed.add(picture(100, 7), 5.0)
    feed.hold(frame(100), SCENE, now_s=1.0)
    seen, scene = feed.release(1.0)
    assert scene is SCENE and seen.image.shape == (4, 8, 3) and (seen.image == 7).all()
    assert feed.release() is None, "a frame is released once"


def test_a_frame_waits_for_its_own_picture(feed):
    feed.add(picture(0, 1), 5.0)
    feed.hold(frame(100), SCENE, now_s=1.0)
    assert feed.release(1.04) is None
    feed.add(picture(100, 2), 5.0)
    assert (feed.release(1.04)[0].image == 2).all()


def test_after_the_wait_the_newest_earlier_picture_serves(feed):
    feed.add(picture(20, 1), 5.0)
    feed.add(picture(60, 2), 5.0)
    feed.hold(frame(100), SCENE, now_s=1.0)
    assert (feed.release(1.06)[0].image == 2).all()
    assert feed.without == 0


def test_a_picture_serves_one_frame(feed):
    feed.add(picture(100, 1), 5.0)
    feed.hold(frame(100), SCENE, now_s=1.0)
    assert feed.release(1.0)[0].image is not None
    feed.hold(frame(200), SCENE, now_s=1.0)
    assert feed.release()[0].image is None, "it is young enough, but was seen"
    assert feed.without == 1


def test_a_message_that_comes_twice_is_one_picture(feed):
    for number in (1, 2):
        feed.add(picture(100 * number, number), 5.0)
        feed.add(picture(100 * number, number), 5.0)
    feed.hold(frame(100), SCENE, now_s=1.0)
    assert (feed.release(1.0)[0].image == 1).all()


def test_a_later_picture_is_never_taken(feed):
    feed.add(picture(90, 1), 5.0)
    feed.add(picture(140, 2), 5.0)
    feed.hold(frame(100), SCENE, now_s=1.0)
    assert (feed.release(1.0)[0].image == 1).all(), "one of the frame's stamp cannot come any more"


@pytest.mark.parametrize("ages", [[], [250, 201]])
def test_too_old_is_as_good_as_none(feed, ages):
    for age in ages:
        feed.add(picture(300 - age, 1), 5.0)
    feed.hold(frame(300), SCENE, now_s=1.0)
    assert feed.release()[0].image is None
    assert feed.without == 1


def test_pictures_that_the_check_objects_to_are_not_used(feed):
    feed.add(picture(0, 1), 5.0)
    broken = picture(100, 2)
    broken.data = broken.data[:-1]
    depth = Image(header=header(100 * MS), height=8, width=16, encoding="32FC1")
    for bad in (broken, depth, picture(100, 3, height=3, width=6)):
        feed.add(bad, 5.0)
        assert feed.check.text
    assert feed.check.text == "image is 6 x 3, the model needs at least 8 x 4"
    feed.hold(frame(200), SCENE, now_s=1.0)
    assert feed.release()[0].image is None


def test_a_frozen_camera_is_no_camera(feed):
    for number in range(12):
        feed.add(picture(100 * number, 9), 5.0)
    feed.hold(frame(1100), SCENE, now_s=1.0)
    assert feed.release()[0].image is None
    assert "frozen" in feed.check.text


def test_a_source_that_starts_again_is_followed(feed):
    feed.add(picture(9000, 1), 5.0)
    feed.add(picture(100, 2), 5.0)
    feed.hold(frame(100), SCENE, now_s=1.0)
    assert (feed.release(1.0)[0].image == 2).all()


@pytest.mark.parametrize(
    ("size", "fov_deg", "said"),
    [
        ((256, 144), 90.0, ""),
        ((800, 600), 92.0, ""),  # what is cropped away above and below does not count
        ((256, 144), 60.0, "60 degrees wide"),
        ((1000, 100), 90.0, "23 degrees wide"),  # what is cropped away on both sides does
    ],
)
def test_a_lens_that_the_model_does_not_know_is_named(feed, size, fov_deg, said):
    width, height = size
    focal_px = width / 2 / np.tan(np.radians(fov_deg / 2))
    info = CameraInfo(width=width, height=height, k=[focal_px, *[0.0] * 8])
    feed.measure(info)
    assert said in feed.lens and bool(said) == bool(feed.lens)
    feed.measure(CameraInfo(width=width, height=height))
    assert not feed.lens, "an uncalibrated camera says nothing"


@pytest.mark.parametrize("size", [(80, 144), (160, 288), (144, 256), (600, 800), (90, 90)])
@pytest.mark.parametrize("encoding", ["bgra8", "rgba8", "bgr8", "rgb8"])
@pytest.mark.parametrize("padding", [0, 7])
def test_a_picture_that_is_scaled_before_it_is_recoloured_is_the_same(encoding, size, padding):
    (height, width), channels = size, CHANNELS[encoding]
    step = width * channels + padding
    pixels = np.random.default_rng(0).integers(0, 256, height * step, dtype=np.uint8)
    message = Image(
        header=header(100 * MS), height=height, width=width, encoding=encoding, step=step,
        data=array.array("B", pixels.tobytes()),
    )  # fmt: skip
    stream = CameraStream("camera_front", 80, 144) if width >= 144 else STREAM
    feed = CameraFeed(stream, max_age_s=0.1, wait_s=0.0)
    feed.add(message, 5.0)
    feed.hold(frame(100), SCENE, now_s=1.0)
    wanted = stream.fit(messages.rgb_image(message))
    np.testing.assert_array_equal(feed.release(1.0)[0].image, wanted)
    assert np.shares_memory(messages.image_pixels(message), np.frombuffer(message.data, np.uint8))
