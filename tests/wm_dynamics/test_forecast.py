"""Masks of imagined moments: the last seen ones, moved."""

from __future__ import annotations

import math

import pytest
import torch

from wm_dynamics.config import SIZES, ModelConfig
from wm_dynamics.forecast import Forecast, warp_masks
from wm_dynamics.model import WorldModel

METRES, ROW, SIZE = 0.5, 0.75, 64
TINY = SIZES["tiny"].model_copy(update={"forecast_channels": 8})


def mask_with(forward_m: float, left_m: float) -> torch.Tensor:
    """(1, 1, S, S): one 3 x 3 blob at a place in the frame of the vehicle."""
    mask = torch.zeros(1, 1, SIZE, SIZE)
    row = round(ROW * SIZE - forward_m / METRES - 0.5)
    column = round(SIZE / 2 - left_m / METRES - 0.5)
    mask[0, 0, row - 1 : row + 2, column - 1 : column + 2] = 1.0
    return mask


def centre_m(mask: torch.Tensor) -> tuple[float, float]:
    """Where the blob is now: metres forward and left."""
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    row = float((rows * mask).sum() / mask.sum()) + 0.5
    column = float((columns * mask).sum() / mask.sum()) + 0.5
    return (ROW * SIZE - row) * METRES, (SIZE / 2 - column) * METRES


@pytest.mark.parametrize(
    ("place", "motion"),
    [
        ((10.0, 0.0), (0.0, 0.0, 0.0)),
        ((10.0, 0.0), (4.0, 0.0, 0.0)),
        ((10.0, 3.0), (2.0, 1.0, 0.0)),
        ((10.0, 2.0), (0.0, 0.0, 0.3)),
        ((12.0, -3.0), (5.0, 1.0, -0.4)),
    ],
)
def test_what_stands_still_is_drawn_where_it_then_is(place, motion):
    moved = warp_masks(mask_with(*place), torch.tensor([motion]), METRES, ROW)
    x, y, yaw = motion
    dx, dy = centre_m(mask_with(*place))[0] - x, centre_m(mask_with(*place))[1] - y
    expected = (
        math.cos(yaw) * dx + math.sin(yaw) * dy,
        -math.sin(yaw) * dx + math.cos(yaw) * dy,
    )
    assert centre_m(moved[0, 0]) == pytest.approx(expected, abs=0.05)


def test_what_was_out_of_sight_is_said_to_be():
    moved = warp_masks(torch.zeros(1, 2, SIZE, SIZE), torch.tensor([[8.0, 0.0, 0.0]]), METRES, ROW)
    seen = moved[0, -1]
    assert seen[: round(8.0 / METRES)].max() == 0.0, "8 m of new road above"
    assert seen[round(8.0 / METRES) + 1 :].min() == 1.0


def test_an_untrained_forecast_draws_a_world_that_stands_still():
    model = WorldModel.untrained(TINY)
    seen = torch.zeros(1, 6, 64, 64)
    seen[:, 3, 20:24, 30:34] = 1.0
    drawn = list(model.draw([model.initial()] * 2, seen, torch.zeros(1, 2, 3)))
    assert len(drawn) == 2 and drawn[0].shape == (1, 6, 32, 32)
    for masks in drawn:
        assert masks[0, 3, 10:12, 15:17].min() > 0.9
        assert masks[0, 3].sum() == pytest.approx(4.0 + 1020 * 0.047, rel=0.05)


def test_what_was_out_of_sight_is_drawn_from_the_latent():
    model = WorldModel.untrained(TINY)
    forward = torch.tensor([[[16.0, 0.0, 0.0]]])  # 20 pixels, 10 of the drawn ones
    latent = model.initial()
    (drawn,) = model.draw([latent], torch.ones(1, 6, 64, 64), forward)
    decoded = model.decode(latent)
    torch.testing.assert_close(drawn[:, :, :9], decoded[:, :, :9], atol=1e-5, rtol=0.0)
    assert drawn[:, :, 11:].min() > 0.9


def test_it_learns_what_moves():
    """Blobs that go 2 pixels to the left in a step: after some training they are drawn there."""
    torch.manual_seed(0)
    config = ModelConfig(bev_channels=1, bev_size=32, forecast_channels=16)
    forecast = Forecast(4, config).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(forecast.parameters(), 1e-2)

    def example(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        now, then = torch.zeros(count, 1, 32, 32), torch.zeros(count, 1, 16, 16)
        for i, (row, column) in enumerate(torch.randint(4, 12, (count, 2)).tolist()):
            now[i, 0, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = 1.0
            then[i, 0, row, column - 2] = 1.0  # two steps later, at half resolution
        return now, then

    def draw(now: torch.Tensor) -> torch.Tensor:
        picture, features = forecast.begin(now), torch.zeros(len(now), 4)
        for _ in range(2):
            picture = forecast.step(picture, features)
        return forecast.look(picture, torch.zeros(len(now), 3), torch.zeros(len(now), 1, 16, 16))

    for _ in range(100):
        now, then = example(16)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(draw(now), then)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    now, then = example(32)
    drawn, there = draw(now) > 0, then > 0.5
    assert (drawn & there).sum() / (drawn | there).sum() > 0.7


def test_a_forecast_needs_masks_to_move():
    with pytest.raises(ValueError, match="forecast_channels"):
        ModelConfig(bev=False, forecast_channels=8)


def test_without_a_forecast_network_the_latent_is_decoded():
    model = WorldModel.untrained(SIZES["tiny"])
    latent = model.initial()
    (drawn,) = model.draw([latent], torch.zeros(1, 64, 64, dtype=torch.uint8), torch.zeros(1, 1, 3))
    torch.testing.assert_close(drawn, model.decode(latent))
