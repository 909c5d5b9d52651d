"""Signs and scores of novelty along recorded driving."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_dynamics.novelty import Novelty, extend, follow
from wm_dynamics.novelty_fit import fit_novelty
from wm_dynamics.novelty_signs import Glimpse, signs
from wm_training.sampler import WindowSampler
from wm_training.store import Store

STEPS = 50  # of a window: 10 s, several times the longest running mean
WINDOWS = 600  # to fit on
CHUNK = 64  # windows in memory at once
SHARE = 4  # one episode in so many is for the threshold
IMAGINED_FROM = range(10, 35, 5)  # steps of a window from which the future is imagined
QUANTILES = (0.95, 0.99)  # where a planner's doubt ends and begins


def glimpses(model: WorldModel, batch: dict[str, torch.Tensor]) -> Iterator[Glimpse]:
    """The steps of windows (B, T, ...) as the model filters them.

    Args:
        model: the model.
        batch: as a :class:`WindowSampler` cuts it.
    """
    latent = model.initial(len(batch["action"]))
    for t in range(batch["action"].shape[1]):
        action, motion = batch["action"][:, t], batch["motion"][:, t]
        streams = {n: batch[n][:, t] for n in model.config.streams if n in batch}
        seen = model.observe_closely(latent, action, motion, streams)
        latent = seen.latent
        yield Glimpse(action, motion, streams, seen)


def window_signs(model: WorldModel, batch: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Group -> (B, T - 1, d) numbers with their running means, from the second step on."""
    kept: dict[str, list[np.ndarray]] = {}
    before: Glimpse | None = None
    for now in glimpses(model, batch):
        if before is not None:
            for name, numbers in signs(now, before, model.ego, model.config).items():
                rows = kept.setdefault(name, [])
                rows.append(extend(name, numbers, rows[-1] if rows else None, model.config.dt))
        before = now
    return {name: np.stack(rows, 1) for name, rows in kept.items()}


def window_scores(
    model: WorldModel, novelty: Novelty, batch: dict[str, torch.Tensor]
) -> np.ndarray:
    """(B, T) scores of windows."""
    trace, scores = None, []
    for now in glimpses(model, batch):
        trace, score = follow(novelty, trace, now, model.ego, model.config)
        scores.append(score)
    return np.stack(scores, 1)


def window_disagreement(model: WorldModel, batch: dict[str, torch.Tensor]) -> np.ndarray:
    """How much the ensemble disagrees about what was then done, from several steps of windows.

    Args:
        model: the model.
        batch: windows (B, T, ...); those steps count that have a whole horizon after them.

    Returns:
        (steps, B).
    """
    spreads, horizon = [], model.config.horizon
    for t, now in enumerate(glimpses(model, batch)):
        following = batch["action"][:, t + 1 : t + 1 + horizon]
        if t in IMAGINED_FROM and following.shape[1] == horizon:
            rollout = model.imagine(now.observed.latent, batch["state"][:, t], following)
            spreads.append(rollout.disagreement.numpy())
    return np.stack(spreads)


def novelty_windows(model: WorldModel, store: Store, steps: int = STEPS) -> WindowSampler:
    """Windows of ``steps`` within an episode, with all that the model sees.

    Raises:
        UserError: the store lacks a stream, or has no episode that long.
    """
    stride = round(model.config.dt / store.frame_dt)
    streams = model.config.streams
    return WindowSampler(store, steps, stride, min_steps=steps, pools={}, streams=streams)


def measure_novelty(
    model: WorldModel, store: Store, windows: int = WINDOWS, seed: int = 0
) -> Novelty:
    """What usual driving looks like to a model.

    Args:
        model: the model.
        store: driving in the towns it was trained in; one episode in ``SHARE`` is kept apart for
            the threshold.
        windows: of ``STEPS`` to look at.
        seed: of their choice.

    Raises:
        UserError: model and store do not fit, or there is too little driving.
    """
    sampler = novelty_windows(model, store)
    apart = sampler.episode[sampler.starts] % SHARE == 0
    rng = np.random.default_rng(seed)
    parts = []
    for use, share in ((~apart, 1 - 1 / SHARE), (apart, 1 / SHARE)):
        starts = sampler.starts[use]
        if not len(starts):
            raise UserError(f"novelty needs at least {SHARE} episodes of {STEPS} steps")
        chosen = rng.choice(starts, min(len(starts), round(windows * share)), replace=False)
        found, spreads = [], []
        for i in range(0, len(chosen), CHUNK):
            batch = sampler.windows(chosen[i : i + CHUNK])
            found.append(window_signs(model, batch))
            spreads.append(window_disagreement(model, batch).ravel())
        parts.append({name: np.concatenate([f[name] for f in found]) for name in found[0]})
    shapes, levels = parts
    usual = [float(q) for q in np.quantile(np.concatenate(spreads), QUANTILES)]
    facts = {"data_hash": store.hash, "seed": seed, "quantiles": {"disagreement": usual}}
    return fit_novelty(shapes, levels, model.config.dt, facts)
