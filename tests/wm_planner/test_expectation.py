"""What the model expects to see, drawn; and the memory of frames it is drawn from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("rclpy", reason="needs ROS 2 (pip install . brings it)")

from wm_dynamics.config import SIZES
from wm_dynamics.model import WorldModel
from wm_dynamics.variants import variant
from wm_perception.bev import CHANNELS, SIZE_PX
from wm_planner.expectation import Moment, expect, unexpected
from wm_planner.expectation_pictures import (
    HEADER,
    IMAGINED,
    bev_strip,
    camera_strip,
    surprise_picture,
)
from wm_planner.imagination_memory import ImaginationMemory

MODEL = WorldModel.untrained(SIZES["tiny"], seed=0)
ACTIONS = np.zeros((15, 2), np.float32)
MASK = np.zeros((SIZE_PX, SIZE_PX), np.uint8)


def moment(model: WorldModel = MODEL) -> Moment:
    return Moment(model.initial(), np.array([0.5, 0, 0, 0, 0], np.float32), MASK)


def test_beliefs_are_drawn_at_the_steps_asked_for():
    drawn = expect(MODEL, moment(), ACTIONS, [0, 3, 5, 15])
    half = SIZE_PX // 2
    assert drawn.masks.shape == (4, len(CHANNELS), half, half)
    assert ((drawn.masks >= 0) & (drawn.masks <= 1)).all() and drawn.cameras == {}
    now = MODEL.decode(MODEL.initial()).numpy()
    np.testing.assert_allclose(drawn.masks[:1], now)
    few = expect(MODEL, moment(), ACTIONS, [5])
    np.testing.assert_allclose(few.masks[0], drawn.masks[2], atol=1e-5)


def test_other_actions_are_another_future():
    calm = expect(MODEL, moment(), ACTIONS, [10]).masks
    wild = expect(MODEL, moment(), ACTIONS + 1.0, [10]).masks
    assert np.abs(calm - wild).max() > 1e-4


def test_a_camera_model_draws_its_pictures():
    torch.manual_seed(0)
    model = WorldModel.untrained(variant("tiny", inputs="camera"), seed=0)
    drawn = expect(model, moment(model), ACTIONS, [0, 5], masks=False)
    (pictures,) = drawn.cameras.values()
    assert drawn.masks is None and pictures.dtype == np.uint8 and len(pictures) == 2
    strip = camera_strip(pictures, [0.0, 1.0], 90)
    assert strip.dtype == np.uint8 and (strip == IMAGINED).all(-1).any()


def test_the_unexpected_has_a_sign():
    expected = np.zeros((len(CHANNELS), SIZE_PX // 2, SIZE_PX // 2), np.float32)
    seen = MASK.copy()
    seen[0:2, 0:2] = 1 << 3
    expected[3, 8, 8] = 0.75
    appeared, missing = unexpected(expected, seen)
    assert appeared[0, 0] == 1.0 and appeared.sum() == 1.0
    assert missing[8, 8] == 0.75 and missing.sum() == 0.75
    expected[:] = 0.0
    expected[3, 1, 1] = 1.0  # a pixel beside where it is seen
    assert max(part.max() for part in unexpected(expected, seen)) == 0.0
    picture = surprise_picture(seen, appeared, missing, 1.0, 128)[HEADER:]
    blue, _, red = picture[1, 1].astype(int)
    assert red > 200 and blue < 80
    blue, _, red = picture[33, 33].astype(int)
    assert blue > 150 and red < 80


def test_only_what_is_imagined_is_framed():
    masks = np.zeros((2, len(CHANNELS), 32, 32), np.float32)
    strip = bev_strip(MASK, masks, [0.0, 1.0], 64)
    third = strip.shape[1] // 3
    framed = [(strip[:, k * third : (k + 1) * third] == IMAGINED).all(-1).any() for k in range(3)]
    assert framed == [False, True, True]


# ---------------------------------------------------------------------- memory

STEP_NS = 100_000_000


def filled(frames: int = 20, keep: int = 30) -> ImaginationMemory:
    memory = ImaginationMemory(keep)
    for frame in range(frames):
        state = np.array([0, 0, frame, -frame, 0], np.float32)
        memory.saw(frame * STEP_NS, MASK + frame)  # before the belief, or after: both happen
        memory.believed(frame * STEP_NS + 900_000, MODEL.initial(), state)
    return memory


def test_a_moment_is_there_once_all_of_it_is_known():
    memory = filled()
    assert memory.moment(5 * STEP_NS).mask[0, 0] == 5
    assert memory.moment(50 * STEP_NS) is None
    memory.saw(20 * STEP_NS, MASK)
    assert memory.moment(20 * STEP_NS) is None


def test_what_was_driven_is_what_led_to_the_frames_after():
    driven = filled().driven(10 * STEP_NS, 2 * STEP_NS, 3)
    np.testing.assert_allclose(driven, [[11.5, -11.5], [13.5, -13.5], [15.5, -15.5]])
    assert filled().driven(18 * STEP_NS, 2 * STEP_NS, 3) is None


def test_old_frames_and_other_simulations_are_forgotten():
    assert filled(keep=5).moment(10 * STEP_NS) is None
    memory = filled()
    memory.saw(-STEP_NS, MASK)
    assert memory.moment(10 * STEP_NS) is None
