"""What PilotNet imitates: pictures, and what a careful driver does about them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.camera_stream import FRONT
from wm_training.store import Store
from wm_training.store_columns import TEACHER

CAREFUL = (
    "clean"  # the habit whose driving may be imitated; a recording that names none may be, too
)


@dataclass(frozen=True)
class Batch:
    """B examples.

    Attributes:
        pictures: (B, h, w, 3) uint8 RGB.
        route: (B, 20) float32.
        speed: (B, 1) float32, / 10 m/s.
        commands: (B, 2) float32 steer, accel that a careful driver gives for the next interval.
    """

    pictures: np.ndarray
    route: np.ndarray
    speed: np.ndarray
    commands: np.ndarray


@dataclass(frozen=True)
class Demonstrations:
    """Frames of stores with the right command for each.

    A store of lessons holds the expert's wish for every frame, however the car was pushed about.
    Of other stores only careful drivers' episodes count, and their command is the one that was
    applied after the frame. The last frame of an episode has none.

    Attributes:
        pictures: one memory-mapped (F_e, h, w, 3) array per episode used.
        episode, frame: (N,) where each example's picture is.
        route, speed, commands: (N, ...), see :class:`Batch`.
        hash: of the stores' content.
    """

    pictures: list[np.ndarray]
    episode: np.ndarray
    frame: np.ndarray
    route: np.ndarray
    speed: np.ndarray
    commands: np.ndarray
    hash: str

    @staticmethod
    def open(paths: Sequence[Path]) -> Demonstrations:
        """Read stores.

        Raises:
            UserError: a store has no front camera, or no careful driver drives in any of them.
        """
        pictures: list[np.ndarray] = []
        rows: list[tuple[np.ndarray, ...]] = []
        hashes = []
        for path in paths:
            store = Store.open(path)
            hashes.append(store.hash)
            if FRONT.name not in store.streams:
                raise UserError(
                    f"{path} has no camera called {FRONT.camera}; collect with `wm dataset collect "
                    "--mix lessons --camera`"
                )
            for number, seen in enumerate(store.pictures(FRONT.name)):
                commands = _commands(store, number)
                if commands is None:
                    continue
                first = int(store.starts[number])
                ages = store.ages[FRONT.camera][first : first + len(commands)]
                usable = np.flatnonzero(np.isfinite(ages))
                rows.append((
                    np.full(len(usable), len(pictures)), usable,
                    store.columns["route"][first + usable],
                    store.columns["state"][first + usable, :1], commands[usable],
                ))  # fmt: skip
                pictures.append(seen)
        if not sum(len(row[0]) for row in rows):
            raise UserError(
                f"nobody drives carefully in {', '.join(map(str, paths))}; PilotNet imitates "
                f"lessons (`wm dataset collect --mix lessons --camera`) and habit '{CAREFUL}'"
            )
        episode, frame, route, speed, wished = map(np.concatenate, zip(*rows, strict=True))
        digest = hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]
        return Demonstrations(pictures, episode, frame, route, speed, wished, digest)

    def __len__(self) -> int:
        return len(self.episode)

    def batch(self, rows: np.ndarray) -> Batch:
        """The examples of (B,) row numbers."""
        pictures = np.stack([self.pictures[self.episode[i]][self.frame[i]] for i in rows])
        return Batch(pictures, self.route[rows], self.speed[rows], self.commands[rows])


def _commands(store: Store, episode: int) -> np.ndarray | None:
    """(F - 1, 2) right commands of an episode's frames, None when it must not be imitated."""
    first, last = (int(edge) for edge in store.starts[episode : episode + 2])
    if TEACHER in store.columns:
        return store.columns[TEACHER][first : last - 1]
    if store.infos[episode].get("habit", CAREFUL) != CAREFUL:
        return None
    return store.columns["command"][first + 1 : last]
