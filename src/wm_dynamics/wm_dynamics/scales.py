"""Numbers that networks of every runtime agree on; free of torch."""

from __future__ import annotations

SPEED_SCALE = 10.0  # proprioception carries speed / 10
# Metres, metres and radians per step brought to about one.
MOTION_SCALE = (0.5, 8.0, 10.0)
DRIVE_DIM = 6  # action (2), scaled motion (3), speed/10 (1)

DISAGREEMENT_STEPS = 3  # evaluated at 1/3, 2/3 and the end of the horizon


def checked_steps(horizon: int) -> list[int]:
    """Indices of the steps at which the ensemble is compared."""
    thirds = (round((i + 1) * horizon / DISAGREEMENT_STEPS) - 1 for i in range(DISAGREEMENT_STEPS))
    return sorted({max(0, step) for step in thirds})
