"""Episodes as ``.npz`` files, for and from other programs.

A file holds one episode of T frames::

    observations (T, C, H, W)  of a store with masks: uint8 0 or 1, the planes of wm_perception.bev
    actions      (T, 3)        float32 steer, throttle, brake of the interval that ends at the frame
    rewards      (T,)          float32
    dones        (T,)          bool: the episode ends here, by a crash or with the file

and, when written here, what gives back the very same store: ``format``, ``columns``, every column
that the four do not carry, ``label_names``, ``frame_dt``, ``info`` (JSON), ``sha256``, and
``steer_sign`` in words: positive steering is to the ``left`` (REP-103) or, as CARLA has it, to the
``right``. Nothing is ever pickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wm_dynamics.errors import UserError
from wm_dynamics.heads import LABELS
from wm_perception.bev import CHANNELS, SIZE_PX
from wm_training.npz_file import EpisodeError, load_arrays
from wm_training.store_columns import COLUMNS, OBSERVATIONS, digest, known_columns
from wm_training.store_manifest import read_episodes, read_manifest

FORMAT = "wm-drive episode 1"
SIGNS = {"left": 1.0, "right": -1.0}
FOUR = ("observations", "actions", "rewards", "dones")
ROUNDING = 1e-5  # an action may be this far out of its range


@dataclass(frozen=True)
class Episode:
    """One episode, ready for a store.

    Attributes:
        arrays: by column name.
        columns: names of the columns, in the store's order.
        labels: names of the label columns.
        frame_dt: seconds between frames; None when the file does not say.
        info: what its writer noted.
    """

    arrays: dict[str, np.ndarray]
    columns: tuple[str, ...]
    labels: tuple[str, ...]
    frame_dt: float | None
    info: dict[str, Any]

    @property
    def missing(self) -> list[str]:
        """What the driving model learns from and this episode lacks."""
        lacking = [f"the column {key}" for key in COLUMNS if key not in self.columns]
        names = [name for name in LABELS if name not in self.labels]
        return lacking + ([f"the labels {', '.join(names)}"] if names else [])


def four_arrays(columns: Mapping[str, np.ndarray], labels: list[str]) -> dict[str, np.ndarray]:
    """The four arrays that everybody knows, from the columns of a store."""
    if "bev" in columns:
        bits = np.arange(len(CHANNELS), dtype=np.uint8)[:, None, None]
        observations = (np.asarray(columns["bev"])[:, None] >> bits) & 1
    else:
        observations = np.asarray(columns[OBSERVATIONS])
    steer, accel = np.asarray(columns["command"], np.float32).T
    dones = columns["labels"][:, labels.index("cont")] == 0.0
    dones[-1] = True
    return {
        "observations": observations,
        "actions": np.stack([steer, np.maximum(accel, 0), np.maximum(-accel, 0)], -1),
        "rewards": np.array(columns["labels"][:, labels.index("reward")], np.float32),
        "dones": dones,
    }


def export_store(store: Path, out: Path) -> int:
    """Write every episode of a store as a file of its own.

    Returns:
        The number of files.

    Raises:
        UserError: no store, or a file exists already.
    """
    manifest = read_manifest(store)
    if not manifest["episodes"]:
        raise UserError(f"no finished episode in {store}")
    out.mkdir(parents=True, exist_ok=True)
    for entry, columns in read_episodes(store, manifest):
        file = out / f"{entry['name']}.npz"
        if file.exists():
            raise UserError(f"{file} exists already; choose another folder")
        arrays = four_arrays(columns, manifest["labels"])
        arrays |= {k: np.asarray(v) for k, v in columns.items() if k not in ("bev", OBSERVATIONS)}
        arrays |= {
            "format": np.array(FORMAT),
            "columns": np.array(manifest["columns"]),
            "label_names": np.array(manifest["labels"]),
            "frame_dt": np.array(manifest["frame_dt"], np.float64),
            "info": np.array(json.dumps(entry["info"])),
            "sha256": np.array(entry["sha256"]),
            "steer_sign": np.array("left"),
        }
        draft = file.with_suffix(".tmp")
        with draft.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **arrays)
        os.replace(draft, file)
    return len(manifest["episodes"])


def read_episode(file: Path, steer_sign: str | None = None) -> Episode:
    """Read one file.

    Args:
        file: the ``.npz`` file.
        steer_sign: where positive steering leads, ``left`` or ``right``, if the file does not say.

    Raises:
        EpisodeError: it is no episode; the text says why.
    """
    arrays = load_arrays(file)
    missing = [name for name in FOUR if name not in arrays]
    if missing:
        raise EpisodeError(f"it has no array {', '.join(missing)}")
    _check_four(arrays)
    if "format" in arrays:
        return _own(arrays)
    return _foreign(arrays, steer_sign)


def _check_four(arrays: Mapping[str, np.ndarray]) -> None:
    frames = len(arrays["observations"]) if arrays["observations"].ndim else 0
    wanted = {
        "observations": (4, "(T, C, H, W)"),
        "actions": (2, "(T, 3): steer, throttle, brake"),
        "rewards": (1, "(T,)"),
        "dones": (1, "(T,)"),
    }
    for name, (dimensions, text) in wanted.items():
        array = arrays[name]
        if array.ndim != dimensions or (name == "actions" and array.shape[1] != 3):
            raise EpisodeError(f"{name} has shape {array.shape}, expected {text}")
        if array.dtype.kind not in "buif":
            raise EpisodeError(f"{name} holds {array.dtype}, not numbers")
        if len(array) != frames:
            raise EpisodeError(f"{name} has {len(array)} rows, observations {frames}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise EpisodeError(f"{name} holds values that are not finite")
    if frames < 2 or not arrays["observations"].size:
        raise EpisodeError(f"it has {frames} frames of shape {arrays['observations'].shape[1:]}")
    actions, dones = arrays["actions"], arrays["dones"]
    low, high = np.array([-1.0, 0.0, 0.0]) - ROUNDING, 1.0 + ROUNDING
    if ((actions < low) | (actions > high)).any():
        raise EpisodeError("actions go beyond steer -1 to 1, throttle and brake 0 to 1")
    if not np.isin(dones, (0, 1)).all():
        raise EpisodeError("dones holds other values than 0 and 1")


def _own(arrays: Mapping[str, np.ndarray]) -> Episode:
    """An episode that was written here, exactly as it was."""
    if _text(arrays, "format") != FORMAT:
        raise EpisodeError(
            f"its format is {_text(arrays, 'format')!r}, this version has {FORMAT!r}"
        )
    names, labels = _texts(arrays, "columns"), _texts(arrays, "label_names")
    if not known_columns(names) or not {"command", "labels"} <= set(names):
        raise EpisodeError(f"it names columns that no store has: {names}")
    columns = {}
    for name in names:
        if name == "bev":
            columns[name] = _packed(arrays["observations"])
        elif name in arrays:
            columns[name] = arrays[name]
        else:
            raise EpisodeError(f"it has no array {name}")
    if digest(columns, names) != _text(arrays, "sha256"):
        raise EpisodeError("its arrays are not those that were exported: the hash differs")
    if {"reward", "cont"} - set(labels) or columns["labels"].shape[1] != len(labels):
        raise EpisodeError("label_names does not fit labels")
    for name, expected in four_arrays(columns, list(labels)).items():
        if not np.array_equal(arrays[name], expected):
            raise EpisodeError(f"{name} was changed after the export; its columns say otherwise")
    try:
        info = dict(json.loads(_text(arrays, "info")))
    except (ValueError, TypeError):
        raise EpisodeError("info is no JSON object") from None
    return Episode(columns, names, labels, _frame_dt(arrays), info)


def _foreign(arrays: Mapping[str, np.ndarray], steer_sign: str | None) -> Episode:
    """An episode of another program: what of it a store can hold."""
    sign = _text(arrays, "steer_sign") if "steer_sign" in arrays else steer_sign
    if sign not in SIGNS:
        raise EpisodeError(
            "it does not say where positive steering leads; add --steer-sign left (REP-103) or "
            "--steer-sign right (CARLA)"
        )
    observations = arrays["observations"]
    columns: dict[str, np.ndarray] = {}
    is_bev = observations.shape[1:] == (len(CHANNELS), SIZE_PX, SIZE_PX)
    if is_bev and np.isin(observations, (0, 1)).all():
        columns["bev"] = _packed(observations)
    else:
        kind = np.uint8 if observations.dtype in (np.uint8, np.bool_) else np.float32
        columns[OBSERVATIONS] = observations.astype(kind)
    steer, throttle, brake = arrays["actions"].astype(np.float32).T
    # Brake wins over throttle, as in the vehicle.
    accel = np.where(brake > 0.0, -brake, throttle)
    columns["command"] = np.stack([SIGNS[sign] * steer, accel], -1)
    for name in ("state", "route", "motion"):
        if name in arrays:
            columns[name] = arrays[name]
    labels: tuple[str, ...] = ("reward", "cont")
    if "labels" in arrays and "label_names" in arrays:
        labels, columns["labels"] = _texts(arrays, "label_names"), arrays["labels"]
        if {"reward", "cont"} - set(labels):
            raise EpisodeError("label_names lacks reward or cont")
    else:
        columns["labels"] = np.stack([arrays["rewards"], 1.0 - arrays["dones"]], -1)
    order = tuple(name for name in (OBSERVATIONS, *COLUMNS) if name in columns)
    return Episode(columns, order, labels, _frame_dt(arrays), {"source": "npz"})


def _packed(observations: np.ndarray) -> np.ndarray:
    """(T, C, H, W) planes of 0 and 1 -> (T, H, W) bit masks."""
    if observations.shape[1] != len(CHANNELS) or not np.isin(observations, (0, 1)).all():
        raise EpisodeError(f"observations are not {len(CHANNELS)} planes of 0 and 1")
    bits = np.arange(len(CHANNELS), dtype=np.uint8)[:, None, None]
    return (observations.astype(np.uint8) << bits).sum(1, dtype=np.uint8)


def _text(arrays: Mapping[str, np.ndarray], name: str) -> str:
    array = arrays.get(name)
    if array is None or array.ndim or array.dtype.kind != "U":
        raise EpisodeError(f"{name} is missing or no text")
    return str(array)


def _texts(arrays: Mapping[str, np.ndarray], name: str) -> tuple[str, ...]:
    array = arrays.get(name)
    if array is None or array.ndim != 1 or array.dtype.kind != "U":
        raise EpisodeError(f"{name} is missing or no list of texts")
    return tuple(str(text) for text in array)


def _frame_dt(arrays: Mapping[str, np.ndarray]) -> float | None:
    if "frame_dt" not in arrays:
        return None
    array = arrays["frame_dt"]
    if array.ndim or array.dtype.kind not in "uif" or not 0.0 < float(array) < np.inf:
        raise EpisodeError("frame_dt is no positive number of seconds")
    return float(array)
