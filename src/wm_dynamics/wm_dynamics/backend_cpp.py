"""The C++ engine behind the interface of ``TorchBackend``: it imagines, torch filters."""

from __future__ import annotations

import numpy as np
import torch

from wm_dynamics.array_latent import ArrayFutures
from wm_dynamics.backend import TorchBackend
from wm_dynamics.engine import Engine
from wm_dynamics.heads import HEADS
from wm_dynamics.reference import Futures
from wm_dynamics.rollout import End, LatentState
from wm_dynamics.runtime_names import Precision
from wm_dynamics.self_test import check_backend
from wm_dynamics.weights import weights_of


class CppBackend(TorchBackend):
    """A :class:`~wm_dynamics.model.WorldModel` whose futures come from the engine.

    Args:
        model: the model; its weights are copied.
        precision: of the engine's large products.
        threads: of the engine.

    Raises:
        UserError: there is no engine, it cannot run this model or precision, or its numbers are
            not those of the specification.
    """

    def __init__(self, model, precision: Precision = "fp32", threads: int = 1):
        super().__init__(model)
        weights = weights_of(model)
        self._engine = Engine(weights, precision, threads)
        self.name = f"cpp ({self._engine.description})"
        check_backend(self, weights, exact=precision == "fp32")

    def imagine(
        self, latent: LatentState, ego_state: np.ndarray, actions: np.ndarray
    ) -> ArrayFutures:
        """See :meth:`wm_dynamics.backend.TorchBackend.imagine`."""
        return _imagined(self._engine.imagine(*_arrays(latent), ego_state, actions))

    def imagine_members(
        self, latent: LatentState, ego_state: np.ndarray, actions: np.ndarray
    ) -> ArrayFutures:
        """See :meth:`wm_dynamics.backend.TorchBackend.imagine_members`."""
        return _imagined(self._engine.imagine(*_arrays(latent), ego_state, actions, True))

    def perceive(self, latent: LatentState) -> dict[str, float]:
        """See :meth:`wm_dynamics.backend.TorchBackend.perceive`."""
        values = self._engine.heads(*_arrays(latent))
        return {head.name: float(value) for head, value in zip(HEADS, values, strict=True)}


def _arrays(latent: LatentState) -> tuple[np.ndarray, np.ndarray]:
    return latent.deter.numpy(), latent.stoch.numpy()


def _imagined(futures: Futures) -> ArrayFutures:
    latent = LatentState(torch.from_numpy(futures.deter), torch.from_numpy(futures.stoch))
    return ArrayFutures(
        path=futures.path,
        speed=futures.speed,
        heads={head.name: futures.heads[..., i] for i, head in enumerate(HEADS)},
        disagreement=futures.disagreement,
        spreads=futures.spreads,
        end=End(latent, torch.from_numpy(futures.ego_state)),
    )
