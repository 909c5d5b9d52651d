"""The baseline that imagination has to beat: hazards as they are seen now, at constant speed.

The vehicle's own motion is imagined as ever. Everything else is what the heads say of the present:
the leader drives on as it does, the light keeps its colour, and the rest stays as likely as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def perceived(now: Mapping[str, float], speed: np.ndarray, dt: float) -> dict[str, np.ndarray]:
    """Heads over the horizon from the heads of now.

    Args:
        now: head values at the present belief.
        speed: (N, H) own speed after each step, m/s.
        dt: seconds per step.

    Returns:
        Head values (N, H). Reaching the leader is a collision, passing the line a red light run.
    """
    travelled = dt * speed.cumsum(1)
    passed_s = dt * np.arange(1, speed.shape[1] + 1)
    heads = {name: np.full(speed.shape, value) for name, value in now.items()}
    heads["leader_gap"] = now["leader_gap"] + now["leader_speed"] * passed_s - travelled
    heads["stop_distance"] = now["stop_distance"] - travelled
    for sure, distance, presence in (
        ("collision", "leader_gap", "leader_presence"),
        ("red_violation", "stop_distance", "stop_presence"),
    ):
        reached = now[presence] * (heads[distance] <= 0.0)
        heads[sure] = np.maximum(heads[sure], reached)
    return heads
