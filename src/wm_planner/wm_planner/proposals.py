"""Sequences that are tried whatever the search has come to: manoeuvres."""

from __future__ import annotations

import numpy as np

MANOEUVRES = (-0.4, -0.9, 0.0, 0.4)  # accel: brake, firm brake, coast, go
LAST_RESORTS = (-0.9, -1.0)


def with_accel(plan: np.ndarray, accels: tuple[float, ...]) -> np.ndarray:
    """The steering of a plan (M, 2) with each of P constant accelerations, (P, M, 2)."""
    proposals = np.repeat(plan[None], len(accels), 0)
    proposals[:, :, 1] = np.array(accels)[:, None]
    return proposals
