"""The C++ engine behind the interface of ``TorchBackend``: it imagines, numpy filters."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from wm_dynamics.array_latent import ArrayEnd, ArrayFutures, ArrayLatent, ArrayObserved
from wm_dynamics.backend_array import ArrayBackend, row
from wm_dynamics.engine import Engine
from wm_dynamics.heads import HEADS
from wm_dynamics.reference import Futures
from wm_dynamics.reference_filter import Filter
from wm_dynamics.runtime_names import Precision
from wm_dynamics.self_test import check_backend
from wm_dynamics.weights import Weights


class CppBackend(ArrayBackend):
    """A world model whose futures come from the engine.

    Args:
        weights: of the model.
        precision: of the engine's large products.
        threads: of the engine.

    Raises:
        UserError: there is no engine, it cannot run this model or precision, or its numbers are
            not those of the specification.
    """

    def __init__(self, weights: Weights, precision: Precision = "fp32", threads: int = 1):
        super().__init__(weights.config, weights.hash, weights.novelty)
        self._engine = Engine(weights, precision, threads)
        self._filter = Filter(weights)
        self.name = f"cpp ({self._engine.description})"
        check_backend(self, weights, exact=precision == "fp32", int8=precision == "int8")

    def initial(self) -> ArrayLatent:
        """See :class:`ArrayBackend`."""
        return self._filter.initial()

    def predict(
        self, latent: ArrayLatent, action: np.ndarray, motion: np.ndarray, state: np.ndarray
    ) -> ArrayLatent:
        """See :class:`ArrayBackend`."""
        return self._filter.predict(latent, row(action), row(motion), row(state))

    def expected(self, state: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`ArrayBackend`."""
        return self._filter.expected(state, action)

    def imagine(
        self, latent: ArrayLatent, ego_state: np.ndarray, actions: np.ndarray
    ) -> ArrayFutures:
        """See :class:`ArrayBackend`."""
        return _imagined(self._engine.imagine(latent.deter, latent.stoch, ego_state, actions))

    def imagine_members(
        self, latent: ArrayLatent, ego_state: np.ndarray, actions: np.ndarray
    ) -> ArrayFutures:
        """See :class:`ArrayBackend`."""
        return _imagined(self._engine.imagine(latent.deter, latent.stoch, ego_state, actions, True))

    def perceive(self, latent: ArrayLatent) -> dict[str, float]:
        """See :class:`ArrayBackend`."""
        values = self._engine.heads(latent.deter, latent.stoch)
        return {head.name: float(value) for head, value in zip(HEADS, values, strict=True)}

    def _look(
        self,
        latent: ArrayLatent,
        action: np.ndarray,
        motion: np.ndarray,
        streams: Mapping[str, np.ndarray],
    ) -> ArrayObserved:
        return self._filter.observe(latent, action, motion, streams)


def _imagined(futures: Futures) -> ArrayFutures:
    return ArrayFutures(
        path=futures.path,
        speed=futures.speed,
        heads={head.name: futures.heads[..., i] for i, head in enumerate(HEADS)},
        disagreement=futures.disagreement,
        spreads=futures.spreads,
        end=ArrayEnd(ArrayLatent(futures.deter, futures.stoch), futures.ego_state),
    )
