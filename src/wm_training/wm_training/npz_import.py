"""Puts ``.npz`` episodes into a training store, refusing file by file what is none."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from wm_dynamics.errors import UserError
from wm_training.npz_episodes import Episode, read_episode
from wm_training.npz_file import EpisodeError
from wm_training.store import StoreWriter


def import_episodes(
    source: Path, out: Path, steer_sign: str | None, frame_dt: float | None, console: Console
) -> None:
    """Append the episodes of a file, or of a folder's files in the order of their names.

    Args:
        source: ``.npz`` file or folder.
        out: store to write.
        steer_sign: ``left`` or ``right``, for files that do not say.
        frame_dt: seconds between frames, for files that do not say.
        console: gets what was imported, refused, and missing for training.

    Raises:
        UserError: nothing to import, or a file was refused; the others are in the store.
    """
    files = sorted(source.glob("*.npz")) if source.is_dir() else [source]
    if not files or not source.exists():
        raise UserError(f"no .npz file at {source}")
    writer: StoreWriter | None = None
    refused, frames, lacks = 0, 0, ""
    for file in files:
        try:
            episode = read_episode(file, steer_sign)
            seconds = episode.frame_dt or frame_dt
            if seconds is None:
                raise EpisodeError("it does not say how far frames are apart; add --frame-dt")
            if writer is None:
                writer = StoreWriter(out, seconds, episode.labels, episode.columns)
            frames += _append(writer, episode, seconds)
            lacks = "; ".join(episode.missing)
        except EpisodeError as error:
            console.print(f"{file} is refused: {error}", soft_wrap=True)
            refused += 1
    taken = len(files) - refused
    if writer is not None:
        writer.close()
    if taken:
        console.print(f"{out}: {taken} episodes with {frames} frames imported", soft_wrap=True)
        if lacks:
            console.print(
                f"The driving model cannot be trained on them, they lack {lacks}. They can be "
                "listed and exported again.",
                soft_wrap=True,
            )
    if refused:
        kept = f"; the others are in {out}" if taken else ""
        raise UserError(f"{refused} of {len(files)} files refused, see above{kept}")


def _append(writer: StoreWriter, episode: Episode, frame_dt: float) -> int:
    """Append one episode; the number of its frames."""
    manifest = writer.manifest
    own = {"frame_dt": frame_dt, "labels": list(episode.labels), "columns": list(episode.columns)}
    for key, value in own.items():
        if manifest[key] != value:
            raise EpisodeError(f"its {key} is {value}, that of the store {manifest[key]}")
    try:
        writer.append_episode(episode.arrays, episode.info)
    except ValueError as error:
        raise EpisodeError(str(error)) from None
    return len(episode.arrays["command"])
