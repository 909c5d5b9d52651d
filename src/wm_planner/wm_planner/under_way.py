"""Commands that were given and do not act yet: where the vehicle answers late, and is known to.

The steps before the next command can act are no longer the planner's to choose. They are imagined
as they were commanded, and what is planned begins behind them, as model predictive controllers
compensate for the delay of their input (Cortés et al., "Delay compensation in model predictive
current control", 2012).
"""

from __future__ import annotations

from collections import deque

import numpy as np

from wm_dynamics.errors import UserError


class UnderWay:
    """Remembers what was given.

    Attributes:
        step: of the plan, in which the next command acts.
    """

    def __init__(self, frames: int, horizon: int, frame_steps: float):
        """Set up.

        Args:
            frames: that pass between a command and its effect; 0: it acts at once.
            horizon: H, steps of a plan.
            frame_steps: model steps per frame, in (0, 1].

        Raises:
            UserError: nothing would be left to plan.
        """
        self.step = int(frames * frame_steps)
        if self.step + 1 >= horizon:
            raise UserError(
                f"input_delay_s: {frames} frames of delay leave nothing of {horizon} imagined "
                "steps; make it shorter, or horizon longer"
            )
        frame, steps = np.arange(frames), np.arange(horizon)[:, None]
        begin = np.maximum(steps, frame * frame_steps)
        end = np.minimum(steps + 1, (frame + 1) * frame_steps)
        self._taken = np.maximum(0.0, end - begin)  # (H, frames): share of each step
        self._free = 1.0 - self._taken.sum(1)[:, None]
        self._given: deque[np.ndarray] = deque(maxlen=frames)

    def reset(self) -> None:
        """Nothing is known of what was given."""
        self._given.clear()

    def begin(self, acting: np.ndarray) -> None:
        """A new frame; before the first command, what acts now (2,) is what was given.

        What is not finite is none: it would live on in everything that is imagined.
        """
        known = np.asarray(acting, float) if np.isfinite(acting).all() else np.zeros(2)
        while len(self._given) < (self._given.maxlen or 0):
            self._given.append(known)

    def then(self, actions: np.ndarray) -> np.ndarray:
        """Actions (..., H, 2) as they can come true: first what is under way, then they."""
        if not self._given:
            return actions
        return self._free * actions + self._taken @ np.array(self._given)

    def give(self, actions: np.ndarray) -> np.ndarray:
        """The action (2,) to command now, of wanted ones (H, 2)."""
        due = actions[self.step].copy()
        self._given.append(due)
        return due

    def give_again(self) -> None:
        """There is no new command."""
        self._given.extend(list(self._given)[-1:])
