"""What cameras see is changed, what they draw is not; a displaced vehicle is another drive."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wm_dynamics.errors import UserError
from wm_dynamics.heads import LABELS
from wm_dynamics.variants import variant
from wm_training.augmentation import MID_GREY, Augmentation, change_pictures, cover, recolour, shift
from wm_training.losses import SEEN
from wm_training.train_config import AugmentConfig

COLUMNS = {name: i for i, name in enumerate(LABELS)}
CAMERA = {"names": ("front",), "height": 32, "width": 48}
OFF = {"colour": 0.0, "cutout": 0.0, "shift_px": 0}


def draws(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def batch(windows: int = 4, steps: int = 6) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    picture = torch.randint(0, 255, (windows, 1, 32, 48, 3), generator=generator)
    return {
        "camera_front": picture.expand(-1, steps, -1, -1, -1).to(torch.uint8).contiguous(),
        "bev": torch.randint(0, 63, (windows, steps, 64, 64), generator=generator).byte(),
        "route": torch.rand(windows, steps, 20, generator=generator),
        "motion": torch.rand(windows, steps, 3, generator=generator),
        "labels": torch.zeros(windows, steps, len(LABELS)),
    }


def make(config: AugmentConfig, seed: int = 0, **model) -> Augmentation:
    return Augmentation(config, variant("tiny", **model), COLUMNS, stride=2, seed=(seed, 0))


def test_pictures_change_where_they_are_seen_only():
    before, change = batch(), make(AugmentConfig(), camera=CAMERA)
    after = change(before, 3)
    assert set(after) - set(before) == {SEEN + "camera_front"}
    assert all(torch.equal(after[name], before[name]) for name in before)
    seen = after[SEEN + "camera_front"]
    assert seen.dtype == torch.uint8 and not torch.equal(seen, before["camera_front"])
    assert torch.equal(seen[:, 0], seen[:, -1])  # one change per window
    assert torch.equal(change(before, 3)[SEEN + "camera_front"], seen)
    assert not torch.equal(change(before, 4)[SEEN + "camera_front"], seen)
    other = make(AugmentConfig(), seed=1, camera=CAMERA)(before, 3)
    assert not torch.equal(other[SEEN + "camera_front"], seen)


def test_nothing_is_changed_without_need():
    before = batch()
    for change in (make(AugmentConfig()), make(AugmentConfig(**OFF), camera=CAMERA)):
        after = change(before, 0)
        assert all(after[name] is before[name] for name in after)
    pictures = before["camera_front"].numpy()
    np.testing.assert_array_equal(
        change_pictures(pictures, AugmentConfig(**OFF), draws()), pictures
    )


def test_colours():
    pictures = np.zeros((1, 8, 8, 3), np.uint8)
    pictures[:, :4], pictures[:, 4:] = (100, 50, 150), (50, 100, 0)
    np.testing.assert_array_equal(recolour(pictures, 1.0, 1.0, 1.0), pictures)
    np.testing.assert_array_equal(recolour(pictures, 1.2, 1.0, 1.0)[0, 0, 0], (120, 60, 180))
    grey = recolour(pictures, 1.0, 1.0, 0.0)
    assert (grey[:, :4] == 100).all() and (grey[:, 4:] == 50).all()
    flat = recolour(pictures, 1.0, 0.5, 1.0)  # the mean is 75
    np.testing.assert_array_equal(flat[0, 0, 0], np.rint(75 + 0.5 * (pictures[0, 0, 0] - 75.0)))
    assert (recolour(pictures, 9.0, 1.0, 1.0)[0, 0, 0] == 255).all()


def test_shifted_pictures_repeat_their_edge():
    row = np.arange(5, dtype=np.uint8)
    pictures = np.broadcast_to(row[None, None, :, None], (2, 3, 5, 3))
    np.testing.assert_array_equal(shift(pictures, 2, 0)[1, 0, :, 0], [0, 0, 0, 1, 2])
    np.testing.assert_array_equal(shift(pictures, -1, 1)[0, 2, :, 2], [1, 2, 3, 4, 4])


def test_one_small_rectangle_is_covered():
    covered = []
    for seed in range(16):
        pictures = np.full((2, 20, 40, 3), 10, np.uint8)
        cover(pictures, 0.5, draws(seed))
        hidden = pictures == MID_GREY
        assert (hidden == hidden[:1, :, :, :1]).all() and set(np.unique(pictures)) <= {10, MID_GREY}
        rows, columns = hidden[0, :, :, 0].any(1).sum(), hidden[0, :, :, 0].any(0).sum()
        assert rows <= 10 and columns <= 20 and hidden[0, :, :, 0].sum() == rows * columns
        covered.append(rows * columns)
    assert max(covered) > 50


def test_a_displaced_vehicle_is_another_drive():
    before = batch()
    blind = {name: value for name, value in before.items() if name != "camera_front"}
    after = make(AugmentConfig(sideways_m=0.5, turn_rad=0.03))(blind, 0)
    lateral = after["labels"][..., COLUMNS["lateral"]]
    assert 0 < lateral.abs().max() <= 0.5 and (lateral == lateral[:, :1]).all()
    reward = after["labels"][..., COLUMNS["reward"]]
    torch.testing.assert_close(reward, -0.1 * lateral.abs())
    for name in ("bev", "route", "motion"):
        assert not torch.equal(after[name], before[name]), name
    turned = make(AugmentConfig(**OFF, turn_rad=0.03), camera=CAMERA)(before, 0)
    assert not torch.equal(turned["camera_front"], before["camera_front"])
    with pytest.raises(UserError, match="leave out --augment.sideways-m"):
        make(AugmentConfig(sideways_m=0.5), camera=CAMERA)
