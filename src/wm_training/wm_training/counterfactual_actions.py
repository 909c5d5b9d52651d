"""What else could be done in a situation: eight ways of going on, as varied as a plan can be.

Pedals are what differs most; but for the last two, the wheel goes on following the route, as most
of a planner's candidates do, a little beside it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wm_perception.frame import Command

# How one way goes on: step of the model, what an attentive expert would do now, speed -> action.
Plan = Callable[[int, Command, float], tuple[float, float]]

WAYS = (
    "expert",
    "throttle",
    "hold",
    "brake",
    "full_brake",
    "brake_then_go",
    "steer",
    "random",
)
STEER_JITTER = 0.02  # of the sequences that follow the route
HOLD_GAIN = 0.5  # pedal per m/s
KNOTS, STEER_STD, ACCEL_STD = 5, 0.2, 0.6


def plan(way: str, rng: np.random.Generator, steps: int, command: Command, speed: float) -> Plan:
    """One way of going on, its numbers drawn by ``rng``.

    Args:
        way: one of :data:`WAYS`.
        rng: used here only, so that a plan does not depend on what it meets.
        steps: of the model that it will be asked for.
        command: in force now.
        speed: now, m/s.

    Returns:
        (step, expert's command, speed in m/s) -> steer and accel of the step, in [-1, 1].
    """
    if way == "random":
        return _fixed(_random(rng, steps, command))
    beside = rng.normal(0.0, STEER_JITTER)
    if way == "steer":
        return _steering(rng, steps)
    if way == "expert":
        return lambda step, wish, now: (wish.steer, wish.accel)
    if way == "hold":
        return lambda step, wish, now: (wish.steer + beside, HOLD_GAIN * (speed - now))
    pedals = _pedals(way, rng, steps)
    return lambda step, wish, now: (wish.steer + beside, float(pedals[step]))


def _pedals(way: str, rng: np.random.Generator, steps: int) -> np.ndarray:
    """(steps,) accel."""
    if way == "throttle":
        return np.full(steps, rng.uniform(0.7, 1.0))
    if way == "brake":
        return np.full(steps, rng.uniform(-0.45, -0.2))
    if way == "full_brake":
        return np.full(steps, -1.0)
    until = rng.integers(max(1, steps // 4), max(2, 2 * steps // 3))
    braking, going = rng.uniform(-0.9, -0.4), rng.uniform(0.4, 0.9)
    return np.where(np.arange(steps) < until, braking, going)


def _steering(rng: np.random.Generator, steps: int) -> Plan:
    """Off to one side for a while, with the expert's pedals."""
    offset = rng.choice([-1.0, 1.0]) * rng.uniform(0.1, 0.45)
    begin = rng.integers(0, max(1, steps // 4))
    end = begin + rng.integers(max(1, steps // 4), max(2, steps))

    def go_on(step: int, wish: Command, now: float) -> tuple[float, float]:
        return wish.steer + offset * (begin <= step < end), wish.accel

    return go_on


def _random(rng: np.random.Generator, steps: int, command: Command) -> np.ndarray:
    """(steps, 2) straight lines between random knots around the present command."""
    knots = rng.normal((command.steer, command.accel), (STEER_STD, ACCEL_STD), (KNOTS, 2))
    knots[0] = command.steer, command.accel
    place = np.linspace(0.0, KNOTS - 1.0, steps)
    return np.stack([np.interp(place, np.arange(KNOTS), column) for column in knots.T], 1)


def _fixed(actions: np.ndarray) -> Plan:
    return lambda step, wish, now: (float(actions[step, 0]), float(actions[step, 1]))
