"""A planned rollout with its numbers: filled in, run by whoever has the device, and read again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from wm_dynamics.array_latent import ArrayEnd, ArrayFutures, ArrayLatent
from wm_dynamics.heads import HEADS
from wm_dynamics.reference import integrate
from wm_dynamics.scales import SPEED_SCALE
from wm_dynamics.tensorrt_plan import RolloutPlan


class Runner(Protocol):
    """Has the memory of one plan, and runs it.

    Attributes:
        host: the arena's mirror, bytes.
    """

    host: np.ndarray

    def run(self) -> None:
        """Copy in, launch all, copy out; returns when that is done."""


class Program:
    """One rollout of one shape, run again and again.

    Args:
        plan: what lies where.
        runner: of this plan.
    """

    def __init__(self, plan: RolloutPlan, runner: Runner):
        self._plan, self._run = plan, runner.run
        self._views = {name: b.views(runner.host) for name, b in plan.buffers.items()}
        for view, member in zip(self._views["member"], plan.members.ravel(), strict=True):
            view[...] = member

    def __call__(
        self, latent: ArrayLatent, ego_state: np.ndarray, actions: np.ndarray
    ) -> ArrayFutures:
        """Imagine.

        Args:
            latent: belief now, B = 1 or N.
            ego_state: (5,) or (N, 5).
            actions: (N, H, 2).
        """
        views = self._views
        views["deter"][0][...] = latent.deter
        views["stoch"][0][...] = latent.stoch
        if latent.memory is not None:
            views["memory"][0][...] = latent.memory
        views["ego_state"][0][...] = ego_state
        for t, view in enumerate(views["action"]):
            view[...] = actions[:, t]
        self._run()
        states, motions, heads = (
            self._along(name) for name in ("next_ego_state", "motion", "heads")
        )
        rows = self._plan.chunks * self._plan.rows
        spreads = np.array(views["spread"]).T if self._plan.checked else None
        last = ArrayLatent(np.concatenate(views["last_deter"]), np.concatenate(views["last_stoch"]))
        return ArrayFutures(
            path=integrate(motions),
            speed=np.maximum(states[..., 0] * np.float32(SPEED_SCALE), 0.0),
            heads={head.name: heads[..., i] for i, head in enumerate(HEADS)},
            disagreement=np.zeros(rows, np.float32) if spreads is None else spreads.mean(1),
            spreads=np.zeros((rows, 0), np.float32) if spreads is None else spreads,
            end=ArrayEnd(last, states[:, -1]),
        )

    def _along(self, name: str) -> np.ndarray:
        """(chunks * N, H, ...) of a buffer with a block for each step and chunk; a copy."""
        plan = self._plan
        blocks = np.array(self._views[name])  # (H * chunks, N, ...)
        apart = blocks.reshape(plan.horizon, plan.chunks, *blocks.shape[1:])
        return np.moveaxis(apart, 0, 2).reshape(-1, plan.horizon, *blocks.shape[2:])


class Programs:
    """One program per shape, made when a shape is first asked for.

    Args:
        plan: lays out a shape: (N, H, every member) -> plan.
        runner: of a plan.
    """

    def __init__(
        self,
        plan: Callable[[int, int, bool], RolloutPlan],
        runner: Callable[[RolloutPlan], Runner],
    ):
        self._plan, self._runner = plan, runner
        self._made: dict[tuple[int, int, bool], Program] = {}

    def __call__(self, rows: int, horizon: int, every_member: bool) -> Program:
        """The program of a shape."""
        key = (rows, horizon, every_member)
        if key not in self._made:
            plan = self._plan(*key)
            self._made[key] = Program(plan, self._runner(plan))
        return self._made[key]
