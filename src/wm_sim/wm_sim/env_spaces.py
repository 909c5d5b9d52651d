"""Observation and action spaces of the driving environment, and the conversions to them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from gymnasium import spaces

from wm_dynamics.errors import UserError
from wm_perception.bev import CHANNELS, EGO_ROW, METRES_PER_PX, SIZE_PX, planes
from wm_perception.frame import Command, SceneFrame
from wm_perception.observation import ROUTE_POINTS, STATE_NAMES, Observation

# CarDreamer's discrete actions: acceleration (m/s^2, 3 is full throttle or brake) by steering
# (left positive, fraction of the maximum).
ACCELERATIONS, FULL_ACCELERATION = (-2.0, 0.0, 2.0), 3.0
STEERINGS = (-0.6, -0.2, 0.0, 0.2, 0.6)

_PARTS = {"continuous": ("steer", "accel"), "reversible": ("steer", "accel", "gear")}

RENDER_SCALE = 6
_PAPER_RGB = (24, 26, 30)
_CHANNEL_RGB = {
    "road": (70, 72, 78),
    "lane_line": (225, 222, 210),
    "route": (64, 132, 214),
    "vehicle_motion": (236, 176, 60),
    "vehicle": (84, 190, 108),
    "stop_line": (226, 60, 54),
}
_EGO_RGB = (240, 240, 240)


def observation_space(camera: tuple[int, int] | None) -> spaces.Dict:
    """Masks, state, route and perhaps a picture of (width, height) px."""
    parts: dict[str, spaces.Space] = {
        "bev": spaces.Box(0, 1, (len(CHANNELS), SIZE_PX, SIZE_PX), np.uint8),
        "state": spaces.Box(-np.inf, np.inf, (len(STATE_NAMES),), np.float32),
        "route": spaces.Box(-np.inf, np.inf, (2 * ROUTE_POINTS,), np.float32),
    }
    if camera is not None:
        parts["camera"] = spaces.Box(0, 255, (camera[1], camera[0], 3), np.uint8)
    return spaces.Dict(parts)


def action_space(kind: str) -> spaces.Space:
    """(steer, accel) in [-1, 1], with the gear if reversible, or the 15 discrete actions."""
    if kind == "discrete":
        return spaces.Discrete(len(ACCELERATIONS) * len(STEERINGS))
    return spaces.Box(-1.0, 1.0, (len(_PARTS[kind]),), np.float32)


def observed(observation: Observation, frame: SceneFrame) -> dict[str, Any]:
    """An observation as an element of the space."""
    found = {
        "bev": planes(observation.bev),
        "state": observation.state,
        "route": observation.route,
    }
    if frame.image is not None:
        found["camera"] = frame.image
    return found


def to_command(action: Any, kind: str) -> Command:
    """The command of an action; continuous values beyond [-1, 1] are clipped.

    Raises:
        UserError: not an action of that kind, or not finite.
    """
    if kind == "discrete":
        count = len(ACCELERATIONS) * len(STEERINGS)
        if not (np.ndim(action) == 0 and 0 <= action < count and int(action) == action):
            raise UserError(f"a discrete action is 0 to {count - 1}, not {action!r}")
        accel, steer = divmod(int(action), len(STEERINGS))
        return Command(STEERINGS[steer], ACCELERATIONS[accel] / FULL_ACCELERATION)
    values, parts = np.asarray(action, float), _PARTS[kind]
    if values.shape != (len(parts),) or not np.isfinite(values).all():
        raise UserError(f"an action is finite numbers ({', '.join(parts)}), not {action!r}")
    steer, accel, *gear = np.clip(values, -1.0, 1.0).tolist()
    return Command(steer, accel, reverse=bool(gear) and gear[0] < 0.0)


def picture(observation: Observation, frame: SceneFrame) -> np.ndarray:
    """(384, 384, 3) uint8 RGB drawing of the masks, with the ego, for ``render``."""
    masks = planes(observation.bev).astype(bool)
    canvas = np.full((SIZE_PX, SIZE_PX, 3), _PAPER_RGB, np.uint8)
    for name, rgb in _CHANNEL_RGB.items():
        canvas[masks[CHANNELS.index(name)]] = rgb
    canvas = canvas.repeat(RENDER_SCALE, 0).repeat(RENDER_SCALE, 1)
    scale = RENDER_SCALE / METRES_PER_PX
    centre = np.array([0.5, EGO_ROW]) * SIZE_PX * RENDER_SCALE
    half = np.array([frame.ego.width, frame.ego.length]) / 2 * scale
    low, high = np.round(centre - half).astype(int), np.round(centre + half).astype(int)
    cv2.rectangle(canvas, low.tolist(), high.tolist(), _EGO_RGB, cv2.FILLED)
    return canvas
