"""What a collection of situations is to be, and what there is of it already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from wm_dynamics.errors import UserError


@dataclass(frozen=True)
class CounterfactualJob:
    """One town's share.

    Attributes:
        town: where.
        situations: how many, each driven on in all of ``WAYS``.
        seed: of everything.
        out: store; one that exists is continued.
        frame_dt: s between frames.
        camera: also keep what the front camera saw before the fork, each drive in a weather of its
            own ...
        camera_after: ... and what it sees after it, at the model's steps, to learn from.
        kinds: only situations of these kinds, as far as there are any; all if none is named.
    """

    town: str
    situations: int
    seed: int
    out: Path
    frame_dt: float = 0.1
    camera: bool = False
    camera_after: bool = False
    kinds: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Units of work, for :func:`wm_training.town_jobs.run_jobs`."""
        return self.situations

    def rng(self, *stream: int) -> np.random.Generator:
        """Generator of one part of the job."""
        return np.random.default_rng([self.seed, *map(ord, self.town), *stream])

    def frames(self, seconds: float) -> int:
        """Seconds as frames."""
        return round(seconds / self.frame_dt)


@dataclass
class Found:
    """What the store holds already: a drive that was interrupted is driven again, and skips it.

    Attributes:
        kinds: of the situations of all drives before the present one.
        drive: number of the present drive.
        frames: at which the present drive had situations that are in the store.
        situations: in the store.
    """

    kinds: list[str] = field(default_factory=list)
    drive: int = 0
    frames: list[int] = field(default_factory=list)
    situations: int = 0

    @staticmethod
    def read(job: CounterfactualJob, episodes: Sequence[Mapping]) -> Found:
        """From the episodes of a store.

        Raises:
            UserError: they were not collected by the same job.
        """
        infos = [episode["info"] for episode in episodes]
        if any((i.get("town"), i.get("seed")) != (job.town, job.seed) for i in infos):
            raise UserError(
                f"{job.out} holds other episodes than situations of {job.town} with seed "
                f"{job.seed}; choose another directory"
            )
        firsts = [info for info in infos if info["branch"] == 0]
        if not firsts:
            return Found()
        drive = firsts[-1]["drive"]
        return Found(
            [info["kind"] for info in firsts if info["drive"] < drive],
            drive,
            [info["frame"] for info in firsts if info["drive"] == drive],
            len(firsts),
        )
