"""Cost terms: what the planner wants, weighed over imagined futures at run time.

Each term maps a :class:`Future` to a cost per candidate (N,), before its weight; lower is better.
The table ``TERMS`` is the one list of them; its names are the fields of ``CostWeights``.

Symbols: N candidates, H imagined steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wm_perception.conventions import wrap_angle
from wm_planner.planner_config import PlannerConfig

# A braking-distance violation costs no more than this per step: one bad step must not hide another.
HINGE_CAP = 150.0
STANDSTILL_MPS = 0.1


@dataclass(frozen=True)
class Future:
    """Imagined futures in a form the cost terms share.

    Attributes:
        speed: (N, H) m/s, not negative.
        yaw_rate: (N, H) rad/s.
        lateral: (N, H) offset from the route, m.
        heading_error: (N, H) rad.
        actions: (N, H, 2) steer, accel.
        before: (2,) the command in force now.
        heads: the model's head predictions, (N, H) each, SI or probabilities.
        disagreement: (N,) mean ensemble disagreement.
        wanted_mps: the speed to aim for, m/s.
    """

    speed: np.ndarray
    yaw_rate: np.ndarray
    lateral: np.ndarray
    heading_error: np.ndarray
    actions: np.ndarray
    before: np.ndarray
    heads: dict[str, np.ndarray]
    disagreement: np.ndarray
    wanted_mps: float


def against_route(path: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lateral offset and heading error of imagined poses against a reference polyline.

    Args:
        path: (N, H, 3) x, y, yaw in the ego frame.
        reference: (M, 2) polyline in the ego frame.

    Returns:
        (N, H) lateral offset, m, left positive; (N, H) heading error, rad.
    """
    tangent = np.diff(reference, axis=0)
    tangent = np.concatenate([tangent, tangent[-1:]])
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-6)
    # |p - r|^2 without the constant |p|^2: one matrix product instead of an (N, H, M, 2) array.
    squared = (reference**2).sum(1) - 2.0 * path[..., :2] @ reference.T
    nearest = squared.argmin(-1)
    offset = path[..., :2] - reference[nearest]
    along = tangent[nearest]
    lateral = along[..., 0] * offset[..., 1] - along[..., 1] * offset[..., 0]
    heading = np.arctan2(along[..., 1], along[..., 0])
    return lateral, wrap_angle(path[..., 2] - heading)


def _braking_hinge(
    future: Future,
    gap: np.ndarray,
    present: np.ndarray,
    ahead_speed: np.ndarray | float,
    margin: np.ndarray | float,
    c: PlannerConfig,
) -> np.ndarray:
    """Squared shortfall of the gap against the braking distance plus a margin, (N,).

    ``gap``, ``present``, ``ahead_speed`` and ``margin`` are (N, H), or one number for all.
    """
    braking = np.maximum(future.speed**2 - ahead_speed**2, 0.0) / (2.0 * c.comfortable_deceleration)
    shortfall = np.maximum(braking + margin - gap, 0.0)
    cost = np.minimum(shortfall**2, HINGE_CAP) * present * (future.speed > STANDSTILL_MPS)
    return cost.mean(1)


def lateral(future: Future, c: PlannerConfig) -> np.ndarray:
    """Squared distance from the route."""
    return np.minimum(future.lateral**2, 25.0).mean(1)


def heading(future: Future, c: PlannerConfig) -> np.ndarray:
    """Squared heading error, worse at speed."""
    return (future.heading_error**2 * (1.0 + future.speed)).mean(1)


def speed(future: Future, c: PlannerConfig) -> np.ndarray:
    """Squared difference from the wanted speed: the wish to make progress, or to stand."""
    return ((future.speed - future.wanted_mps) ** 2).mean(1)


def lateral_acceleration(future: Future, c: PlannerConfig) -> np.ndarray:
    """Squared excess over the comfortable lateral acceleration."""
    excess = np.abs(future.speed * future.yaw_rate) - c.max_lateral_acceleration
    return (np.maximum(excess, 0.0) ** 2).mean(1)


def leader(future: Future, c: PlannerConfig) -> np.ndarray:
    """Too close to the leader to brake behind it."""
    heads = future.heads
    margin = c.leader_margin_m + c.leader_headway_s * future.speed
    return _braking_hinge(
        future, heads["leader_gap"], heads["leader_presence"], heads["leader_speed"], margin, c
    )


def stop_line(future: Future, c: PlannerConfig) -> np.ndarray:
    """Too close to a red or yellow stop line to stop before it."""
    heads = future.heads
    return _braking_hinge(
        future, heads["stop_distance"], heads["stop_presence"], 0.0, c.stop_margin_m, c
    )


def collision(future: Future, c: PlannerConfig) -> np.ndarray:
    """Probability of touching something."""
    return future.heads["collision"].mean(1)


def near(future: Future, c: PlannerConfig) -> np.ndarray:
    """Probability of being within arm's reach of something, while moving."""
    return (future.heads["near"] * (future.speed > STANDSTILL_MPS)).mean(1)


def off_road(future: Future, c: PlannerConfig) -> np.ndarray:
    """Probability of leaving the road."""
    return future.heads["off_road"].mean(1)


def red_light(future: Future, c: PlannerConfig) -> np.ndarray:
    """Probability of having run a red light, while moving."""
    return (future.heads["red_violation"] * (future.speed > 0.5)).mean(1)


def smoothness(future: Future, c: PlannerConfig) -> np.ndarray:
    """Squared changes of the command; steering counts most."""
    before = np.broadcast_to(future.before, (len(future.actions), 1, 2))
    change = np.diff(np.concatenate([before, future.actions], 1), axis=1)
    return (change**2 @ np.array([3.0, 0.25])).mean(1)


def disagreement(future: Future, c: PlannerConfig) -> np.ndarray:
    """What the ensemble cannot agree on, the model does not know."""
    return future.disagreement


TERMS: dict[str, Callable[[Future, PlannerConfig], np.ndarray]] = {
    term.__name__: term
    for term in (
        lateral, heading, speed, lateral_acceleration, leader, stop_line, collision, near, off_road,
        red_light, smoothness, disagreement,
    )
}  # fmt: skip


def total(future: Future, config: PlannerConfig) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Weighted sum (N,) and each weighted term (N,)."""
    weights = config.weights.model_dump()
    terms = {
        name: weights[name] * term(future, config) for name, term in TERMS.items() if weights[name]
    }
    return np.sum(list(terms.values()), axis=0), terms
