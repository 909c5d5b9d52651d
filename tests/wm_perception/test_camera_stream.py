"""Camera pictures as a model sees them."""

from __future__ import annotations

import numpy as np
import pytest

from wm_dynamics.config import ModelConfig
from wm_dynamics.errors import UserError
from wm_dynamics.variants import variant
from wm_perception.camera_stream import FRONT, camera_stream, fit_image


def test_a_picture_is_cropped_to_its_middle_and_averaged():
    columns = np.arange(256, dtype=np.uint8)
    image = np.broadcast_to(columns[None, :, None], (144, 256, 3)).copy()
    image[0] = image[-1] = 255  # 142 rows are as wide as the wanted shape is
    fitted = fit_image(image, 80, 144)
    assert fitted.shape == (80, 144, 3) and fitted.dtype == np.uint8
    centres = (np.arange(144) + 0.5) * 256 / 144 - 0.5
    assert abs(fitted[..., 0].astype(float) - centres).max() < 1.0


@pytest.mark.parametrize(("shape", "middle"), [((60, 20), (20, 20)), ((20, 60), (20, 20))])
def test_nothing_is_squeezed(shape, middle):
    image = np.zeros((*shape, 3), np.uint8)
    top, left = (shape[0] - middle[0]) // 2, (shape[1] - middle[1]) // 2
    image[top : top + middle[0], left : left + middle[1]] = 100
    assert (fit_image(image, 10, 10) == 100).all()


def test_a_picture_of_the_right_size_is_not_touched():
    image = np.random.default_rng(0).integers(0, 255, (80, 144, 3), np.uint8)
    assert np.shares_memory(fit_image(image, 80, 144), image)


def test_depths_are_never_mixed():
    depth = np.where(np.arange(64) % 2, 1.0, 9.0).astype(np.float32)
    fitted = fit_image(np.broadcast_to(depth, (36, 64)), 9, 16)
    assert fitted.dtype == np.float32 and set(np.unique(fitted)) <= {1.0, 9.0}


def test_a_small_picture_is_enlarged_smoothly():
    image = np.zeros((2, 2, 3), np.uint8)
    image[:, 1] = 200
    assert len(np.unique(fit_image(image, 8, 8))) > 2


def test_a_model_says_which_camera_it_drives_by():
    assert camera_stream(variant("tiny")) is None
    assert camera_stream(variant("tiny", inputs="camera")) == FRONT
    assert camera_stream(variant("tiny", inputs="camera-vit")) == FRONT
    small = camera_stream(ModelConfig(bev=False, camera={"height": 32, "width": 64}))
    assert small is not None and (small.height, small.width) == (32, 64)


@pytest.mark.parametrize(
    ("inputs", "named"), [("cameras-3", "camera_left, camera_right"), ("lidar", "lidar_bev")]
)
def test_sensors_that_nobody_feeds_are_named(inputs, named):
    with pytest.raises(UserError, match=f"reads {named};"):
        camera_stream(variant("tiny", inputs=inputs))
