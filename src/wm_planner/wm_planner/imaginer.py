"""What the planner needs of a world model: numpy arrays in, numpy arrays out.

Symbols: N sequences, H steps, K members of the ensemble, S checked steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np


class Imagined(Protocol):
    """Imagined futures: path (N, H, 3), speed (N, H), heads (N, H) each, disagreement (N,).

    May have ``spreads`` (N, S), disagreement at each checked step, and ``end``, the last states.
    """

    @property
    def path(self) -> np.ndarray:
        """(N, H, 3) x, y, yaw."""

    @property
    def speed(self) -> np.ndarray:
        """(N, H) m/s."""

    @property
    def heads(self) -> dict[str, np.ndarray]:
        """(N, H) each."""

    @property
    def disagreement(self) -> np.ndarray:
        """(N,)."""


class Imaginer(Protocol):
    """The least that can be planned with."""

    dt: float

    def imagine(self, latent: Any, ego_state: np.ndarray, actions: np.ndarray) -> Imagined:
        """Roll ``actions`` (N, H, 2) out from one latent and ego state (5,)."""
        ...


@runtime_checkable
class EnsembleImaginer(Protocol):
    """One whose members can be asked one by one."""

    members: int

    def imagine_members(self, latent: Any, ego_state: np.ndarray, actions: np.ndarray) -> Imagined:
        """(N, H, 2) -> K * N futures, those of the first member first."""
        ...


@runtime_checkable
class PerceivingImaginer(Protocol):
    """One that says what it sees now."""

    def perceive(self, latent: Any) -> Mapping[str, float]:
        """Heads at the present belief."""
        ...
