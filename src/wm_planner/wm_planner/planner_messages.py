"""What the planner node hears and says: latents to arrays, plans to messages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from wm_dynamics.backends import Backend
from wm_msgs.msg import ControlProposal, Latent, PlanStatistics
from wm_perception.conventions import yaw_from_quaternion
from wm_perception.node_tools import header
from wm_planner.plan import Plan


@dataclass(frozen=True)
class Situation:
    """A checked latent message as arrays.

    Attributes:
        latent: belief of the model, as its backend has it.
        ego_state: (5,) scaled proprioception.
        reference: (M, 2) route ahead, ego frame, m.
        pose: (3,) ego in the map frame.
        novelty: how unusual the frame is; None: nobody measured it for the model.
    """

    latent: Any
    ego_state: np.ndarray
    reference: np.ndarray
    pose: np.ndarray
    novelty: float | None = None


def read_latent(message: Latent, backend: Backend) -> Situation:
    """Check a latent against the model that is to imagine from it.

    Raises:
        ValueError: another model made it, or its sizes or numbers cannot be used.
    """
    config = backend.config
    if message.model_hash != backend.hash:
        raise ValueError(
            f"the latent was made by model {message.model_hash or '(none)'}, this planner has "
            f"{backend.hash}; start perception and planner with the same model and driver"
        )
    values = [message.deter, message.stoch, message.state, message.route_x, message.route_y]
    deter, stoch, state, route_x, route_y = (np.asarray(v, np.float32) for v in values)
    if (len(deter), len(stoch), len(state)) != (config.belief, config.stoch, config.state_dim):
        raise ValueError(
            f"the latent has sizes {len(deter)}, {len(stoch)}, {len(state)}, the model "
            f"{config.belief}, {config.stoch}, {config.state_dim}"
        )
    if len(route_x) != len(route_y) or len(route_x) < 2:
        raise ValueError(f"the latent's route has {len(route_x)} x and {len(route_y)} y values")
    p, q = message.pose.position, message.pose.orientation
    pose = np.array([p.x, p.y, yaw_from_quaternion(q.x, q.y, q.z, q.w)])
    for name, array in (("latent", deter), ("latent", stoch), ("state", state), ("pose", pose)):
        if not np.isfinite(array).all():
            raise ValueError(f"the {name} in the latent message is not finite")
    reference = np.stack([route_x, route_y], -1)
    if not np.isfinite(reference).all():
        raise ValueError("the route in the latent message is not finite")
    latent = backend.belief(deter, stoch)
    measured = backend.novelty is not None
    return Situation(latent, state, reference, pose, message.novelty if measured else None)


def proposal_message(plan: Plan, stamp_ns: int, stop: str = "") -> ControlProposal:
    """What the gate gets; a plan that cannot be driven becomes NaN, which tells it to stop.

    Args:
        plan: the plan.
        stamp_ns: of the frame it answers.
        stop: why perception wants a stop; empty: it does not.
    """
    usable = plan.usable
    return ControlProposal(
        header=header(stamp_ns),
        steer=plan.command.steer if usable else math.nan,
        accel=plan.command.accel if usable else math.nan,
        feasible=plan.feasible,
        stop_requested=plan.stop_requested or bool(stop),
        reason=stop or plan.reason,
    )


def statistics_message(
    plan: Plan, plan_ms: float, deadline_ms: float, stamp_ns: int = 0, dt: float = 0.0
) -> PlanStatistics:
    """Figures of one planning cycle.

    Args:
        plan: the plan.
        plan_ms: what it took, from the latent on.
        deadline_ms: what it may take.
        stamp_ns: of the frame.
        dt: seconds per imagined step.
    """
    capped = math.isfinite(plan.speed_cap_mps)
    return PlanStatistics(
        header=header(stamp_ns),
        plan_ms=plan_ms,
        deadline_missed=plan_ms > deadline_ms,
        candidates=len(plan.costs),
        iterations=plan.iterations,
        cost=float(plan.costs[plan.chosen]),
        disagreement=float(plan.disagreement[plan.chosen]),
        collision_probability=plan.collision_probability,
        feasible=plan.feasible,
        trusted_s=plan.trusted_steps * dt,
        doubt_level=int(plan.doubt.level),
        doubt_reason=plan.doubt.reason,
        speed_cap_mps=plan.speed_cap_mps if capped else 0.0,
        term_names=list(plan.terms),
        term_costs=list(plan.terms.values()),
        term_means=[plan.term_means.get(name, math.nan) for name in plan.terms],
        term_mins=[plan.term_least.get(name, math.nan) for name in plan.terms],
    )
