"""Ego dynamics: how the vehicle itself moves under an action, apart from the rest of the world.

Motion decoded from a latent is metres off after a second; this small net, learned in seconds, is
centimetres off. It is a residual on "constant speed and turn rate for one step".
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from wm_dynamics.scales import SPEED_SCALE as SPEED_SCALE  # state[0] is speed / 10


class EgoNet(nn.Module):
    """(state, action) -> next state and the motion of one step.

    State (5): speed/10 [m/s], yaw rate [rad/s], steer echo, accel echo, acceleration/5 [m/s^2].
    Action (2): steer (left positive) and accel in [-1, 1]. Motion (3): dx, dy [m] and dyaw [rad]
    in the frame of the vehicle before the step. The echoes of the next state are the action.
    """

    def __init__(self, hidden: int, dt: float):
        super().__init__()
        self.dt = dt
        self.net = nn.Sequential(
            nn.Linear(7, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(),
            nn.Linear(hidden, 6),
        )  # fmt: skip
        # Typical size of a one-step residual: speed/10, yaw rate, accel/5, dx, dy, dyaw.
        self.register_buffer("scale", torch.tensor([0.1, 0.3, 0.5, 0.2, 0.1, 0.1]))

    def forward(
        self, state: torch.Tensor, action: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """state (..., 5), action (..., 2) -> next state (..., 5), motion (..., 3)."""
        residual = self.net(torch.cat([state, action], -1)) * self.scale
        speed, yaw_rate = state[..., :1], state[..., 1:2]
        distance, turn = speed * (SPEED_SCALE * self.dt), yaw_rate * self.dt
        following = torch.cat(
            [state[..., :2] + residual[..., :2], action, state[..., 4:] + residual[..., 2:3]], -1
        )
        motion = torch.cat([distance, 0.5 * distance * turn, turn], -1) + residual[..., 3:]
        return following, motion

    @torch.inference_mode()
    def expected(self, state: torch.Tensor, action: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """As the network itself, as numpy arrays."""
        following, motion = self(state, action)
        return following.numpy(), motion.numpy()

    def roll(self, state: torch.Tensor, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """state (N, 5), actions (N, H, 2) -> states (N, H, 5) and motions (N, H, 3) per step."""
        states, motions = [], []
        for t in range(actions.shape[1]):
            state, motion = self(state, actions[:, t])
            states.append(state)
            motions.append(motion)
        return torch.stack(states, 1), torch.stack(motions, 1)


def follow(pose: torch.Tensor, motion: torch.Tensor) -> torch.Tensor:
    """The pose (N, 3) after a motion (N, 3) in its own frame; both x, y (m), yaw (rad)."""
    cos, sin = pose[:, 2].cos(), pose[:, 2].sin()
    x = pose[:, 0] + cos * motion[:, 0] - sin * motion[:, 1]
    y = pose[:, 1] + sin * motion[:, 0] + cos * motion[:, 1]
    return torch.stack([x, y, pose[:, 2] + motion[:, 2]], -1)


def integrate(motions: torch.Tensor) -> torch.Tensor:
    """Per-step motions (..., H, 3) -> path (..., H, 3): x, y, yaw in the frame of step 0."""
    yaw = motions[..., 2].cumsum(-1)
    before = yaw - motions[..., 2]
    cos, sin = before.cos(), before.sin()
    dx, dy = motions[..., 0], motions[..., 1]
    x = (cos * dx - sin * dy).cumsum(-1)
    y = (sin * dx + cos * dy).cumsum(-1)
    return torch.stack([x, y, yaw], -1)
