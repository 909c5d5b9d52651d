"""What all runtimes without torch have in common: beliefs are numpy arrays, and how they filter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np

from wm_dynamics.array_latent import ArrayFutures, ArrayLatent, ArrayObserved
from wm_dynamics.config import ModelConfig
from wm_dynamics.novelty import Novelty, Trace, follow
from wm_dynamics.novelty_signs import Glimpse
from wm_dynamics.seen import SensorSight, Sight


class ArrayBackend(ABC):
    """A world model as perception and planning want it: numpy in, numpy out.

    Every method computes what the one of that name in :class:`wm_dynamics.backend.TorchBackend`
    does.

    Args:
        config: of the model.
        model_hash: see :attr:`wm_dynamics.weights.Weights.hash`.
        novelty: of the model, None where nobody has measured it.

    Attributes:
        name: of what imagines, for people.
        notice: why it is not what was asked for; empty when it is.
    """

    name = ""
    notice = ""

    def __init__(self, config: ModelConfig, model_hash: str, novelty: Novelty | None):
        self.config, self.hash, self.novelty = config, model_hash, novelty
        self.dt: float = config.dt
        self.classes: int = config.stoch_classes
        self.members: int = config.ensemble

    def belief(self, deter: np.ndarray, stoch: np.ndarray) -> ArrayLatent:
        """The belief in a message, see :meth:`ArrayLatent.to_arrays`."""
        return ArrayLatent.from_arrays(deter, stoch, self.classes, self.config.memory_shape)

    def observe(
        self,
        latent: ArrayLatent,
        action: np.ndarray,
        motion: np.ndarray,
        sight: Sight | SensorSight,
    ) -> tuple[ArrayLatent, float]:
        """One filter step: belief and surprise in nats."""
        seen = self._look(latent, row(action), row(motion), _streams(sight))
        return seen.latent, float(seen.surprise[0])

    def observe_judged(
        self,
        latent: ArrayLatent,
        trace: Trace | None,
        action: np.ndarray,
        motion: np.ndarray,
        sight: Sight | SensorSight,
    ) -> tuple[ArrayLatent, float, Trace, float]:
        """One filter step: belief, surprise, trace and score of novelty."""
        assert self.novelty is not None, "asked of models that have one"
        moved, done, streams = row(action), row(motion), _streams(sight)
        seen = self._look(latent, moved, done, streams)
        glimpse = Glimpse(moved, done, streams, seen)
        trace, score = follow(self.novelty, trace, glimpse, self, self.config)
        return seen.latent, float(seen.surprise[0]), trace, float(score[0])

    @abstractmethod
    def _look(
        self,
        latent: ArrayLatent,
        action: np.ndarray,
        motion: np.ndarray,
        streams: Mapping[str, np.ndarray],
    ) -> ArrayObserved:
        """One filter step; action (1, 2), motion (1, 3), raw streams (1, ...)."""

    @abstractmethod
    def initial(self) -> ArrayLatent:
        """The belief before anything was seen."""

    @abstractmethod
    def predict(
        self, latent: ArrayLatent, action: np.ndarray, motion: np.ndarray, state: np.ndarray
    ) -> ArrayLatent:
        """One filter step without a look at the world."""

    @abstractmethod
    def expected(self, state: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How the vehicle should move: state (N, 5), action (N, 2) -> next state, motion."""

    @abstractmethod
    def perceive(self, latent: ArrayLatent) -> dict[str, float]:
        """The heads at the belief itself."""

    @abstractmethod
    def imagine(
        self, latent: ArrayLatent, ego_state: np.ndarray, actions: np.ndarray
    ) -> ArrayFutures:
        """Roll ``actions`` (N, H, 2) out from ``latent`` and ``ego_state`` (5,)."""

    @abstractmethod
    def imagine_members(
        self, latent: ArrayLatent, ego_state: np.ndarray, actions: np.ndarray
    ) -> ArrayFutures:
        """As ``imagine``, by each of K members alone: K * N futures, the first member's first."""


def row(values: np.ndarray) -> np.ndarray:
    """(n,) -> (1, n) float32."""
    return np.asarray(values, np.float32)[None]


def _streams(sight: Sight | SensorSight) -> dict[str, np.ndarray]:
    """Raw streams of one observation, each (1, ...)."""
    sensors = sight.sensors if isinstance(sight, SensorSight) else {}
    rows = {name: np.asarray(value)[None] for name, value in sensors.items()}
    bev = np.asarray(sight.bev)[None]
    return {**rows, "bev": bev, "state": row(sight.state), "route": row(sight.route)}
