"""Training store: finished episodes as memory-mapped arrays beside one manifest.

Layout::

    store/
      manifest.json           written last, atomically, after every episode
      episode-000000/bev.npy  (F, 64, 64) uint8 bitmask, bit k = channel k
                     state.npy   (F, 5)   speed/10, yaw rate, steer and accel echo, accel/5
                     route.npy   (F, 20)  ego-frame way points, flattened
                     command.npy (F, 2)   steer, accel of the interval that ends at this frame
                     motion.npy  (F, 3)   dx, dy [m], dyaw [rad] since the previous frame
                     labels.npy  (F, L)   columns ``wm_dynamics.heads.LABELS``

Frames are ``frame_dt`` seconds apart. An episode directory that the manifest does not name is
unfinished and ignored, so a killed writer loses at most the episode it was writing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wm_dynamics.errors import UserError
from wm_dynamics.heads import LABELS

FORMAT = 1
MANIFEST = "manifest.json"
COLUMNS = ("bev", "state", "route", "command", "motion", "labels")


class StoreWriter:
    """Appends episodes to a store; continues an existing one.

    Args:
        path: the store's directory, created if needed.
        frame_dt: seconds between frames.
        labels: names of the label columns.
    """

    def __init__(self, path: Path | str, frame_dt: float = 0.1, labels: Sequence[str] = LABELS):
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        if (self.path / MANIFEST).exists():
            self.manifest = read_manifest(self.path)
            if self.manifest["frame_dt"] != frame_dt or self.manifest["labels"] != list(labels):
                raise UserError(
                    f"{self.path} was written with frame_dt {self.manifest['frame_dt']} and labels "
                    f"{self.manifest['labels']}; append with the same or choose another directory"
                )
        else:
            self.manifest = {
                "format": FORMAT,
                "frame_dt": frame_dt,
                "labels": list(labels),
                "hash": "",
                "episodes": [],
            }
            self._write_manifest()

    def append_episode(self, arrays: Mapping[str, np.ndarray], info: Mapping | None = None) -> None:
        """Write one finished episode.

        Args:
            arrays: the columns of the module's docstring, all with the same first length.
            info: small JSON-able facts (town, seed, style) kept in the manifest.
        """
        columns = _checked(arrays, len(self.manifest["labels"]))
        name = f"episode-{len(self.manifest['episodes']):06d}"
        folder = self.path / name
        folder.mkdir(exist_ok=True)
        digest = hashlib.sha256()
        for key in COLUMNS:
            np.save(folder / f"{key}.npy", columns[key])
            digest.update(columns[key].tobytes())
        self.manifest["episodes"].append(
            {
                "name": name,
                "frames": len(columns["bev"]),
                "sha256": digest.hexdigest(),
                "info": dict(info or {}),
            }
        )
        self.manifest["hash"] = content_hash(self.manifest["episodes"])
        self._write_manifest()

    def close(self) -> None:
        """Nothing is left open between episodes; here so that a ``with`` block reads well."""

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _write_manifest(self) -> None:
        draft = self.path / (MANIFEST + ".tmp")
        draft.write_text(json.dumps(self.manifest, indent=1))
        os.replace(draft, self.path / MANIFEST)


def content_hash(episodes: Sequence[Mapping]) -> str:
    """Hash of a store's content: of its episodes' hashes, in order."""
    return hashlib.sha256("".join(e["sha256"] for e in episodes).encode()).hexdigest()[:16]


def read_manifest(path: Path) -> dict:
    """The manifest of the store at ``path``.

    Raises:
        UserError: not a store, or one of another format.
    """
    file = path / MANIFEST
    if not file.is_file():
        raise UserError(f"{path} is no training store (no {MANIFEST}); make one with "
                        "`wm dataset build`")  # fmt: skip
    try:
        manifest = json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise UserError(f"{file} is damaged ({error}); build the store again") from None
    if manifest.get("format") != FORMAT:
        raise UserError(
            f"{file} has format {manifest.get('format')}, this version reads {FORMAT}; "
            "build the store again"
        )
    return manifest


def _checked(arrays: Mapping[str, np.ndarray], labels: int) -> dict[str, np.ndarray]:
    """Columns with the right dtype and shape, or ValueError."""
    missing = set(COLUMNS) - set(arrays)
    if missing:
        raise ValueError(f"episode lacks the columns {sorted(missing)}")
    frames = len(arrays["bev"])
    widths = {"state": 5, "command": 2, "motion": 3, "labels": labels}
    columns = {}
    for key in COLUMNS:
        dtype = np.uint8 if key == "bev" else np.float32
        column = np.ascontiguousarray(arrays[key], dtype)
        if len(column) != frames or column.ndim != (3 if key == "bev" else 2):
            raise ValueError(f"column {key} has shape {column.shape}, expected {frames} rows")
        if key in widths and column.shape[1] != widths[key]:
            raise ValueError(f"column {key} has width {column.shape[1]}, expected {widths[key]}")
        if not np.isfinite(column).all():
            raise ValueError(f"column {key} holds values that are not finite")
        columns[key] = column
    return columns


@dataclass(frozen=True)
class Store:
    """Episodes of one or more stores, read-only.

    Attributes:
        bev: one memory-mapped (F_e, S, S) uint8 array per episode.
        columns: the small columns of all episodes, concatenated, in memory; "labels" (F, L) ...
        starts: (E + 1,) first frame of each episode in ``columns``.
        labels: label names.
        frame_dt: seconds between frames.
        hash: content hash.
        infos: per episode, what its writer noted.
    """

    bev: list[np.ndarray]
    columns: dict[str, np.ndarray]
    starts: np.ndarray
    labels: tuple[str, ...]
    frame_dt: float
    hash: str
    infos: list[dict]

    @staticmethod
    def open(*paths: Path | str) -> Store:
        """Open one or more store directories as one.

        Raises:
            UserError: a directory is no store, is empty, or does not fit the others.
        """
        manifests = [(Path(p), read_manifest(Path(p))) for p in paths]
        if not manifests:
            raise UserError("no training store given")
        first = manifests[0][1]
        bev, lengths, infos, episodes = [], [], [], []
        parts: dict[str, list[np.ndarray]] = {key: [] for key in COLUMNS[1:]}
        for path, manifest in manifests:
            if (manifest["frame_dt"], manifest["labels"]) != (first["frame_dt"], first["labels"]):
                raise UserError(f"{path} and {manifests[0][0]} differ in frame_dt or labels")
            for episode in manifest["episodes"]:
                folder = path / episode["name"]
                try:
                    bev.append(np.load(folder / "bev.npy", mmap_mode="r"))
                    for key in parts:
                        parts[key].append(np.load(folder / f"{key}.npy"))
                except (OSError, ValueError, EOFError) as error:
                    raise UserError(f"{folder} is damaged: {error}") from None
                lengths.append(episode["frames"])
                infos.append(episode["info"])
                episodes.append(episode)
        if not episodes:
            raise UserError(f"no finished episode in {', '.join(map(str, paths))}")
        return Store(
            bev,
            {key: np.concatenate(part) for key, part in parts.items()},
            np.concatenate([[0], np.cumsum(lengths)]),
            tuple(first["labels"]),
            first["frame_dt"],
            content_hash(episodes),
            infos,
        )

    @property
    def frames(self) -> int:
        """Number of frames."""
        return int(self.starts[-1])

    def label(self, name: str) -> np.ndarray:
        """(F,) one label column."""
        return self.columns["labels"][:, self.labels.index(name)]
