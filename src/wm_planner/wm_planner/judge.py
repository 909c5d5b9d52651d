"""Imagines action sequences and says what they cost.

Symbols: N sequences, K members of the ensemble, H steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wm_dynamics.errors import UserError
from wm_dynamics.scales import checked_steps
from wm_planner import costs
from wm_planner.arithmetic import Arithmetic
from wm_planner.doubt import DoubtState
from wm_planner.hazards import perceived
from wm_planner.imaginer import EnsembleImaginer, Imagined, Imaginer, PerceivingImaginer
from wm_planner.outcome import Outcome
from wm_planner.planner_config import PlannerConfig
from wm_planner.risk import trust_in_steps

if TYPE_CHECKING:  # an actor needs torch
    from wm_planner.actor import Actor


@dataclass(frozen=True)
class Task:
    """What one frame asks for.

    Attributes:
        latent: the model's belief now.
        ego_state: (5,) scaled proprioception.
        reference: (M, 2) route, ego frame, m.
        arrived: stop.
        doubt: the planner's doubt now.
    """

    latent: Any
    ego_state: np.ndarray
    reference: np.ndarray
    arrived: bool
    doubt: DoubtState


@dataclass(frozen=True)
class Batch:
    """N sequences and what became of them.

    Attributes:
        outcome: what was imagined.
        trust: (H,) how much each step counts, see :func:`wm_planner.risk.trust_in_steps`.
        speed_cap_mps: because of doubt; infinite without.
        scored: the costs.
    """

    outcome: Outcome
    trust: np.ndarray
    speed_cap_mps: float
    scored: costs.Scored


class Judge:
    """Imagination and costs as one."""

    def __init__(
        self,
        imaginer: Imaginer,
        actor: Actor | None,
        usual_disagreement: float | None,
        arithmetic: Arithmetic,
    ):
        """Set up.

        Args:
            imaginer: who imagines.
            actor: who values what comes after the horizon, if anybody.
            usual_disagreement: 99th percentile in usual driving; None: not known.
            arithmetic: who scores.
        """
        self._imaginer, self._actor, self._arithmetic = imaginer, actor, arithmetic
        self._usual_disagreement = usual_disagreement
        # Asked once: a protocol is looked up name by name.
        self._ensemble = imaginer if isinstance(imaginer, EnsembleImaginer) else None
        self._perceiving = imaginer if isinstance(imaginer, PerceivingImaginer) else None
        self.members: int = self._ensemble.members if self._ensemble else 1

    def check(self, config: PlannerConfig) -> None:
        """Whether there is all that the parameters need.

        Raises:
            UserError: there is not.
        """
        if config.weights.value > 0 and self._actor is None:
            raise UserError("weights.value needs a learned behaviour, and there is none")
        if config.hazards == "perceived" and self._perceiving is None:
            raise UserError("hazards: perceived needs a model that says what it sees now")

    def sampled(self, task: Task, actions: np.ndarray, config: PlannerConfig) -> Batch:
        """What becomes of N sequences; the members take turns along each."""
        imagined = self._imaginer.imagine(task.latent, task.ego_state, actions.astype(np.float32))
        horizon = actions.shape[1]
        spreads = getattr(imagined, "spreads", np.zeros((len(actions), 0)))
        trust = trust_in_steps(
            spreads, checked_steps(horizon), horizon, self._usual_disagreement, config.risk
        )
        return self._batch(task, actions, imagined, trust, config)

    def by_members(
        self, task: Task, actions: np.ndarray, trust: np.ndarray, config: PlannerConfig
    ) -> Batch:
        """K * N rows, the first member's first: what becomes of N sequences by each alone."""
        wanted = actions.astype(np.float32)
        if self.members > 1 and self._ensemble:
            imagined = self._ensemble.imagine_members(task.latent, task.ego_state, wanted)
        else:
            imagined = self._imaginer.imagine(task.latent, task.ego_state, wanted)
        repeated = np.concatenate([actions] * self.members)
        return self._batch(task, repeated, imagined, trust, config)

    def _batch(
        self,
        task: Task,
        actions: np.ndarray,
        imagined: Imagined,
        trust: np.ndarray,
        config: PlannerConfig,
    ) -> Batch:
        cap = min(task.doubt.speed_cap_mps, self._stoppable_mps(trust, config))
        speed, heads = np.maximum(imagined.speed, 0.0), imagined.heads
        if config.hazards == "perceived" and self._perceiving:
            heads = perceived(self._perceiving.perceive(task.latent), speed, self._imaginer.dt)
        outcome = Outcome(
            path=imagined.path,
            speed=speed,
            heads=heads,
            disagreement=np.asarray(imagined.disagreement),
            actions=actions,
            before=np.asarray(task.ego_state[2:4], float),
            reference=task.reference,
            dt=self._imaginer.dt,
            wanted_mps=0.0 if task.arrived else min(config.cruise_mps, cap),
            value=self._value(task, imagined, config),
        )
        scored = self._arithmetic.score(outcome, config, trust, task.doubt.risk_factor)
        return Batch(outcome, trust, cap, scored)

    def _stoppable_mps(self, trust: np.ndarray, config: PlannerConfig) -> float:
        """The speed from which the vehicle stops within what is trusted; infinite if all is."""
        if (trust >= 1.0).all():
            return float("inf")
        return config.risk.firm_deceleration * float(trust.sum()) * self._imaginer.dt

    def _value(self, task: Task, imagined: Imagined, config: PlannerConfig) -> np.ndarray | None:
        end = getattr(imagined, "end", None)
        if self._actor is None or end is None or not config.weights.value:
            return None
        return self._actor.value(end, imagined.path, task.reference)
