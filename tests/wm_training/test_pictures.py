"""Pictures for people: what lies where, and videos that can be read back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_perception.bev import BevPainter
from wm_perception.bev_picture import MASK_COLOURS, mask_view
from wm_perception.frame import EgoState, LightState, SceneFrame
from wm_training import pictures
from wm_training.pictures import (
    CAR,
    CHOSEN,
    EGO,
    EGO_ROW,
    LIGHTS,
    PX_PER_M,
    SIDE_W,
    TOP_PX,
    Imagination,
    Video,
    compose,
    top_view,
)

MIDDLE = np.array([TOP_PX * EGO_ROW, TOP_PX / 2])  # row, column of the ego


def place(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Mean (row, column) of the pixels of one colour."""
    found = np.argwhere((picture == colour).all(-1))
    assert len(found), f"nothing is painted in {colour}"
    return found.mean(0)


def turned(frame: SceneFrame, yaw: float) -> SceneFrame:
    ego = EgoState(frame.ego.x, frame.ego.y, yaw, 5.0, length=4.0, width=2.0)
    return SceneFrame(frame.stamp_ns, ego, frame.objects, frame.light_states)


def test_a_car_on_the_left_is_left_in_the_picture(road):
    frame = road.frame(20.0, cars=road.car(20.0, 6.0))
    picture = top_view(road.scene(), frame, None)
    np.testing.assert_allclose(place(picture, EGO), MIDDLE, atol=2.0)
    np.testing.assert_allclose(place(picture, CAR), MIDDLE - [0.0, 6.0 * PX_PER_M], atol=2.0)


def test_forward_is_up_whatever_the_heading(road):
    ahead = top_view(road.scene(), road.frame(20.0, cars=road.car(30.0)), None)
    np.testing.assert_allclose(place(ahead, CAR), MIDDLE - [10.0 * PX_PER_M, 0.0], atol=2.0)
    # Facing left (+y), the same car is on the right.
    frame = turned(road.frame(20.0, cars=road.car(30.0)), np.pi / 2)
    np.testing.assert_allclose(
        place(top_view(road.scene(), frame, None), CAR),
        MIDDLE + [0.0, 10.0 * PX_PER_M],
        atol=2.0,
    )


def test_a_red_light_is_a_red_bar_at_its_stop_line(road):
    frame = road.frame(40.0, light=LightState.RED)
    bar = place(top_view(road.scene(), frame, None), LIGHTS[LightState.RED])
    np.testing.assert_allclose(bar, MIDDLE - [(road.stop_x - 40.0) * PX_PER_M, 0.0], atol=2.0)


def test_the_chosen_future_is_drawn_where_it_leads(road):
    far = np.linspace(0.5, 15.0, 10)
    futures = np.stack([np.stack([20.0 + far, side * far], 1) for side in (0.0, 0.3, -0.3)])
    imagination = Imagination(futures, np.array([3.0, 1.0, 2.0]), chosen=1)
    row, column = place(top_view(road.scene(), road.frame(20.0), imagination), CHOSEN)
    assert row < MIDDLE[0] - 3.0 * PX_PER_M
    assert column < MIDDLE[1] - PX_PER_M, "+y is left"


def test_cheap_futures_are_green_and_dear_ones_red():
    (_, green, red), (_, green_dear, red_dear) = (
        pictures._cost_colour(rank) for rank in (0.0, 1.0)
    )
    assert green > red and red_dear > green_dear


def test_the_whole_picture(road):
    scene, frame = road.scene(), road.frame(20.0, cars=road.car(30.0))
    mask = BevPainter(scene).paint(frame, 20.0)
    plain = compose(scene, frame, None, None, [])
    assert (plain.shape, plain.dtype) == ((TOP_PX, TOP_PX + SIDE_W, 3), np.uint8)
    full = compose(scene, frame, mask, None, ["text"])
    assert (full[:, :TOP_PX] == plain[:, :TOP_PX]).all()
    assert (full[:, TOP_PX:] != plain[:, TOP_PX:]).any()
    red_rgb = np.zeros((90, 160, 3), np.uint8)
    red_rgb[..., 0] = 255
    shown = SceneFrame(0, frame.ego, image=red_rgb)
    corner = compose(scene, shown, None, None, [])[10, TOP_PX + 10]
    assert corner.tolist() == [0, 0, 255], "the camera is RGB, the picture BGR"


def test_the_model_input_is_shown_enlarged(road):
    mask = np.zeros((64, 64), np.uint8)
    mask[:32, :32] = 1 << 3
    view = mask_view(mask, 128)
    assert view.shape == (128, 128, 3)
    assert (view[:64, :64] == MASK_COLOURS[3]).all()
    assert len(np.unique(view[64:].reshape(-1, 3), axis=0)) == 1


def test_a_video_can_be_read_back(tmp_path):
    video = Video(tmp_path / "new" / "drive.mp4", 5.0)
    for shade in (0, 80, 160, 240):
        video.add(np.full((120, 160, 3), shade, np.uint8))
    video.close()
    video.close()
    reader = cv2.VideoCapture(str(video.path))
    shades = []
    while True:
        good, picture = reader.read()
        if not good:
            break
        assert picture.shape == (120, 160, 3)
        shades.append(float(picture.mean()))
    reader.release()
    np.testing.assert_allclose(shades, [0, 80, 160, 240], atol=6)


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "drive.mp4").mkdir()
    with pytest.raises(UserError, match="--no-video"):
        Video(tmp_path / "drive.mp4", 5.0).add(np.zeros((120, 160, 3), np.uint8))
