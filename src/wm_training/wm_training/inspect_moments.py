"""What a model believes and imagines at many moments of a store, beside what then happened."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from wm_dynamics.beliefs import beliefs
from wm_dynamics.bev import unpack_bev
from wm_dynamics.ego import SPEED_SCALE, integrate
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_dynamics.rollout import LatentState
from wm_perception.bev import CHANNELS
from wm_training.inspect_disagreement import head_disagreement, member_heads
from wm_training.sampler import WindowSampler
from wm_training.store import Store
from wm_training.validation import CONTEXT, filter_context

CHUNK = 128  # windows in memory at once
IOU_SECONDS = (1, 2)
LONGEST_S = 3.0  # how far ahead errors are given
VEHICLE = CHANNELS.index("vehicle")


@dataclass(frozen=True)
class Ego:
    """How the vehicle moved after N moments; H steps of the model, in the ego frame of the moment.

    Attributes:
        state: (N, 5) proprioception now, see :class:`wm_dynamics.ego.EgoNet`.
        actions: (N, H, 2) steer (left positive) and accel that were applied.
        path: (N, H, 3) x, y (m), yaw (rad) after each step.
        inside: (N, H) bool, the episode still goes on; what is beyond its end means nothing.
        dt: seconds per step.
    """

    state: np.ndarray
    actions: np.ndarray
    path: np.ndarray
    inside: np.ndarray
    dt: float

    def __getitem__(self, rows: np.ndarray) -> Ego:
        return Ego(
            self.state[rows], self.actions[rows], self.path[rows], self.inside[rows], self.dt
        )


@dataclass(frozen=True)
class Moments:
    """What was imagined at N moments, with the true actions, and what came.

    Attributes:
        start: (N,) first frame of each window in the store; the moment is ``CONTEXT`` steps on.
        episode: (N,) number of its episode.
        ego: the true motion.
        path: (N, H, 2) imagined positions, m.
        disagreement: (N,) of the ensemble about the heads, see ``head_disagreement``.
        latent_disagreement: (N,) of the ensemble about the stochastic state.
        latent: (N, F) the belief now.
        heads_now, heads: head name -> (N,), (N, H): perceived now, imagined.
        labels_now, labels: label name -> (N,), (N, H): true.
        overlap: (name, second) -> (N, 2) vehicle cells in both masks and in either of them; names
            "imagined" and "copy_last".
    """

    start: np.ndarray
    episode: np.ndarray
    ego: Ego
    path: np.ndarray
    disagreement: np.ndarray
    latent_disagreement: np.ndarray
    latent: np.ndarray
    heads_now: dict[str, np.ndarray]
    heads: dict[str, np.ndarray]
    labels_now: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    overlap: dict[tuple[str, int], np.ndarray]

    def __getitem__(self, rows: np.ndarray) -> Moments:
        """The moments of a mask or of row numbers."""

        def picked(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: part[rows] for key, part in value.items()}
            return value[rows]

        return Moments(*(picked(getattr(self, field.name)) for field in fields(self)))

    def step(self, second: float) -> int:
        """Index of the imagined step that ends ``second`` after the moment."""
        return round(second / self.ego.dt) - 1


def window_sampler(
    model: WorldModel, store: Store, full: bool = False, pictured: int | None = None
) -> WindowSampler:
    """Windows of ``CONTEXT`` steps and a horizon; the horizon may pass the episode's end.

    Args:
        model: gives horizon and step.
        store: the data.
        full: the whole window must be inside the episode.
        pictured: steps of a window that must have their pictures; None: all of them.

    Raises:
        UserError: the model does not fit the store, which may lack what it sees, or no episode is
            long enough.
    """
    config = model.config
    if config.horizon * config.dt < LONGEST_S - 1e-6:
        raise UserError(
            f"the model imagines {config.horizon * config.dt:.1f} s; {LONGEST_S:.0f} are needed"
        )
    stride = config.dt / store.frame_dt
    if stride < 1 or abs(stride - round(stride)) > 1e-6:
        raise UserError(
            f"the model's step of {config.dt} s is no multiple of the data's {store.frame_dt} s"
        )
    masks = config.bev or config.decode_bev
    if masks and store.bev[0].shape[1:] != (config.bev_size, config.bev_size):
        raise UserError(f"the model's masks have {config.bev_size} cells a side; the data's differ")
    length = CONTEXT + config.horizon
    least = length if full else CONTEXT + 1
    return WindowSampler(
        store, length, round(stride), min_steps=least, pools={}, streams=config.streams,
        pictured=pictured,
    )  # fmt: skip


def spread_out(count: int, wanted: int) -> np.ndarray:
    """At most ``wanted`` of the numbers below ``count``, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int))


def ego_windows(batch: dict[str, torch.Tensor], dt: float) -> Ego:
    """The motion part of windows of a :class:`WindowSampler`."""
    return Ego(
        batch["state"][:, CONTEXT - 1].numpy(),
        batch["action"][:, CONTEXT:].numpy(),
        integrate(batch["motion"][:, CONTEXT:]).numpy(),
        batch["mask"][:, CONTEXT:].numpy() > 0.5,
        dt,
    )


def measure(model: WorldModel, store: Store, windows: int) -> Moments:
    """Filter ``CONTEXT`` steps, then imagine with the true actions, at evenly spaced moments.

    Args:
        model: whatever it sees.
        store: driving it was not trained on.
        windows: how many moments at most.

    Raises:
        UserError: the model does not fit the store, or no episode is long enough.
    """
    sampler = window_sampler(model, store)
    return measure_at(model, sampler, sampler.starts[spread_out(len(sampler.starts), windows)])


def measure_at(model: WorldModel, sampler: WindowSampler, starts: np.ndarray) -> Moments:
    """The same for the windows of :func:`window_sampler` that begin at the frames ``starts``."""
    return _joined(
        [
            _measure_chunk(model, sampler, starts[i : i + CHUNK])
            for i in range(0, len(starts), CHUNK)
        ]
    )


def _joined(parts: list[Any]) -> Any:
    """Arrays end to end, tables and dataclasses of arrays field by field."""
    first = parts[0]
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)
    if isinstance(first, dict):
        return {key: _joined([part[key] for part in parts]) for key in first}
    if isinstance(first, (Ego, Moments)):
        names = [field.name for field in fields(first)]
        return replace(first, **{n: _joined([getattr(part, n) for part in parts]) for n in names})
    return first


@torch.inference_mode()
def _measure_chunk(model: WorldModel, sampler: WindowSampler, starts: np.ndarray) -> Moments:
    """The windows that begin at the frames ``starts``."""
    batch = sampler.windows(starts)
    latent = filter_context(model, batch)
    state, actions = batch["state"][:, CONTEXT - 1], batch["action"][:, CONTEXT:]
    rollout = model.imagine(latent, state, actions)
    labels, true = sampler.store.labels, batch["labels"].numpy()
    return Moments(
        starts,
        sampler.episode[starts],
        ego_windows(batch, model.config.dt),
        rollout.path[..., :2].numpy(),
        head_disagreement(member_heads(model, latent, state, actions)),
        rollout.disagreement.numpy(),
        torch.cat([latent.deter, model.rssm.latent.flat(latent.stoch)], -1).numpy(),
        {name: value.numpy() for name, value in model.perceive(latent).items()},
        {name: value.numpy() for name, value in rollout.heads.items()},
        {name: true[:, CONTEXT - 1, i] for i, name in enumerate(labels)},
        {name: true[:, CONTEXT:, i] for i, name in enumerate(labels)},
        _overlaps(model, latent, rollout.path, batch),
    )


def _overlaps(
    model: WorldModel, latent: LatentState, path: torch.Tensor, batch: dict[str, torch.Tensor]
) -> dict[tuple[str, int], np.ndarray]:
    """Vehicle cells shared with the truth, see ``Moments.overlap``; empty without a decoder."""
    if model.decoder is None:
        return {}
    state, actions = batch["state"][:, CONTEXT - 1], batch["action"][:, CONTEXT:]
    wanted = {round(s / model.config.dt) - 1: s for s in IOU_SECONDS}
    seen = batch["bev"][:, CONTEXT - 1]
    last = _vehicles(seen)
    overlaps = {}
    ahead = model.draw(beliefs(model, latent, state, actions), seen, path)
    for t, drawn in enumerate(ahead):
        if t in wanted:
            truth = _vehicles(batch["bev"][:, CONTEXT + t])
            imagined = drawn[:, VEHICLE] > 0.5
            overlaps["imagined", wanted[t]] = _overlap(imagined, truth)
            overlaps["copy_last", wanted[t]] = _overlap(last, truth)
    return overlaps


def _vehicles(packed: torch.Tensor) -> torch.Tensor:
    """(B, S, S) bit masks -> (B, S/2, S/2) bool: vehicles, at the resolution that is decoded."""
    return F.max_pool2d(unpack_bev(packed, len(CHANNELS))[:, VEHICLE], 2) > 0.5


def _overlap(one: torch.Tensor, other: torch.Tensor) -> np.ndarray:
    """(B, 2) cells in both, cells in either."""
    return torch.stack([(one & other).sum((1, 2)), (one | other).sum((1, 2))], 1).numpy()


def speeds(ego: Ego) -> np.ndarray:
    """(N,) speed now, m/s."""
    return ego.state[:, 0] * SPEED_SCALE
