"""What was imagined of some action sequences, before anybody prepares it for the cost terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from wm_planner.future import STANDSTILL_MPS, Future, against_route


@dataclass(frozen=True)
class Outcome:
    """N sequences of H steps, and all that what they cost depends on. Arrays are of any float.

    Attributes:
        path: (N, H, 3) imagined x, y (m) and yaw (rad), ego frame.
        speed: (N, H) m/s, not negative.
        heads: the model's head predictions, (N, H) each, SI or probabilities.
        disagreement: (N,) mean ensemble disagreement.
        actions: (N, H, 2) steer, accel.
        before: (2,) the command in force now.
        reference: (M, 2) route, ego frame, m.
        dt: seconds per step.
        wanted_mps: the speed to aim for, m/s.
        value: (N,) what a critic expects after the last step; None: nobody was asked.
    """

    path: np.ndarray
    speed: np.ndarray
    heads: Mapping[str, np.ndarray]
    disagreement: np.ndarray
    actions: np.ndarray
    before: np.ndarray
    reference: np.ndarray
    dt: float
    wanted_mps: float
    value: np.ndarray | None = None

    @property
    def moving(self) -> np.ndarray:
        """(N, H) bool."""
        return self.speed > STANDSTILL_MPS

    def future(self) -> Future:
        """The same in the form that the cost terms share, float64."""
        path = np.asarray(self.path, float)
        lateral, heading_error = against_route(path, self.reference)
        return Future(
            speed=np.asarray(self.speed, float),
            yaw_rate=np.diff(path[..., 2], axis=1, prepend=0.0) / self.dt,
            lateral=lateral,
            heading_error=heading_error,
            actions=self.actions,
            before=self.before,
            heads={name: np.asarray(values, float) for name, values in self.heads.items()},
            disagreement=np.asarray(self.disagreement, float),
            wanted_mps=self.wanted_mps,
            value=self.value,
        )
