"""What a run measures on held-out data: losses, errors of the imagination, pictures."""

from __future__ import annotations

import numpy as np
import torch

from wm_dynamics.config import ModelConfig
from wm_dynamics.model import WorldModel
from wm_training.losses import world_model_loss
from wm_training.sampler import WindowSampler
from wm_training.store import Store
from wm_training.strips import strips
from wm_training.train_config import TrainConfig
from wm_training.validation import CONTEXT, validate, validation_sampler

BATCH, BATCHES = 16, 4  # windows the losses are measured on
SHOWN = 3  # windows in the pictures


class HeldOut:
    """Held-out data; the same windows every time, so that numbers differ by the weights only.

    Args:
        store: the data.
        model: configuration of the model.
        config: settings of the run.
        stride: frames per model step.

    Raises:
        UserError: no episode is long enough.
    """

    def __init__(self, store: Store, model: ModelConfig, config: TrainConfig, stride: int):
        self.store, self.config, self.stride = store, config, stride
        self.shown = validation_sampler(store, model, stride, seed=1).batch(SHOWN)
        sampler = WindowSampler(store, config.length, stride, seed=0, streams=model.streams)
        self.batches = [sampler.batch(BATCH) for _ in range(BATCHES)]

    def measure(self, model: WorldModel) -> dict[str, float]:
        """Losses as in training, and the metrics of :func:`~wm_training.validation.validate`."""
        return self.losses(model) | validate(model, self.store, stride=self.stride)

    @torch.no_grad()
    def losses(self, model: WorldModel) -> dict[str, float]:
        """Mean of every part of the loss; the global random state is left alone."""
        device = next(model.parameters()).device
        columns = {name: i for i, name in enumerate(self.store.labels)}
        sums: dict[str, float] = {}
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(0)
            for batch in self.batches:
                on_device = {key: value.to(device) for key, value in batch.items()}
                _, parts = world_model_loss(model, on_device, columns, self.config.loss)
                for name, value in parts.items():
                    sums[name] = sums.get(name, 0.0) + float(value) / BATCHES
        return {name: round(value, 6) for name, value in sums.items()}

    def pictures(self, model: WorldModel) -> dict[str, np.ndarray]:
        """Strips of truth, reconstruction and imagination, see :mod:`wm_training.strips`."""
        device = next(model.parameters()).device
        batch = {key: value.to(device) for key, value in self.shown.items()}
        return strips(model, batch, CONTEXT)
