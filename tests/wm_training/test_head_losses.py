"""How wrong the heads are, over a batch and in each window."""

from __future__ import annotations

import pytest
import torch

from wm_dynamics.heads import HEADS, LABELS
from wm_dynamics.model import WorldModel
from wm_dynamics.variants import variant
from wm_training.head_losses import head_losses, weighted_sum, window_losses
from wm_training.losses import world_model_loss
from wm_training.sampler import WindowSampler
from wm_training.store import Store
from wm_training.train_config import LossConfig

COLUMNS = {name: i for i, name in enumerate(LABELS)}


def random_heads(windows: int, steps: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Outputs, labels where everything is there, and a full mask."""
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(windows, steps, len(HEADS), generator=generator)
    labels = torch.rand(windows, steps, len(LABELS), generator=generator)
    for head in HEADS:
        if head.presence is not None:
            labels[..., COLUMNS[head.presence]] = 1.0
    return raw, labels, torch.ones(windows, steps)


def test_the_mean_of_the_windows_is_the_loss_of_the_batch():
    raw, labels, mask = random_heads(5, 8)
    each = window_losses(raw, labels, mask, COLUMNS, LossConfig())
    whole = weighted_sum(head_losses(raw, labels, mask, COLUMNS), LossConfig())
    assert each.shape == (5,) and len(set(each.tolist())) == 5
    assert each.mean().item() == pytest.approx(whole.item(), rel=1e-5)


def test_a_windows_loss_is_its_own_whatever_it_weighs():
    raw, labels, mask = random_heads(4, 8)
    each = window_losses(raw, labels, mask, COLUMNS, LossConfig())
    weighed = mask * torch.tensor([0.01, 1.0, 7.0, 0.0])[:, None]
    again = window_losses(raw, labels, weighed, COLUMNS, LossConfig())
    torch.testing.assert_close(again[:3], each[:3])
    assert again[3] == 0.0
    mask[0, 3:] = 0.0
    short = window_losses(raw, labels, mask, COLUMNS, LossConfig())
    alone = window_losses(raw[:1, :3], labels[:1, :3], mask[:1, :3], COLUMNS, LossConfig())
    assert short[0] == alone[0] and torch.equal(short[1:], each[1:])


def test_the_training_loss_tells_them_where_windows_are_weighed(tmp_path, write_store):
    store = Store.open(write_store(tmp_path, 2))
    model = WorldModel.untrained(variant("tiny"))
    batch = WindowSampler(store, 24, 2).batch(3)
    _, parts = world_model_loss(model, batch, COLUMNS, LossConfig())
    assert "window_loss" not in parts
    batch["weight"] = torch.ones(3)
    batch["labels"][0, :, COLUMNS["lateral"]] = 50.0
    _, parts = world_model_loss(model, batch, COLUMNS, LossConfig())
    losses = parts["window_loss"]
    assert losses.shape == (3,) and not losses.requires_grad
    assert losses[0] > losses[1:].max() + 50.0
