"""What is driven while the engine fails: the last good plan, moved on in time, and not for long."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wm_perception.frame import Command
from wm_planner.plan import Plan

ALLOWED = 2  # frames in a row that a plan is driven on; with the next failure a stop is requested


class Fallback:
    """Keeps the last good plan.

    Attributes:
        failures: of the engine in a row.
    """

    def __init__(self, shift: float):
        """Args: shift: frames come every so many steps of the plan, in (0, 1]."""
        self._shift = shift
        self.reset()

    def reset(self) -> None:
        """A new drive: what was planned before is no plan for it."""
        self.failures = 0
        self._plan: Plan | None = None

    def good(self, plan: Plan) -> None:
        """The engine made a plan that can be driven."""
        self.failures, self._plan = 0, plan

    def failed(self, reason: str) -> tuple[Plan | None, str]:
        """The engine made none.

        Args:
            reason: in words.

        Returns:
            The last good plan as it goes on now, None when there is none; and why a stop is
            requested, empty while it is not.
        """
        self.failures += 1
        if self._plan is None:
            return None, ""
        actions = moved_on(self._plan.actions, self._shift)
        steer, accel = actions[self._plan.acts_at].tolist()
        command = Command(steer, accel)
        self._plan = replace(self._plan, actions=actions, command=command)
        if self.failures <= ALLOWED:
            return self._plan, ""
        return self._plan, f"planning failed {self.failures} times in a row: {reason}"


def moved_on(actions: np.ndarray, shift: float) -> np.ndarray:
    """Actions (H, 2) of steps that begin ``shift`` of a step later; the last one is held."""
    later = np.concatenate([actions[1:], actions[-1:]])
    return (1.0 - shift) * actions + shift * later
