"""Where a camera is and what it can see: poses, projections and culling, as plain arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.conventions import rotation_from_euler
from wm_perception.frame import EgoState

KINDS = ("rgb", "depth", "semantic")
NEAR_M, FAR_M = 0.3, 400.0
MAX_SIDE_PX = 4096


@dataclass(frozen=True)
class CameraSpec:
    """One camera on the ego vehicle.

    Attributes:
        kind: "rgb", "depth" or "semantic".
        width, height: px.
        fov_deg: horizontal field of view.
        x, y, z: of the eye, forward, left and up from the vehicle's centre on the ground, m.
        roll, pitch, yaw: rad, about x, y, z of the vehicle (REP-103: pitch > 0 looks down).
        samples: anti-aliasing samples per pixel, 0 for none; colour only.
    """

    kind: str = "rgb"
    width: int = 256
    height: int = 144
    fov_deg: float = 90.0
    x: float = 1.2
    y: float = 0.0
    z: float = 1.8
    roll: float = 0.0
    pitch: float = 0.0
    yaw: float = 0.0
    samples: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"a camera must be one of {', '.join(KINDS)}, not '{self.kind}'")
        if not (0 < self.width <= MAX_SIDE_PX and 0 < self.height <= MAX_SIDE_PX):
            raise UserError(
                f"a camera picture must be 1 to {MAX_SIDE_PX} px wide and high, "
                f"not {self.width} x {self.height}"
            )
        if not 1.0 <= self.fov_deg <= 175.0:
            raise UserError(f"a camera's fov must be 1 to 175 degrees, not {self.fov_deg}")
        pose = (self.x, self.y, self.z, self.roll, self.pitch, self.yaw)
        if not all(math.isfinite(value) for value in pose):
            raise UserError(f"a camera's pose must be finite, not {pose}")

    @property
    def focal_px(self) -> float:
        """Focal length, px; the principal point is the middle of the picture."""
        return self.width / (2.0 * math.tan(math.radians(self.fov_deg) / 2.0))

    @property
    def tangents(self) -> tuple[float, float]:
        """Tangents of half the horizontal and half the vertical field of view."""
        return self.width / 2.0 / self.focal_px, self.height / 2.0 / self.focal_px


@dataclass(frozen=True)
class Eye:
    """A camera in the map frame.

    Attributes:
        position: (3,) m.
        axes: (3, 3) columns are forward, left and up.
        tangents: of half the horizontal and half the vertical field of view.
        focal_px: focal length, px.
    """

    position: np.ndarray
    axes: np.ndarray
    tangents: tuple[float, float]
    focal_px: float

    @property
    def matrix(self) -> np.ndarray:
        """(4, 4) map frame -> OpenGL clip coordinates."""
        forward, left, up = self.axes.T
        view = np.eye(4)
        view[:3, :3] = -left, up, -forward
        view[:3, 3] = -view[:3, :3] @ self.position
        depth = NEAR_M - FAR_M
        projection = np.zeros((4, 4))
        projection[0, 0], projection[1, 1] = 1.0 / self.tangents[0], 1.0 / self.tangents[1]
        projection[2, 2:] = (FAR_M + NEAR_M) / depth, 2.0 * FAR_M * NEAR_M / depth
        projection[3, 2] = -1.0
        return projection @ view

    @property
    def rays(self) -> np.ndarray:
        """(3, 3) rows: ray of the picture's middle, then per half picture right and up."""
        forward, left, up = self.axes.T
        return np.stack([forward, -left * self.tangents[0], up * self.tangents[1]])

    def sees(self, centres: np.ndarray, radii: np.ndarray | float, sight_m: float) -> np.ndarray:
        """(n,) bool: which spheres may be in the picture and nearer than ``sight_m``.

        Args:
            centres: (n, 3) map frame, m.
            radii: (n,) or one for all, m.
            sight_m: along the optical axis.
        """
        ahead, left, up = ((centres - self.position) @ self.axes).T
        seen = (ahead > -radii) & (ahead < sight_m + radii)
        for aside, tangent in zip((left, up), self.tangents, strict=True):
            beyond = (np.abs(aside) - tangent * ahead) / math.hypot(1.0, tangent)
            seen &= beyond < radii  # the distance outside the field of view
        return seen


def eye_of(spec: CameraSpec, ego: EgoState) -> Eye:
    """Where a camera of the ego is now; the ground is flat and the body does not lean."""
    body = rotation_from_euler(0.0, 0.0, ego.yaw)
    position = np.array([ego.x, ego.y, 0.0]) + body @ (spec.x, spec.y, spec.z)
    axes = body @ rotation_from_euler(spec.roll, spec.pitch, spec.yaw)
    return Eye(position, axes, spec.tangents, spec.focal_px)
