"""Sums in order: every machine, and C++, rounds them alike, as it would not with numpy's own."""

from __future__ import annotations

import numpy as np


def total(values: np.ndarray) -> np.ndarray:
    """(..., N) -> (...), the first two first."""
    return np.add.accumulate(values, axis=-1)[..., -1]


def product(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """rows (..., N) @ matrix (N, M) -> (..., M)."""
    summed = rows[..., :1] * matrix[0]
    for i in range(1, len(matrix)):
        summed += rows[..., i : i + 1] * matrix[i]
    return summed
