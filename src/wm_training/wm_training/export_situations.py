"""Moments of recorded driving as a model believes them, to calibrate an int8 export on."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from wm_dynamics.checkpoint import load_checkpoint
from wm_dynamics.errors import UserError
from wm_dynamics.export.int8 import Situations
from wm_dynamics.model import WorldModel
from wm_training.from_bag import BuildOptions, build_store
from wm_training.novelty_data import glimpses, novelty_windows
from wm_training.store import Store
from wm_training.store_manifest import MANIFEST

WARM_STEPS = 10  # filtered before a moment counts
TRIED = 0.3  # standard deviation of what a planner tries around the actions that were taken


def read_situations(
    model_dir: Path, data: Sequence[Path], count: int = 64, seed: int = 0
) -> Situations:
    """``count`` moments of the driving in stores or bags.

    Args:
        model_dir: of the model.
        data: training stores or recordings, of one kind.
        count: S.
        seed: of their choice.

    Raises:
        UserError: neither stores nor recordings, or nothing in them that fits the model.
    """
    if not data:
        raise UserError("nothing to calibrate on; give stores or bags")
    model = load_checkpoint(model_dir)
    if all((path / MANIFEST).is_file() for path in data):
        return _situations(model, Store.open(*data), count, seed)
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "store"
        build_store(data, built, BuildOptions(), Console(stderr=True))
        return _situations(model, Store.open(built), count, seed)


def _situations(model: WorldModel, store: Store, count: int, seed: int) -> Situations:
    config = model.config
    sampler = novelty_windows(model, store, WARM_STEPS + config.horizon)
    rng = np.random.default_rng(seed)
    batch = sampler.windows(rng.choice(sampler.starts, count))
    warm = {name: value[:, :WARM_STEPS] for name, value in batch.items()}
    *_, last = glimpses(model, warm)
    latent, taken = last.observed.latent, batch["action"][:, WARM_STEPS:].numpy()
    tried = np.clip(taken + rng.normal(0.0, TRIED, taken.shape), -1.0, 1.0)
    return Situations(
        latent.deter.numpy(),
        latent.stoch.numpy(),
        None if latent.memory is None else latent.memory.numpy(),
        batch["state"][:, WARM_STEPS - 1].numpy(),
        tried.astype(np.float32),
    )
