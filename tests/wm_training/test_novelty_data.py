"""How much the ensemble disagrees about what was then done, along recorded windows."""

from __future__ import annotations

import numpy as np
import torch

from wm_dynamics.config import SIZES
from wm_dynamics.model import WorldModel
from wm_dynamics.synthetic import synthetic_window
from wm_training.novelty_data import IMAGINED_FROM, glimpses, window_disagreement

CONFIG = SIZES["tiny"].model_copy(update={"ensemble": 3})


def test_it_is_that_of_the_future_imagined_from_each_step_with_a_horizon_after_it():
    model = WorldModel.untrained(CONFIG, seed=2)
    batch = synthetic_window(CONFIG, 3, 32)
    found = window_disagreement(model, batch)
    starts = [t for t in IMAGINED_FROM if t + CONFIG.horizon < 32]
    assert starts == [10, 15] and found.shape == (2, 3)
    latents = [now.observed.latent for now in glimpses(model, batch)]
    actions = batch["action"][:, 16 : 16 + CONFIG.horizon]
    rollout = model.imagine(latents[15], batch["state"][:, 15], actions)
    np.testing.assert_array_equal(found[1], rollout.disagreement.numpy())
    assert (found > 0.0).all() and torch.isfinite(rollout.disagreement).all()
