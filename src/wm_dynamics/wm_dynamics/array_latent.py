"""Beliefs and imagined futures as numpy arrays, for runtimes without torch.

The same fields and methods as in :mod:`wm_dynamics.rollout`, whose tensors these arrays replace.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ArrayLatent:
    """The model's belief at one moment, for B sequences, see ``rollout.LatentState``.

    Attributes:
        deter: (B, D) float32.
        stoch: (B, G) int64 classes or (B, Z) float32 means.
        memory: None, or what a transformer remembers, (B, layers, 2, heads, W, D / heads).
    """

    deter: np.ndarray
    stoch: np.ndarray
    memory: np.ndarray | None = None

    def expand(self, n: int) -> ArrayLatent:
        """One latent (B = 1) as ``n`` equal rows; a batch of ``n`` is returned as it is."""
        if len(self.deter) == n:
            return self
        memory = None if self.memory is None else self.memory.repeat(n, 0)
        return ArrayLatent(self.deter.repeat(n, 0), self.stoch.repeat(n, 0), memory)

    def to_arrays(self, classes: int) -> tuple[np.ndarray, np.ndarray]:
        """First sequence for a message, see ``rollout.LatentState.to_arrays``."""
        deter, stoch = self.deter[0], self.stoch[0]
        if classes:
            stoch = np.equal(stoch[:, None], np.arange(classes)).astype(np.float32).ravel()
        if self.memory is not None:
            deter = np.concatenate([deter, self.memory[0].ravel()])
        return deter, stoch

    @staticmethod
    def from_arrays(
        deter: np.ndarray, stoch: np.ndarray, classes: int, memory_shape: tuple[int, ...] = ()
    ) -> ArrayLatent:
        """Inverse of :meth:`to_arrays`; B is 1. memory_shape: ``ModelConfig.memory_shape``."""
        values, compact = (np.array(part, np.float32)[None] for part in (deter, stoch))
        if classes:
            compact = compact.reshape(1, -1, classes).argmax(-1)
        if not memory_shape:
            return ArrayLatent(values, compact)
        values, rest = np.split(values, [values.shape[1] - math.prod(memory_shape)], 1)
        return ArrayLatent(values, compact, rest.reshape(1, *memory_shape))


@dataclass(frozen=True)
class ArrayEnd:
    """Where N imagined futures end, see ``rollout.End``.

    Attributes:
        latent: belief after the last step; without a transformer's memory.
        ego_state: (N, 5) proprioception.
    """

    latent: ArrayLatent
    ego_state: np.ndarray


@dataclass(frozen=True)
class ArrayObserved:
    """What one filter step made of what was seen, see ``rollout.Observed``.

    Attributes:
        latent: the belief now.
        surprise: (1,) nats.
        disagreement: (1,).
        embedding: (1, E).
    """

    latent: ArrayLatent
    surprise: np.ndarray
    disagreement: np.ndarray
    embedding: np.ndarray


@dataclass(frozen=True)
class ArrayFutures:
    """N imagined futures of H steps, see ``rollout.Rollout``.

    Attributes:
        path: (N, H, 3) m, m, rad, ego frame.
        speed: (N, H) m/s.
        heads: name -> (N, H).
        disagreement: (N,).
        spreads: (N, S) at each checked step.
        end: the last imagined states, as the runtime has them; None where there are none.
    """

    path: np.ndarray
    speed: np.ndarray
    heads: dict[str, np.ndarray]
    disagreement: np.ndarray
    spreads: np.ndarray
    end: Any = None
