"""The outcome of one planning cycle."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from wm_perception.frame import Command
from wm_planner.costs import Scored
from wm_planner.doubt import DoubtState, Level
from wm_planner.judge import Batch
from wm_planner.risk import Choice


@dataclass(frozen=True)
class Plan:
    """What was planned; N candidates, H steps.

    The candidates are those of the last iteration. Where the ensemble's members were asked, the
    sequence that is driven is their last row, with its mean over the members. Where not, it was not
    imagined itself: the chosen row is the cheapest, halfway to which it lies.

    Attributes:
        command: what to do now.
        actions: (H, 2) the chosen sequence; with an input delay, first what is under way.
        path: (H, 3) imagined poses of the chosen row, ego frame.
        candidates: (N, H, 2) imagined positions, ego frame.
        speeds: (N, H) m/s.
        costs: (N,) lower is better.
        disagreement: (N,); not measured for a last row as above, which has the cheapest one's.
        chosen: row of the chosen candidate.
        terms: weighted cost terms of the chosen candidate.
        term_means: the same, mean over the usable sampled candidates.
        term_least: the same, least of them.
        plan_ms: wall time, ms.
        finite: False when imagination returned values that are not finite; then do not drive on it.
        iterations: done.
        feasible: False when no plan was found that keeps the bound on collisions; this one is then
            the least likely to collide.
        collision_probability: of the chosen sequence while moving, by the worst member.
        trusted_steps: how many of the H steps counted, in sum.
        speed_cap_mps: not to be exceeded because of doubt; infinite without.
        acts_at: the step in which the command acts: 0 without an input delay.
        doubt: state of the planner's doubt.
    """

    command: Command
    actions: np.ndarray
    path: np.ndarray
    candidates: np.ndarray
    speeds: np.ndarray
    costs: np.ndarray
    disagreement: np.ndarray
    chosen: int
    terms: dict[str, float] = field(default_factory=dict)
    term_means: dict[str, float] = field(default_factory=dict)
    term_least: dict[str, float] = field(default_factory=dict)
    plan_ms: float = 0.0
    finite: bool = True
    iterations: int = 1
    feasible: bool = True
    collision_probability: float = 0.0
    trusted_steps: float = 0.0
    speed_cap_mps: float = float("inf")
    acts_at: int = 0
    doubt: DoubtState = field(default_factory=DoubtState)

    @property
    def usable(self) -> bool:
        """Whether it may be driven."""
        return self.finite and bool(np.isfinite(self.actions).all())

    @property
    def stop_requested(self) -> bool:
        """Whether the planner asks for a stop: it knows too little of what it sees."""
        return self.doubt.level is Level.STOP

    @property
    def reason(self) -> str:
        """Why it is not feasible, or why a stop is requested; else empty."""
        if not self.usable:
            return "imagination returned values that are not finite"
        if self.stop_requested:
            return self.doubt.reason
        if not self.feasible:
            return f"every plan may collide, this one with {self.collision_probability:.0%}"
        return ""


def plan_of_candidate(batch: Batch, row: int, actions: np.ndarray) -> Plan:
    """Actions (H, 2) are driven; of what was imagined, ``row`` comes nearest to them."""
    outcome, scored = batch.outcome, batch.scored
    return Plan(
        command=Command(float(actions[0, 0]), float(actions[0, 1])),
        actions=actions,
        path=outcome.path[row],
        candidates=outcome.path[..., :2],
        speeds=outcome.speed,
        costs=scored.total,
        disagreement=outcome.disagreement,
        chosen=row,
        terms=_named(scored, scored.table[:, row]),
        term_means=_named(scored, scored.means),
        term_least=_named(scored, scored.least),
        trusted_steps=float(batch.trust.sum()),
        speed_cap_mps=batch.speed_cap_mps,
    )


def plan_of_finalist(batch: Batch, judged: Batch, choice: Choice, shape: tuple[int, int]) -> Plan:
    """A finalist is driven.

    Args:
        batch: the sampled sequences.
        judged: the finalists by each member.
        choice: which of them.
        shape: K, F; ``judged`` has K * F rows.
    """
    row = choice.row
    cheapest = int(batch.scored.total.argmin())
    plan = plan_of_candidate(batch, cheapest, judged.outcome.actions[row])
    scored = judged.scored
    terms = _named(scored, scored.table.reshape(-1, *shape)[:, :, row].mean(1))
    if "disagreement" in terms:
        terms["disagreement"] = plan.terms["disagreement"]
    path, speed = judged.outcome.path[row], judged.outcome.speed[row]
    return replace(
        plan,
        path=path,
        candidates=np.concatenate([plan.candidates, path[None, :, :2]]),
        speeds=np.concatenate([plan.speeds, speed[None]]),
        costs=np.append(plan.costs, sum(terms.values())),
        disagreement=np.append(plan.disagreement, plan.disagreement[cheapest]),
        chosen=len(plan.costs),
        terms=terms,
        feasible=choice.feasible,
        collision_probability=choice.collision_probability,
    )


def _named(scored: Scored, values: np.ndarray) -> dict[str, float]:
    """(T,) values by the terms' names."""
    return dict(zip(scored.names, values.tolist(), strict=True))


def broken_plan(batch: Batch) -> Plan:
    """Nothing that was imagined is finite: there is nothing to drive."""
    outcome, horizon = batch.outcome, batch.outcome.actions.shape[1]
    return Plan(
        command=Command(0.0, 0.0),
        actions=np.full((horizon, 2), np.nan),
        path=np.full((horizon, 3), np.nan),
        candidates=outcome.path[..., :2],
        speeds=outcome.speed,
        costs=np.full(len(outcome.actions), np.inf),
        disagreement=outcome.disagreement,
        chosen=0,
        finite=False,
        feasible=False,
    )
