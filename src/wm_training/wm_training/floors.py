"""Floors of every comparison: drivers that look at nothing."""

from __future__ import annotations

import numpy as np

from wm_perception.frame import Command, SceneFrame
from wm_perception.scene import Scene
from wm_planner.guard import Guard

THROTTLE = 0.3
# A random walk: what is left of the last wish, the size of its steps, and where it drifts to.
STAYS, STEP_STD, DRIFT = 0.93, np.array([0.1, 0.2]), np.array([0.0, 0.015])


class ConstantDriver:
    """Straight on with constant throttle.

    Args:
        guard: the gate that every command passes.
    """

    def __init__(self, guard: Guard):
        self._guard = guard

    def reset(self, scene: Scene, seed: int = 0) -> None:
        """Begin a route."""
        self._guard.reset(scene.route.points)

    def drive(self, frame: SceneFrame) -> Command:
        """The same as ever, as the gate lets it through."""
        return self._guard.command(frame, Command(0.0, THROTTLE))


class RandomDriver:
    """A random walk of steer and accel that drifts forwards; seeded.

    Args:
        guard: the gate that every command passes.
    """

    def __init__(self, guard: Guard):
        self._guard = guard

    def reset(self, scene: Scene, seed: int = 0) -> None:
        """Begin a route; the same seed walks the same walk."""
        self._guard.reset(scene.route.points)
        self._rng = np.random.default_rng(seed)
        self._wish = np.zeros(2)

    def drive(self, frame: SceneFrame) -> Command:
        """The next step of the walk, as the gate lets it through."""
        self._wish = STAYS * self._wish + self._rng.normal(DRIFT, STEP_STD)
        steer, accel = np.clip(self._wish, -1.0, 1.0).tolist()
        return self._guard.command(frame, Command(steer, accel))
