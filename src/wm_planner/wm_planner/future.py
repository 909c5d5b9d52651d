"""Imagined futures in the form that the cost terms share.

Symbols: N candidates, H imagined steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wm_perception.conventions import wrap_angle

STANDSTILL_MPS = 0.1


@dataclass(frozen=True)
class Future:
    """What N action sequences lead to, as far as costs depend on it.

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
        value: (N,) what a critic expects after the last step; None: nobody was asked.
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
    value: np.ndarray | None = None

    @property
    def moving(self) -> np.ndarray:
        """(N, H) bool."""
        return self.speed > STANDSTILL_MPS


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
