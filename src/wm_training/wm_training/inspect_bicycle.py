"""What a learned path has to beat: constant velocity, and a kinematic bicycle fitted to driving."""

from __future__ import annotations

import numpy as np
import torch

from wm_dynamics.ego import SPEED_SCALE
from wm_training.inspect_moments import Ego

STEPS, RATE = 250, 0.03
MOST_WINDOWS = 1024
# Largest wheel angle (rad), wheelbase (m), centre ahead of the rear axle (m), acceleration at full
# throttle and at full brake (m/s^2), drag (1/s), rolling resistance (m/s^2).
START = (0.6, 2.8, 1.4, 3.0, 7.0, 0.05, 0.1)


def constant_velocity(ego: Ego) -> np.ndarray:
    """(N, H, 2) straight ahead at the speed of now."""
    path = np.zeros((*ego.path.shape[:2], 2))
    times = np.arange(1, path.shape[1] + 1) * ego.dt
    path[..., 0] = ego.state[:, :1] * SPEED_SCALE * times
    return path


def fit_bicycle(ego: Ego) -> np.ndarray:
    """Parameters of the bicycle that drives these windows best, positions over the whole horizon.

    Returns:
        (7,) in the order of ``START``.
    """
    rows = np.linspace(0, len(ego.state) - 1, min(len(ego.state), MOST_WINDOWS)).round()
    ego = ego[rows.astype(int)]
    state, actions = torch.from_numpy(ego.state), torch.from_numpy(ego.actions)
    truth, inside = torch.from_numpy(ego.path[..., :2]), torch.from_numpy(ego.inside)
    start = torch.tensor(START)
    logs = torch.zeros(len(START), requires_grad=True)  # all are positive
    optimiser = torch.optim.Adam([logs], RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        optimiser.zero_grad()
        path = _roll(start * logs.exp(), state, actions, ego.dt)
        error = ((path - truth).square().sum(-1) + 1e-4).sqrt()
        error[inside].mean().backward()
        optimiser.step()
        schedule.step()
    return (start * logs.exp()).detach().numpy()


def bicycle(parameters: np.ndarray, ego: Ego) -> np.ndarray:
    """(N, H, 2) path of the bicycle under the true actions."""
    with torch.inference_mode():
        shape, state, actions = (
            torch.from_numpy(np.asarray(array, np.float32))
            for array in (parameters, ego.state, ego.actions)
        )
        return _roll(shape, state, actions, ego.dt).numpy()


def _roll(
    parameters: torch.Tensor, state: torch.Tensor, actions: torch.Tensor, dt: float
) -> torch.Tensor:
    """Kinematic bicycle at the vehicle's centre (Polack et al. 2017), midpoint rule."""
    wheel, base, rear, throttle, brake, drag, rolling = parameters
    speed = state[:, 0] * SPEED_SCALE
    x = y = yaw = torch.zeros_like(speed)
    path = []
    for steer, accel in zip(actions[..., 0].T, actions[..., 1].T, strict=True):
        push = throttle * accel.clamp_min(0.0) + brake * accel.clamp_max(0.0)
        after = (speed + dt * (push - drag * speed - rolling)).clamp_min(0.0)
        distance = dt * 0.5 * (speed + after)
        tangent = torch.tan(wheel * steer.clamp(-1.0, 1.0))
        slip = torch.atan(rear / base * tangent)
        turn = distance * slip.cos() * tangent / base
        heading = yaw + 0.5 * turn + slip
        x, y, yaw = x + distance * heading.cos(), y + distance * heading.sin(), yaw + turn
        speed = after
        path.append(torch.stack([x, y], -1))
    return torch.stack(path, 1)
