"""Columns of a training store: which there are, their types and shapes, and the check of both.

Every store has a list of columns. The six of :data:`COLUMNS` are what the driving model learns
from. A camera ``NAME`` adds ``image-NAME`` and ``age-NAME``, a lidar adds ``lidar_bev``. An
imported episode of another program may hold ``observations`` and lack some of the six.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence

import numpy as np

COLUMNS = ("bev", "state", "route", "command", "motion", "labels")
OBSERVATIONS = "observations"
TEACHER = "teacher"
LIDAR = "lidar_bev"
IMAGE, AGE = "image-", "age-"
WIDTHS = {"state": 5, "command": 2, "motion": 3, TEACHER: 2}
_NAME = re.compile(r"[a-z]+|(image|age)-[A-Za-z_][A-Za-z0-9_]*")


def camera_columns(cameras: Sequence[str]) -> tuple[str, ...]:
    """The columns that cameras of these names add."""
    return tuple(prefix + name for name in cameras for prefix in (IMAGE, AGE))


def cameras_of(columns: Sequence[str]) -> list[str]:
    """Names of the cameras among columns."""
    return [column.removeprefix(IMAGE) for column in columns if column.startswith(IMAGE)]


def known_columns(columns: Sequence[str]) -> bool:
    """Whether all of them are columns that a store may have, each once."""
    return len(set(columns)) == len(columns) and all(
        column in (*COLUMNS, OBSERVATIONS, LIDAR, TEACHER)
        or ("-" in column and _NAME.fullmatch(column))
        for column in columns
    )


def checked(
    arrays: Mapping[str, np.ndarray], columns: Sequence[str], labels: int
) -> dict[str, np.ndarray]:
    """The columns of one episode with the right types and shapes.

    Args:
        arrays: by column name, the same first length everywhere.
        columns: those wanted.
        labels: width of the column ``labels``.

    Raises:
        ValueError: a column is missing, has another shape, or values that are not finite.
    """
    missing = set(columns) - set(arrays)
    if missing:
        raise ValueError(f"episode lacks the columns {sorted(missing)}")
    frames = len(arrays[columns[0]])
    result = {}
    for key in columns:
        column = np.ascontiguousarray(arrays[key], _dtype(key, arrays[key]))
        if len(column) != frames or column.ndim not in _dimensions(key):
            raise ValueError(f"column {key} has shape {column.shape}, expected {frames} rows")
        width = labels if key == "labels" else WIDTHS.get(key)
        if width is not None and column.shape[1] != width:
            raise ValueError(f"column {key} has width {column.shape[1]}, expected {width}")
        # A picture's age is NaN where there is no picture.
        if not key.startswith(AGE) and column.dtype != np.uint8 and not np.isfinite(column).all():
            raise ValueError(f"column {key} holds values that are not finite")
        result[key] = column
    return result


def _dtype(key: str, array: np.ndarray) -> np.dtype:
    if key in ("bev", LIDAR):
        return np.dtype(np.uint8)
    if key.startswith(IMAGE):  # colours, or metres of depth
        return np.dtype(np.uint8 if array.dtype == np.uint8 else np.float16)
    if key == OBSERVATIONS and array.dtype == np.uint8:
        return np.dtype(np.uint8)
    return np.dtype(np.float32)


def _dimensions(key: str) -> tuple[int, ...]:
    """Allowed numbers of dimensions."""
    if key == "bev":
        return (3,)
    if key in (OBSERVATIONS, LIDAR):
        return (4,)
    if key.startswith(IMAGE):
        return (3, 4)
    return (1,) if key.startswith(AGE) else (2,)


def digest(columns: Mapping[str, np.ndarray], names: Sequence[str]) -> str:
    """SHA-256 of an episode: of the bytes of its columns, in the order of ``names``."""
    total = hashlib.sha256()
    for name in names:
        total.update(np.ascontiguousarray(columns[name]).reshape(-1).view(np.uint8).data)
    return total.hexdigest()


def content_hash(episodes: Sequence[Mapping]) -> str:
    """Hash of a store's content: of its episodes' hashes, in order."""
    return hashlib.sha256("".join(e["sha256"] for e in episodes).encode()).hexdigest()[:16]
