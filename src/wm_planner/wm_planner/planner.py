"""The planner: a sampling optimiser over imagined rollouts of the learned world model.

Steering and acceleration come from imagination alone; no rule-based controller hides in the path.
One cycle: sample (:mod:`wm_planner.optimiser`), imagine and score (:mod:`wm_planner.judge`), as
often as asked for; then every member of the ensemble imagines the best few, and one of them is
chosen by risk (:mod:`wm_planner.risk`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.frame import Command
from wm_planner import risk
from wm_planner.arithmetic import Arithmetic
from wm_planner.arithmetic_cpp import fastest_arithmetic
from wm_planner.doubt import Doubt, usual_of
from wm_planner.icem import Icem
from wm_planner.imaginer import Imaginer
from wm_planner.judge import Batch, Judge, Task
from wm_planner.mppi import Mppi
from wm_planner.optimiser import Optimiser
from wm_planner.philox import PROPOSALS, uniforms, words
from wm_planner.plan import Plan, broken_plan, plan_of_candidate, plan_of_finalist
from wm_planner.planner_config import PlannerConfig
from wm_planner.proposals import LAST_RESORTS, MANOEUVRES, with_accel
from wm_planner.splines import Spline
from wm_planner.under_way import UnderWay

if TYPE_CHECKING:  # an actor needs torch
    from wm_planner.actor import Actor

OPTIMISERS: dict[str, type[Optimiser]] = {"icem": Icem, "mppi": Mppi}
# What the search is built around; all else may change from one frame to the next.
FIXED = (
    "optimiser", "horizon", "knots", "backend", "precision", "frame_dt", "input_delay_s", "seed",
)  # fmt: skip


class Planner:
    """Plans from a latent, warm-started from frame to frame, the same numbers for the same seed.

    Attributes:
        config: see :meth:`configure`.
    """

    def __init__(
        self,
        imaginer: Imaginer,
        config: PlannerConfig | None = None,
        actor: Actor | None = None,
        clock: Callable[[], float] = time.perf_counter,
        arithmetic: Arithmetic | None = None,
    ):
        """Set up.

        Args:
            imaginer: who imagines.
            config: parameters.
            actor: the learned behaviour of the same model, where there is one.
            clock: seconds; only for figures, unless ``config.anytime``.
            arithmetic: who does the sums around the rollouts; None: C++ where it was built.

        Raises:
            UserError: a parameter needs what is not there.
        """
        self.config = c = config or PlannerConfig()
        usual = usual_of(getattr(imaginer, "novelty", None))
        unit = usual.disagreement.high if usual.disagreement else None
        self._actor, self._clock = actor, clock
        arithmetic = arithmetic or fastest_arithmetic()
        self._judge = Judge(imaginer, actor, unit, arithmetic)
        self._check(c)
        frame_steps = c.frame_dt / imaginer.dt
        spline = Spline.make(c.horizon, c.knots or c.horizon, frame_steps)
        self._under_way = UnderWay(round(c.input_delay_s / c.frame_dt), c.horizon, frame_steps)
        self._optimiser = OPTIMISERS[c.optimiser](c, spline, arithmetic)
        self._doubt = Doubt(c.doubt, usual)
        self.reset()

    def reset(self, seed: int | None = None) -> None:
        """Forget the previous plan and all doubt; draw the noise afresh from ``seed``."""
        seed = self.config.seed if seed is None else seed
        self._optimiser.reset(seed)
        self._doubt.reset()
        self._under_way.reset()
        self._disagreement: float | None = None
        self._settling_s = 0.0

    def configure(self, config: PlannerConfig) -> None:
        """Go on with other parameters from the next frame on.

        Raises:
            UserError: one of ``FIXED`` differs, or a parameter needs what is not there.
        """
        for name in FIXED:
            if getattr(config, name) != getattr(self.config, name):
                raise UserError(f"{name} cannot change while driving; start the planner anew")
        self._check(config)
        self.config = self._optimiser.config = config
        self._doubt.config = config.doubt

    def plan(
        self,
        latent: Any,
        ego_state: np.ndarray,
        reference: np.ndarray,
        arrived: bool = False,
        novelty: float | None = None,
        degraded: bool = False,
    ) -> Plan:
        """One planning cycle.

        Args:
            latent: the model's latent state of this frame.
            ego_state: (5,) scaled proprioception, see ``wm_perception.observation.STATE_NAMES``.
            reference: (M, 2) route ahead, ego frame, m.
            arrived: the route is done: aim for standstill instead of the cruising speed.
            novelty: how unusual the frame is, see :mod:`wm_dynamics.novelty`; None: not known.
            degraded: perception asks for caution.
        """
        start = self._clock()
        doubt = self._doubt.update(novelty, self._disagreement, degraded)
        task = Task(latent, ego_state, np.asarray(reference, float), arrived, doubt)
        self._under_way.begin(task.ego_state[2:4])
        batch, iterations = self._search(task, start)
        searched = self._clock()
        plan = self._settle(task, batch) if batch.scored.usable else None
        if plan is None:
            self._optimiser.forget()  # or what is not finite would live on in the warm start
            plan = broken_plan(batch)
            self._under_way.give_again()
        self._disagreement = float(plan.disagreement[plan.chosen]) if plan.finite else None
        now = self._clock()
        self._settling_s = now - searched
        return replace(plan, iterations=iterations, doubt=doubt, plan_ms=1e3 * (now - start))

    def _check(self, config: PlannerConfig) -> None:
        self._judge.check(config)
        if config.actor_proposals and self._actor is None:
            raise UserError("actor_proposals needs a learned behaviour, and there is none")

    def _search(self, task: Task, start: float) -> tuple[Batch, int]:
        """Sample, imagine, score, narrow down; the last usable batch, and how many there were.

        Ends early where nothing is finite, or, with ``anytime``, when there is no time for another
        iteration as long as the longest and for what comes after it.
        """
        c, optimiser = self.config, self._optimiser
        optimiser.begin()
        longest, before = 0.0, start
        for done in range(1, c.iterations + 1):
            knots, actions = optimiser.ask(self._proposals(task, first=done == 1))
            tried = self._judge.sampled(task, self._under_way.then(actions), c)
            if done == 1 or tried.scored.usable:
                batch = tried
            if not tried.scored.usable:
                break
            optimiser.tell(knots, batch.scored.total)
            now = self._clock()
            longest, before = max(longest, now - before), now
            end = now + longest + self._settling_s
            if c.anytime and end - start > 1e-3 * c.deadline_ms:
                break
        return batch, done

    def _proposals(self, task: Task, first: bool) -> np.ndarray:
        """(P, M, 2) knots to try beside the sampled ones; none after the first iteration."""
        c, optimiser = self.config, self._optimiser
        if not first:
            return np.zeros((0, *optimiser.mean.shape))
        proposals = with_accel(optimiser.mean, MANOEUVRES)
        if self._actor is None or not c.actor_proposals:
            return proposals
        draw = replace(optimiser.draw, iteration=PROPOSALS)
        uniform = uniforms(words(draw, c.actor_proposals, c.horizon)).swapaxes(1, 2)
        uniform[0] = 0.5  # the first is what it would do, the others what it might
        sequences = self._actor.propose(task.latent, task.ego_state, task.reference, uniform)
        return np.concatenate([proposals, optimiser.spline.fit(sequences)])

    def _settle(self, task: Task, batch: Batch) -> Plan | None:
        """The plan that is driven: the search's answer, or the finalist that the members prefer.

        None where no finalist is finite.
        """
        c, optimiser = self.config, self._optimiser
        finalists = optimiser.finalists(c.risk.finalists)
        if not c.risk.asks_members:
            optimiser.commit(finalists[0])
            best, wanted = int(batch.scored.total.argmin()), optimiser.spline.steps(finalists[0])
            plan = plan_of_candidate(batch, best, self._under_way.then(wanted))
            return self._commanding(plan, wanted)
        knots = np.concatenate([finalists, with_accel(optimiser.mean, LAST_RESORTS)])
        actions = optimiser.spline.steps(knots)
        judged = self._judge.by_members(task, self._under_way.then(actions), batch.trust, c)
        shape = (self._judge.members, len(knots))
        cost = judged.scored.total.reshape(shape)
        if not np.isfinite(cost).all(0).any():
            return None
        heads, moving = judged.outcome.heads, judged.outcome.moving
        collision = risk.worst_collision(
            heads["collision"].reshape(*shape, -1), moving.reshape(*shape, -1), batch.trust
        )
        choice = risk.choose(cost, collision, c.risk)
        optimiser.commit(knots[choice.row])
        plan = plan_of_finalist(batch, judged, choice, shape)
        return self._commanding(plan, actions[choice.row])

    def _commanding(self, plan: Plan, wanted: np.ndarray) -> Plan:
        """A plan with the command that brings about its sequence, wanted as (H, 2)."""
        steer, accel = self._under_way.give(wanted).tolist()
        return replace(plan, command=Command(steer, accel), acts_at=self._under_way.step)
