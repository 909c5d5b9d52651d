"""Training store: finished episodes as memory-mapped arrays beside one manifest.

Layout::

    store/
      manifest.json           written last, atomically, after every episode
      writer.lock             locked while a process writes
      episode-000000/bev.npy  (F, 64, 64) uint8 bitmask, bit k = channel k
                     state.npy   (F, 5)   speed/10, yaw rate, steer and accel echo, accel/5
                     route.npy   (F, 20)  ego-frame way points, flattened
                     command.npy (F, 2)   steer, accel of the interval that ends at this frame
                     motion.npy  (F, 3)   dx, dy [m], dyaw [rad] since the previous frame
                     labels.npy  (F, L)   columns ``wm_dynamics.heads.LABELS``
                     image-NAME.npy (F, h, w, 3) uint8 RGB, or (F, h, w) float16 depth in metres
                     age-NAME.npy   (F,) seconds from the picture to the frame; NaN: no picture
                     lidar_bev.npy (F, C, S, S) uint8 returns per cell and height band
                     teacher.npy (F, 2) steer, accel that a teacher would give from this frame on

Frames are ``frame_dt`` seconds apart. An episode directory that the manifest does not name is
unfinished and ignored, so a killed writer loses at most the episode it was writing.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np

from wm_dynamics.errors import UserError
from wm_dynamics.heads import LABELS
from wm_dynamics.streams import VECTORS
from wm_training.store_columns import (
    AGE,
    COLUMNS,
    IMAGE,
    LIDAR,
    TEACHER,
    cameras_of,
    checked,
    content_hash,
    digest,
)
from wm_training.store_manifest import (
    FORMAT,
    MANIFEST,
    check_fit,
    permit_open_files,
    read_episodes,
    read_manifest,
)

LOCK = "writer.lock"
CAMERA = "camera_"  # stream names of cameras begin with it


class StoreWriter:
    """Appends episodes to a store; continues an existing one. One writer at a time.

    Nothing is created before the first episode.

    Args:
        path: the store's directory.
        frame_dt: seconds between frames.
        labels: names of the label columns.
        columns: names of the columns, see :mod:`wm_training.store_columns`.
    """

    def __init__(
        self,
        path: Path | str,
        frame_dt: float = 0.1,
        labels: Sequence[str] = LABELS,
        columns: Sequence[str] = COLUMNS,
    ):
        self.path = Path(path)
        self._lock: TextIO | None = None
        self._fresh = {
            "format": FORMAT,
            "frame_dt": frame_dt,
            "labels": list(labels),
            "columns": list(columns),
            "hash": "",
            "episodes": [],
        }
        self.manifest = self._read()

    def _read(self) -> dict:
        """The manifest on disk, or a new one."""
        if not (self.path / MANIFEST).exists():
            return self._fresh
        manifest = read_manifest(self.path)
        for key in ("frame_dt", "labels", "columns"):
            if manifest[key] != self._fresh[key]:
                raise UserError(
                    f"{self.path} was written with {key} {manifest[key]}, not {self._fresh[key]}; "
                    "append with the same or choose another directory"
                )
        return manifest

    def append_episode(self, arrays: Mapping[str, np.ndarray], info: Mapping | None = None) -> None:
        """Write one finished episode.

        Args:
            arrays: the columns, all with the same first length.
            info: small JSON-able facts (town, seed, style) kept in the manifest.

        Raises:
            ValueError: a column is missing or malformed.
            UserError: another process writes to this store.
        """
        self.append_episodes([(arrays, info or {})])

    def append_episodes(self, episodes: Sequence[tuple[Mapping[str, np.ndarray], Mapping]]) -> None:
        """Write episodes that belong together: a store has all of them or none.

        Args:
            episodes: columns and facts of each, see :meth:`append_episode`. An array that several
                of them have is kept once.

        Raises:
            ValueError: a column is missing or malformed.
            UserError: another process writes to this store.
        """
        names, labels = self.manifest["columns"], len(self.manifest["labels"])
        checked_columns = [checked(arrays, names, labels) for arrays, _ in episodes]
        self._acquire()
        written: dict[int, Path] = {}
        for columns, (_, info) in zip(checked_columns, episodes, strict=True):
            name = f"episode-{len(self.manifest['episodes']):06d}"
            folder = self.path / name
            folder.mkdir(exist_ok=True)
            for key in names:
                _save(columns[key], folder / f"{key}.npy", written)
            self.manifest["episodes"].append(
                {
                    "name": name,
                    "frames": len(columns[names[0]]),
                    "sha256": digest(columns, names),
                    "info": dict(info),
                }
            )
        self.manifest["hash"] = content_hash(self.manifest["episodes"])
        self._write_manifest()

    def _acquire(self) -> None:
        """Become the one writer; the system releases the lock of a killed one."""
        if self._lock is not None:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        lock = (self.path / LOCK).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise UserError(f"another process is writing to {self.path}; wait for it") from None
        self._lock = lock
        self.manifest = self._read()

    def close(self) -> None:
        """Let others write. Nothing else is left open between episodes."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _write_manifest(self) -> None:
        draft = self.path / (MANIFEST + ".tmp")
        draft.write_text(json.dumps(self.manifest, indent=1))
        os.replace(draft, self.path / MANIFEST)


def _save(column: np.ndarray, path: Path, written: dict[int, Path]) -> None:
    """Write a column; one that was written for another episode just now gets a second name."""
    path.unlink(
        missing_ok=True
    )  # of an unfinished episode, perhaps another's file by a second name
    first = written.setdefault(id(column), path)
    if first == path:
        np.save(path, column)
    else:
        os.link(first, path)


@dataclass(frozen=True)
class Store:
    """Episodes of one or more stores, read-only.

    Attributes:
        bev: one memory-mapped (F_e, S, S) uint8 array per episode.
        columns: the small columns of all episodes, concatenated, in memory; "labels" (F, L) ...,
            and "teacher" (F, 2) where all the stores have it.
        starts: (E + 1,) first frame of each episode in ``columns``.
        labels: label names.
        frame_dt: seconds between frames.
        hash: content hash.
        infos: per episode, what its writer noted.
        images: camera name -> one memory-mapped array of pictures per episode; cameras that all
            the stores have.
        ages: camera name -> (F,) seconds from picture to frame, NaN where there is none.
        lidar: one memory-mapped array per episode; empty unless all the stores have it.
    """

    bev: list[np.ndarray]
    columns: dict[str, np.ndarray]
    starts: np.ndarray
    labels: tuple[str, ...]
    frame_dt: float
    hash: str
    infos: list[dict]
    images: dict[str, list[np.ndarray]] = field(default_factory=dict)
    ages: dict[str, np.ndarray] = field(default_factory=dict)
    lidar: list[np.ndarray] = field(default_factory=list)

    @staticmethod
    def open(*paths: Path | str) -> Store:
        """Open one or more store directories as one.

        Raises:
            UserError: a directory is no store, is empty, lacks what the driving model learns from,
                or does not fit the others.
        """
        manifests = [(Path(p), read_manifest(Path(p))) for p in paths]
        if not manifests:
            raise UserError("no training store given")
        check_fit(manifests)
        first = manifests[0][1]
        cameras = [
            name
            for name in cameras_of(first["columns"])
            if all(IMAGE + name in manifest["columns"] for _, manifest in manifests)
        ]
        has_lidar = all(LIDAR in manifest["columns"] for _, manifest in manifests)
        big = ["bev", *(IMAGE + name for name in cameras), *([LIDAR] if has_lidar else [])]
        taught = all(TEACHER in manifest["columns"] for _, manifest in manifests)
        small = (*COLUMNS[1:], *([TEACHER] if taught else []))
        parts: dict[str, list[np.ndarray]] = {
            key: [] for key in (*small, *big, *(AGE + name for name in cameras))
        }
        permit_open_files(len(big) * sum(len(m["episodes"]) for _, m in manifests))
        episodes = []
        for path, manifest in manifests:
            for episode, columns in read_episodes(path, manifest):
                episodes.append(episode)
                for key, part in parts.items():
                    part.append(columns[key] if key in big else np.array(columns[key]))
        if not episodes:
            raise UserError(f"no finished episode in {', '.join(map(str, paths))}")
        return Store(
            parts["bev"],
            {key: np.concatenate(parts[key]) for key in small},
            np.concatenate([[0], np.cumsum([episode["frames"] for episode in episodes])]),
            tuple(first["labels"]),
            first["frame_dt"],
            content_hash(episodes),
            [episode["info"] for episode in episodes],
            {name: parts[IMAGE + name] for name in cameras},
            {name: np.concatenate(parts[AGE + name]) for name in cameras},
            parts.get(LIDAR, []),
        )

    @property
    def frames(self) -> int:
        """Number of frames."""
        return int(self.starts[-1])

    @property
    def streams(self) -> tuple[str, ...]:
        """Observation streams it holds, as :mod:`wm_dynamics.streams` names them."""
        cameras = (CAMERA + name for name in self.images)
        return ("bev", *VECTORS, *cameras, *([LIDAR] if self.lidar else []))

    def pictures(self, stream: str) -> list[np.ndarray]:
        """Per episode one memory-mapped array (F_e, ...) of a camera or the lidar.

        Raises:
            UserError: it holds no such stream.
        """
        if stream not in self.streams:
            raise UserError(
                f"the training store has no stream {stream!r}, it has {', '.join(self.streams)}"
            )
        return self.lidar if stream == LIDAR else self.images[stream.removeprefix(CAMERA)]

    def label(self, name: str) -> np.ndarray:
        """(F,) one label column."""
        return self.columns["labels"][:, self.labels.index(name)]
