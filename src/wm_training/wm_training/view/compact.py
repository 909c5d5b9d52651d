"""Messages as the page draws them: short rows of rounded numbers.

Pure functions. They read attributes only, so they take rclpy messages and the objects that
``rosbags`` deserialises alike. Whatever is not a finite number becomes None.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from wm_perception.frame import EgoState, LightState, Objects
from wm_perception.messages import MessageError
from wm_perception.scene import Scene

REACH_M = 95.0  # of the top view
FAN = 32  # imagined futures that are drawn besides the chosen one
GATE_STATES = ("WAITING", "NOMINAL", "COMFORT_STOP", "EMERGENCY_STOP", "HOLD")
# Rules whose value must not be less than the limit; all others must not be more.
AT_LEAST = ("rss_same_direction", "rss_opposite_direction", "rss_lateral")
REPORTED_ONLY = AT_LEAST  # the gate shows them and does nothing about them
HUGE = 1e30  # the gate writes infinity as the largest float32


def number(value: Any, digits: int = 2) -> float | None:
    """A rounded number; None for NaN, infinity and what stands for it."""
    value = float(value)
    return round(value, digits) if math.isfinite(value) and abs(value) < HUGE else None


def ego(state: EgoState) -> dict[str, float | None]:
    """Pose (m, rad), speed, acceleration and the command in force; steer left-positive."""
    command = state.command
    return {
        "x": number(state.x),
        "y": number(state.y),
        "yaw": number(state.yaw, 4),
        "speed": number(state.speed_mps),
        "accel": number(state.accel_mps2),
        "steer": number(command.steer, 3),
        "throttle": number(max(0.0, command.accel), 3),
        "brake": number(max(0.0, -command.accel), 3),
        "length": number(state.length),
        "width": number(state.width),
    }


def objects(found: Objects, x: float, y: float) -> list[list[float]]:
    """[id, class, x, y, yaw, length, width, speed] of whoever is in the top view."""
    near = found.within(x, y, REACH_M)
    speeds = np.hypot(near.velocities[:, 0], near.velocities[:, 1])
    table = np.column_stack([near.poses, near.sizes, speeds]).round(2).tolist()
    kinds = near.kinds.tolist()
    return [
        [identity, kind, *row]
        for identity, kind, row in zip(near.ids.tolist(), kinds, table, strict=True)
    ]


def gate(message: Any) -> dict[str, Any]:
    """SafetyState: the state by name, the reason, and every rule.

    A rule is ``[name, value, limit, tripped, unit, share, acts]``: share of the limit that is used
    up, from 0 to 1 and beyond; whether the gate acts on it.
    """
    state = int(message.state)
    known = 0 <= state < len(GATE_STATES)
    return {
        "state": GATE_STATES[state] if known else f"STATE {state}",
        "reason": message.reason,
        "interventions": int(message.interventions),
        "rules": [rule(r) for r in message.rules],
    }


def rule(message: Any) -> list[Any]:
    """One SafetyRule, see :func:`gate`."""
    value, limit = number(message.value, 3), number(message.limit, 3)
    share = _share(limit, value) if message.name in AT_LEAST else _share(value, limit)
    acts = message.name not in REPORTED_ONLY
    return [message.name, value, limit, bool(message.tripped), message.unit, share, acts]


def _share(part: float | None, whole: float | None) -> float | None:
    """How much of ``whole`` is used; None where there is nothing to compare."""
    if part is None or whole is None:
        return None
    if whole == 0.0:
        return 0.0 if part == 0.0 else 1.0
    return number(abs(part) / abs(whole), 3)


def belief(message: Any) -> dict[str, Any]:
    """Latent: surprise (nats), novelty, and what perception says beside it."""
    return {
        "surprise": number(message.surprise, 3),
        "novelty": number(message.novelty, 3),
        "imagined": bool(message.imagined),
        "degraded": bool(message.degraded),
        "stop": message.stop,
        "model": message.model_hash[:8],
    }


def plan(message: Any) -> dict[str, Any]:
    """PlanStatistics: figures of the chosen plan, cost by term (chosen, mean of all)."""
    terms = zip(message.term_names, message.term_costs, message.term_means, strict=False)
    return {
        "ms": number(message.plan_ms, 1),
        "missed": bool(message.deadline_missed),
        "candidates": int(message.candidates),
        "cost": number(message.cost, 3),
        "disagreement": number(message.disagreement, 4),
        "collision": number(message.collision_probability, 4),
        "feasible": bool(message.feasible),
        "trusted_s": number(message.trusted_s),
        "doubt": int(message.doubt_level),
        "doubt_reason": message.doubt_reason,
        "cap": number(message.speed_cap_mps) or None,
        "terms": [[name, number(cost, 3), number(mean, 3)] for name, cost, mean in terms],
    }


def nodes(message: Any) -> list[list[Any]]:
    """DiagnosticArray: [name, level, text] of each status; level 0 ok, 1 warning, 2 error."""
    return [[s.name, _level(s.level), s.message] for s in message.status]


def _level(value: Any) -> int:
    """A ``byte`` field: bytes in rclpy, a number in ``rosbags``."""
    return value[0] if isinstance(value, bytes) else int(value)


def futures(message: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """ImaginedRollouts: at most ``FAN`` futures, dearest first, then the chosen one.

    Returns:
        (K + 1, H, 2) float32 positions in the map frame, m, and what the page must know of it.

    Raises:
        MessageError: the sizes in the message do not fit.
    """
    shape = (int(message.candidates), int(message.horizon))
    x, y = (np.asarray(v, np.float32) for v in (message.x, message.y))
    cost = np.asarray(message.cost, np.float32)
    if x.size != shape[0] * shape[1] or y.size != x.size or len(cost) != shape[0]:
        raise MessageError(f"imagined rollouts: {x.size} values for {shape[0]} x {shape[1]}")
    if not 0 <= message.chosen < shape[0]:
        raise MessageError(f"imagined rollouts: {message.chosen} of {shape[0]} was chosen")
    paths = np.stack([x.reshape(shape), y.reshape(shape)], -1)
    usable = np.isfinite(cost) & np.isfinite(paths).all((1, 2))
    ranked = np.argsort(cost, kind="stable")
    ranked = ranked[usable[ranked]][::-1]
    if len(ranked) > FAN:
        ranked = ranked[np.linspace(0, len(ranked) - 1, FAN).round().astype(int)]
    chosen = paths[message.chosen]
    if not np.isfinite(chosen).all():
        raise MessageError("imagined rollouts: the chosen one is not finite")
    drawn = np.concatenate([paths[ranked], chosen[None]])
    return drawn, {"shape": list(drawn.shape), "dt": number(message.dt, 3)}


def stop_lines(scene: Scene) -> list[list[float]]:
    """[light id, x1, y1, x2, y2] of every light on the route."""
    lines = []
    for light in scene.route_lights:
        heading = scene.route.headings[min(int(light.stop_s), len(scene.route) - 1)]
        across = 1.75 * np.array([-np.sin(heading), np.cos(heading)])
        centre = scene.route.sample(np.array(light.stop_s))
        ends = np.concatenate([centre + across, centre - across]).round(2).tolist()
        lines.append([light.id, *ends])
    return lines


def light_states(states: dict[int, LightState], wanted: Iterable[int]) -> dict[str, int]:
    """State of each wanted light, as text keys for JSON."""
    return {str(i): int(states[i]) for i in wanted if i in states}
