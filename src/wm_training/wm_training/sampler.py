"""Windows of model steps cut from a store: composition of frames, and which windows to take.

The model steps ``stride`` frames at a time. A window's step at frame t stands for the interval
(t - stride, t]: its observation is frame t's, its action the mean of the commands, its motion the
composition of the motions, its progress and reward their sum, its events their maximum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from wm_dynamics.errors import UserError
from wm_training.store import CAMERA, Store
from wm_training.store_columns import LIDAR

Kind = Literal["mixture", "uniform", "prioritised", "event"]  # how windows are chosen
SUMMED = ("progress", "reward")
ANY = ("collision", "red_violation", "near", "off_road")
ALL = ("cont",)
CLOSE_M = 25.0  # a leader or a stop line nearer than this makes a window worth learning from

# Share of windows by what happens in them; the rest is uniform over all windows.
POOLS: dict[str, float] = {
    "danger": 0.2,  # contact, near miss or red light run
    "off_road": 0.1,
    "leader": 0.2,
    "stop": 0.15,
}


def compose_motion(motions: np.ndarray) -> np.ndarray:
    """(..., S, 3) consecutive motions -> (..., 3) the motion of all S together (SE(2))."""
    total = np.array(motions[..., 0, :])
    for i in range(1, motions.shape[-2]):
        cos, sin = np.cos(total[..., 2]), np.sin(total[..., 2])
        dx, dy, dyaw = np.moveaxis(motions[..., i, :], -1, 0)
        total = np.stack(
            [
                total[..., 0] + cos * dx - sin * dy,
                total[..., 1] + sin * dx + cos * dy,
                total[..., 2] + dyaw,
            ],
            -1,
        )
    return total


def stride_columns(store: Store, stride: int) -> dict[str, np.ndarray]:
    """Per frame t, what happened in (t - stride, t]: "action", "motion", "labels".

    The first ``stride - 1`` frames of an episode have no full interval; windows skip them.
    """
    frames = store.frames
    back = np.maximum(np.arange(frames)[:, None] - np.arange(stride - 1, -1, -1), 0)  # (F, S)
    source = store.columns["labels"]
    labels = source.copy()
    for name in SUMMED + ANY + ALL:
        column = store.labels.index(name)
        reduce = np.sum if name in SUMMED else np.max if name in ANY else np.min
        labels[:, column] = reduce(source[back, column], axis=1)
    return {
        "action": store.columns["command"][back].mean(1),
        "motion": compose_motion(store.columns["motion"][back]).astype(np.float32),
        "labels": labels,
    }


@dataclass(frozen=True)
class Draw:
    """Windows chosen, not yet read.

    Attributes:
        starts: (B,) first frames.
        weight: (B,) float32 importance of each window; None where all count the same.
    """

    starts: np.ndarray
    weight: np.ndarray | None = None

    def share(self, rank: int, ranks: int) -> Draw:
        """Share ``rank`` of ``ranks`` equal ones, in order."""
        first, last = (len(self.starts) * r // ranks for r in (rank, rank + 1))
        weight = None if self.weight is None else self.weight[first:last]
        return Draw(self.starts[first:last], weight)


class WindowSampler:
    """Draws batches of windows with a fixed mixture of events; seeded and resumable.

    Args:
        store: the data.
        length: T, model steps per window.
        stride: frames per model step.
        seed: of the generator.
        min_steps: a window may run past the end of its episode if this many steps are inside;
            the rest is masked. So the end of an episode (often a collision) can be met early in a
            window, with little time to see it coming.
        pools: share of windows per event pool, see :data:`POOLS`.
        streams: cameras and lidar the windows are to hold as well; "bev", "state" and "route" are
            always there and may be named.
        pictured: steps at the beginning of a window that must have their pictures, else it is not
            drawn; None: all of them.

    Raises:
        UserError: the store lacks a stream, no episode is long enough, or no window has all its
            pictures.
    """

    def __init__(
        self,
        store: Store,
        length: int,
        stride: int,
        seed: int = 0,
        min_steps: int = 10,
        pools: Mapping[str, float] = POOLS,
        streams: Sequence[str] = (),
        pictured: int | None = None,
    ):
        self.store, self.length, self.stride = store, length, stride
        self.rng = np.random.default_rng(seed)
        self.columns = stride_columns(store, stride)
        self.last = np.repeat(store.starts[1:] - 1, np.diff(store.starts))  # (F,) end of episode
        self.episode = np.repeat(np.arange(len(store.bev)), np.diff(store.starts))
        offset = np.arange(store.frames) - store.starts[self.episode]
        inside = np.arange(store.frames) + (min(min_steps, length) - 1) * stride <= self.last
        self.starts = np.flatnonzero(inside & (offset >= stride - 1))
        if not len(self.starts):
            raise UserError(
                f"no episode is long enough: need {(min_steps - 1) * stride + stride} frames, the "
                f"longest has {int(np.diff(store.starts).max())}"
            )
        self.pictures = {
            name: store.pictures(name) for name in streams if name.startswith((CAMERA, LIDAR))
        }
        self.ego_starts = self.starts  # the ego net learns without pictures
        self.starts = self._with_pictures(length if pictured is None else pictured)
        events = self._events()
        self.pools = [self.starts] + [self._starts_with(events[name]) for name in pools]
        shares = np.array([1.0 - sum(pools.values()), *pools.values()])
        shares *= [len(pool) > 0 for pool in self.pools]
        self.shares = shares / shares.sum()

    def _with_pictures(self, steps: int) -> np.ndarray:
        """Starts of the windows whose first steps have a picture of every camera wanted."""
        starts, seen = self.starts, np.ones(self.store.frames, bool)
        for name in self.pictures:
            if name.startswith(CAMERA):
                seen &= ~np.isnan(self.store.ages[name.removeprefix(CAMERA)])
        for step in range(steps):
            starts = starts[seen[np.minimum(starts + step * self.stride, self.last[starts])]]
        if not len(starts):
            advice = "check the cameras' topics with `wm dataset build`, or train without them"
            if any("fork_frame" in info for info in self.store.infos):
                advice = (
                    "what came after a fork was not watched: `wm inspect --counterfactual` "
                    "measures with such situations, to learn from collect them with --camera-after"
                )
            raise UserError(
                f"no window of {self.length} steps has a picture of {', '.join(self.pictures)} at "
                f"its first {steps}: {int((~seen).sum())} of {len(seen)} frames lack one; {advice}"
            )
        return starts

    def _events(self) -> dict[str, np.ndarray]:
        """(F,) bool per pool: something of it happens at this frame."""
        label = self.store.label
        return {
            "danger": (label("collision") + label("near") + label("red_violation")) > 0,
            "off_road": label("off_road") > 0,
            "leader": (label("leader_present") > 0) & (label("leader_gap") < CLOSE_M),
            "stop": (label("stop_present") > 0) & (label("stop_distance") < CLOSE_M),
        }

    def _starts_with(self, event: np.ndarray) -> np.ndarray:
        """Starts of the windows in which ``event`` happens."""
        count = np.concatenate([[0], np.cumsum(event)])
        end = np.minimum(self.starts + (self.length - 1) * self.stride, self.last[self.starts])
        return self.starts[count[end + 1] > count[self.starts]]

    def draw(self, size: int, progress: float = 0.0) -> Draw:
        """Choose ``size`` windows; ``progress`` is the share of the run that is over, 0 to 1."""
        kinds = self.rng.choice(len(self.pools), size, p=self.shares)
        starts = [self.pools[k][self.rng.integers(len(self.pools[k]))] for k in kinds]
        return Draw(np.array(starts))

    def batch(self, size: int, progress: float = 0.0) -> dict[str, torch.Tensor]:
        """Draw and read ``size`` windows, see :meth:`read`."""
        return self.read(self.draw(size, progress))

    def read(self, draw: Draw) -> dict[str, torch.Tensor]:
        """The windows drawn.

        Returns:
            "bev" (B, T, S, S) uint8 bitmask, "state" (B, T, 5), "route" (B, T, R), "action"
            (B, T, 2), "motion" (B, T, 3), "labels" (B, T, L), "mask" (B, T) 1 inside the episode,
            "camera_<name>" (B, T, h, w, 3) uint8 and "lidar_bev" (B, T, C, S, S) if asked for,
            "weight" (B,) if the draw has one. Action and motion of the first step are zero: what
            led there is unknown, as for a filter that has just been reset.
        """
        batch = self.windows(draw.starts)
        if draw.weight is not None:
            batch["weight"] = torch.from_numpy(draw.weight)
        return batch

    def update(self, draw: Draw, losses: torch.Tensor) -> None:
        """Learn from the windows' losses (B,) what to draw next; a fixed mixture does not."""

    def windows(self, starts: np.ndarray) -> dict[str, torch.Tensor]:
        """The windows that begin at the frames ``starts`` (B,)."""
        index = starts[:, None] + np.arange(self.length) * self.stride
        last = self.last[starts][:, None]
        mask = index <= last
        index = np.minimum(index, last)
        episodes = self.episode[starts]
        rows = index - self.store.starts[episodes][:, None]
        arrays = {
            name: np.stack([parts[e][r] for e, r in zip(episodes, rows, strict=True)])
            for name, parts in {"bev": self.store.bev, **self.pictures}.items()
        }
        arrays |= {
            "state": self.store.columns["state"][index],
            "route": self.store.columns["route"][index],
            "action": self.columns["action"][index],
            "motion": self.columns["motion"][index],
            "labels": self.columns["labels"][index],
            "mask": mask.astype(np.float32),
        }
        arrays["action"][:, 0] = 0.0
        arrays["motion"][:, 0] = 0.0
        return {key: torch.from_numpy(value) for key, value in arrays.items()}

    def ego_batch(self, size: int, steps: int) -> dict[str, torch.Tensor]:
        """Uniform windows of ``steps`` + 1 model steps fully inside an episode, without images."""
        starts = self.ego_starts[
            self.ego_starts + steps * self.stride <= self.last[self.ego_starts]
        ]
        index = self.rng.choice(starts, size)[:, None] + np.arange(steps + 1) * self.stride
        arrays = {
            "state": self.store.columns["state"][index],
            "action": self.columns["action"][index],
            "motion": self.columns["motion"][index],
        }
        return {key: torch.from_numpy(value) for key, value in arrays.items()}

    def state(self) -> dict:
        """JSON-able state of the generator."""
        return dict(self.rng.bit_generator.state)

    def restore(self, state: dict) -> None:
        """Continue exactly where :meth:`state` was taken."""
        self.rng.bit_generator.state = state


def make_sampler(
    kind: Kind,
    store: Store,
    length: int,
    stride: int,
    seed: int = 0,
    streams: Sequence[str] = (),
) -> WindowSampler:
    """The sampler of training windows of a kind, see docs/training.md.

    Args:
        kind: "mixture" is :class:`WindowSampler`, the others are of :mod:`wm_training.replay`.
        store, length, stride, seed, streams: as :class:`WindowSampler` has them.

    Raises:
        UserError: the store lacks a stream, no episode is long enough, or no window has all its
            pictures.
    """
    if kind == "mixture":
        return WindowSampler(store, length, stride, seed, streams=streams)
    from wm_training.replay import ReplaySampler  # torchrl takes seconds to import

    return ReplaySampler(kind, store, length, stride, seed, streams)
