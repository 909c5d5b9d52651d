"""The learned behaviour in the planner's place: one look at the latent, no search.

What it is going to do is imagined once, for whoever watches; the command does not depend on it.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from wm_dynamics.array_latent import ArrayLatent
from wm_dynamics.behavior import Behavior
from wm_dynamics.dream import Dream, Start, dream
from wm_dynamics.model import WorldModel
from wm_dynamics.rollout import LatentState
from wm_perception.frame import Command
from wm_planner.actor import observed_route
from wm_planner.plan import Plan
from wm_planner.planner_config import PlannerConfig


class ActorPlanner:
    """Has the face of :class:`~wm_planner.planner.Planner`; remembers nothing between frames."""

    def __init__(self, model: WorldModel, behavior: Behavior, config: PlannerConfig):
        """Args: the world model; its behaviour; parameters, of which only ``horizon`` counts."""
        self.config = config
        self._model, self._behavior = model, behavior

    def reset(self, seed: int | None = None) -> None:
        """Nothing to forget, nothing random."""

    def configure(self, config: PlannerConfig) -> None:
        """Other parameters: the horizon of what is shown."""
        self.config = config

    def plan(
        self,
        latent: ArrayLatent | LatentState,
        ego_state: np.ndarray,
        reference: np.ndarray,
        arrived: bool = False,
        novelty: float | None = None,
        degraded: bool = False,
    ) -> Plan:
        """The mode of the actor now, and the future it expects of itself.

        Args:
            latent: the model's latent state of this frame.
            ego_state: (5,) scaled proprioception.
            reference: (M, 2) route from ``REFERENCE_BEHIND_M`` behind on, 1 m apart, ego frame, m.
            arrived, novelty, degraded: not looked at: the actor knows no end of the route and no
                doubt.
        """
        start = time.perf_counter()
        with torch.inference_mode():
            dreamt = self._dream(latent, ego_state, reference)
            value = self._behavior.value(dreamt.inputs[:, 0])
        path = dreamt.path[0].numpy()
        actions = dreamt.actions[0].numpy()
        return Plan(
            command=Command(float(actions[0, 0]), float(actions[0, 1])),
            actions=actions,
            path=path,
            candidates=path[None, :, :2],
            speeds=dreamt.speed.clamp_min(0.0).numpy(),
            costs=-value.numpy(),
            disagreement=np.zeros(1),
            chosen=0,
            plan_ms=1e3 * (time.perf_counter() - start),
            finite=bool(np.isfinite(path).all() and torch.isfinite(value).all()),
        )

    def _dream(
        self, latent: ArrayLatent | LatentState, ego_state: np.ndarray, reference: np.ndarray
    ) -> Dream:
        """One future, the most likely at every step; ensemble members in turn."""
        route = observed_route(reference)
        belief = LatentState.of(latent)
        stoch = self._model.rssm.latent.flat(belief.stoch)
        ego = torch.from_numpy(np.asarray(ego_state, np.float32))[None]
        members = [t % len(self._model.rssm.priors) for t in range(self.config.horizon)]
        start = Start(belief.deter, stoch, ego, route, belief.memory)
        return dream(self._model, self._behavior, start, None, members)
