"""A kinematic world whose best plan is known, with an ensemble whose members may disagree."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

STRAIGHT = np.stack([np.arange(-5.0, 46.0), np.zeros(51)], 1)
PROBABILITIES = (
    "leader_presence", "stop_presence", "collision", "near", "off_road", "red_violation",
)  # fmt: skip


@dataclass
class Imagined:
    path: np.ndarray
    speed: np.ndarray
    heads: dict[str, np.ndarray]
    disagreement: np.ndarray
    spreads: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))


class ToyWorld:
    """A vehicle on a plane.

    Args:
        stop_m: a red stop line that far ahead.
        wall_m: by member: where each believes a wall to be; the last is the most pessimistic.
        broken: imagination is not finite; may be switched.
        spread: disagreement at the three checked steps.
    """

    dt = 0.2

    def __init__(self, stop_m=None, wall_m=(None,), broken=False, spread=(0.0, 0.0, 0.0)):
        self.stop_m, self.wall_m, self.broken, self.spread = stop_m, wall_m, broken, spread
        self.members = len(wall_m)
        self.calls = {"imagine": 0, "imagine_members": 0}

    def imagine(self, latent, ego_state, actions):
        self.calls["imagine"] += 1
        return self._imagine(ego_state, actions, [self.wall_m[0]] * len(actions))

    def imagine_members(self, latent, ego_state, actions):
        self.calls["imagine_members"] += 1
        walls = [wall for wall in self.wall_m for _ in actions]
        return self._imagine(ego_state, np.concatenate([actions] * self.members), walls)

    def perceive(self, latent):
        now = dict.fromkeys(PROBABILITIES, 0.0) | {"leader_gap": 100.0, "leader_speed": 0.0}
        present = float(self.stop_m is not None)
        return now | {"stop_presence": present, "stop_distance": self.stop_m or 100.0}

    def _imagine(self, ego_state, actions, walls):
        n, horizon, _ = actions.shape
        speed = np.full(n, ego_state[0] * 10.0)
        pose = np.zeros((n, 3))
        path, speeds = [], []
        for t in range(horizon):
            speed = np.maximum(0.0, speed + 4.0 * actions[:, t, 1] * self.dt)
            pose = pose + self.dt * np.stack(
                [speed * np.cos(pose[:, 2]), speed * np.sin(pose[:, 2]),
                 0.2 * speed * actions[:, t, 0]], 1
            )  # fmt: skip
            path.append(pose)
            speeds.append(speed)
        path, speeds = np.stack(path, 1), np.stack(speeds, 1)
        if self.broken:
            path = path * np.nan
        heads = {name: np.zeros((n, horizon)) for name in PROBABILITIES}
        for name in ("leader_gap", "leader_speed", "stop_distance"):
            heads[name] = np.full((n, horizon), 100.0)
        if self.stop_m is not None:
            heads["stop_presence"] += 1.0
            heads["stop_distance"] = self.stop_m - path[..., 0]
        for row, wall in enumerate(walls):
            if wall is not None:
                heads["collision"][row] = path[row, :, 0] > wall
        spreads = np.tile(self.spread, (n, 1))
        return Imagined(path, speeds, heads, spreads.mean(1), spreads)


def state(speed):
    return np.array([speed / 10.0, 0, 0, 0, 0], np.float32)


def settle(planner, speed, reference=STRAIGHT, cycles=8, **frame):
    for _ in range(cycles):
        plan = planner.plan(None, state(speed), reference, **frame)
    return plan
