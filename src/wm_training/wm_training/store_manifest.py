"""The manifest of a training store, and what it says about its episodes."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from wm_dynamics.errors import UserError
from wm_dynamics.heads import LABELS
from wm_training.store_columns import COLUMNS, digest, known_columns

FORMAT = 1
MANIFEST = "manifest.json"
OTHER_FILES = 256  # that a process has open besides the arrays of a store


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
    manifest.setdefault("columns", list(COLUMNS))
    if not known_columns(manifest["columns"]):
        raise UserError(f"{file} names columns that no store has: {manifest['columns']}")
    return manifest


def permit_open_files(count: int) -> None:
    """Let this process map so many arrays: a map keeps its file open, and 1,024 are usual.

    Raises:
        UserError: the system does not let it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise UserError(
            f"{needed} files would be open at once and the system allows {hard}; raise `ulimit -Hn`"
            " or name fewer stores"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def read_episodes(path: Path, manifest: Mapping) -> Iterator[tuple[dict, dict[str, np.ndarray]]]:
    """Entry and memory-mapped columns of every finished episode.

    Raises:
        UserError: an episode is damaged.
    """
    for episode in manifest["episodes"]:
        folder = path / episode["name"]
        try:
            columns = {
                key: np.load(folder / f"{key}.npy", mmap_mode="r") for key in manifest["columns"]
            }
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"{folder} is damaged: {error}") from None
        wrong = [key for key, column in columns.items() if len(column) != episode["frames"]]
        if wrong:
            raise UserError(
                f"{folder} is damaged: {wrong[0]}.npy has {len(columns[wrong[0]])} rows, the "
                f"manifest says {episode['frames']}"
            )
        yield episode, columns


def verify(path: Path) -> None:
    """Compare every episode with the hash that was noted when it was written.

    Raises:
        UserError: no store, or an episode is not what was written.
    """
    manifest = read_manifest(path)
    for episode, columns in read_episodes(path, manifest):
        if digest(columns, manifest["columns"]) != episode["sha256"]:
            raise UserError(f"{path / episode['name']} is not what was written: its hash differs")


def describe(path: Path) -> Iterator[str]:
    """What is in a store, in lines: size, hash, and the mean and maximum of each label.

    Raises:
        UserError: no store, or an empty or damaged one.
    """
    manifest = read_manifest(path)
    frames = sum(episode["frames"] for episode in manifest["episodes"])
    if not frames:
        raise UserError(f"no finished episode in {path}")
    yield (
        f"{path}: {frames} frames ({frames * manifest['frame_dt'] / 3600:.2f} h) in "
        f"{len(manifest['episodes'])} episodes, hash {manifest['hash']}"
    )
    yield f"  columns: {', '.join(manifest['columns'])}"
    labels = np.concatenate([c["labels"] for _, c in read_episodes(path, manifest)])
    for name, values in zip(manifest["labels"], labels.T, strict=True):
        yield f"  {name:<16} mean {values.mean():8.4f}  max {values.max():8.3f}"


def check_fit(manifests: Sequence[tuple[Path, Mapping]]) -> None:
    """Check that stores hold what the driving model learns from, at the same rate.

    Raises:
        UserError: they do not.
    """
    first_path, first = manifests[0]
    for path, manifest in manifests:
        lacking = [key for key in COLUMNS if key not in manifest["columns"]]
        lacking += [f"label {name}" for name in LABELS if name not in manifest["labels"]]
        if lacking:
            raise UserError(
                f"{path} lacks {', '.join(lacking)}, which the driving model learns from: it was "
                "imported from episodes without them"
            )
        if (manifest["frame_dt"], manifest["labels"]) != (first["frame_dt"], first["labels"]):
            raise UserError(f"{path} and {first_path} differ in frame_dt or labels")
