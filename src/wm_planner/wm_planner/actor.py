"""The learned behaviour of a model as an adviser of the search; needs torch."""

from __future__ import annotations

import numpy as np
import torch

from wm_dynamics.array_latent import ArrayEnd, ArrayLatent
from wm_dynamics.behavior import Behavior
from wm_dynamics.dream import Start, dream
from wm_dynamics.model import WorldModel
from wm_dynamics.rollout import End, LatentState
from wm_perception.observation import ROUTE_POINTS, ROUTE_SCALE_M, ROUTE_STEP_M
from wm_perception.route import REFERENCE_BEHIND_M, SPACING_M

_STEP = round(ROUTE_STEP_M / SPACING_M)  # points of the reference per observed route point


def observed_route(reference: np.ndarray) -> torch.Tensor:
    """Route (M, 2) from ``REFERENCE_BEHIND_M`` behind on, m -> as a behaviour sees it, (1, R)."""
    ahead = np.asarray(reference, np.float32)[REFERENCE_BEHIND_M:]
    points = ahead[_STEP : _STEP * ROUTE_POINTS + 1 : _STEP] / ROUTE_SCALE_M
    return torch.from_numpy(points.astype(np.float32)).flatten()[None]


class Actor:
    """The learned behaviour of a model as an adviser: proposes sequences, values their ends."""

    def __init__(self, model: WorldModel, behavior: Behavior):
        self._model, self._behavior = model, behavior

    @torch.inference_mode()
    def propose(
        self,
        latent: ArrayLatent | LatentState,
        ego_state: np.ndarray,
        reference: np.ndarray,
        uniform: np.ndarray,
    ) -> np.ndarray:
        """Sequences the actor would drive; the world around it does the likeliest.

        Args:
            latent: belief now.
            ego_state: (5,) proprioception.
            reference: (M, 2) route, see :func:`observed_route`.
            uniform: (P, H, 2) in [0, 1): the randomness of the actions.

        Returns:
            (P, H, 2).
        """
        rows, horizon = uniform.shape[:2]
        belief = LatentState.of(latent).expand(rows)
        start = Start(
            belief.deter,
            self._model.rssm.latent.flat(belief.stoch),
            torch.from_numpy(np.asarray(ego_state, np.float32)).expand(rows, -1),
            observed_route(reference).expand(rows, -1),
            belief.memory,
        )
        members = [t % self._model.members for t in range(horizon)]
        chance = torch.from_numpy(uniform.astype(np.float32))
        dreamt = dream(self._model, self._behavior, start, chance, members, greedy=True)
        return dreamt.actions.numpy()

    @torch.inference_mode()
    def value(self, end: ArrayEnd | End, path: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Reward to come after N futures, (N,).

        Args:
            end: their last states.
            path: (N, H, 3) their poses, ego frame.
            reference: see :meth:`propose`.
        """
        rows, latent = len(path), LatentState.of(end.latent)
        stoch = self._model.rssm.latent.flat(latent.stoch)
        features = torch.cat([latent.deter, stoch], -1)
        line = self._behavior.route_line(observed_route(reference)).expand(rows, -1, -1)
        pose = torch.from_numpy(np.ascontiguousarray(path[:, -1], np.float32))
        state = torch.as_tensor(end.ego_state)
        inputs = self._behavior.inputs(features, state, pose, line)
        return self._behavior.value(inputs).numpy()
