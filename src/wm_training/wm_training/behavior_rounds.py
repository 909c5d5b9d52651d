"""Fresh data for behaviour learning: the actor of the run so far drives in the simulator.

Every round has a folder of its own in the run's directory, with the model that drove and one store
per town, so a run that was killed finds everything as it was.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wm_dynamics.artefact import CONFIG, METADATA, WEIGHTS
from wm_dynamics.behavior_checkpoint import FOLDER
from wm_training.collect import CollectJob, collect
from wm_training.store import Store

DONE = "done"  # file in the folder of a round that is complete


@dataclass(frozen=True)
class FreshData:
    """The stores of a run, round by round.

    Attributes:
        given: stores the run began with.
        model_dir: directory of the world model.
        out: directory of the run.
        towns: where to drive.
        frames: per town and round.
        seed: of routes, traffic and errors.
        mix: key of ``collect.MIXES``.
        processes: simulators run at once.
    """

    given: Sequence[Path]
    model_dir: Path
    out: Path
    towns: Sequence[str]
    frames: int
    seed: int
    mix: str = "planner-mixed"
    processes: int = 1

    def stores(self, rounds: int) -> Store:
        """All data after ``rounds`` rounds; what is missing of the last is driven now.

        Earlier rounds must be complete. Each town is driven in a process of its own.
        """
        if rounds and not (self._folder(rounds) / DONE).is_file():
            self._drive(rounds)
        fresh = [self._folder(n) / town for n in range(1, rounds + 1) for town in self.towns]
        return Store.open(*self.given, *fresh)

    def _drive(self, number: int) -> None:
        """Round ``number``, anew: a part of it may be left from a run that was killed."""
        folder = self._folder(number)
        shutil.rmtree(folder, ignore_errors=True)
        model = folder / "model"
        for source, target in ((self.model_dir, model), (self.out, model / FOLDER)):
            target.mkdir(parents=True)
            for name in (WEIGHTS, CONFIG, METADATA):
                shutil.copy(source / name, target / name)
        jobs = [
            CollectJob(
                town, self.frames, self.seed + number, folder / town, self.mix,
                model=model, driver="actor",
            )
            for town in self.towns
        ]  # fmt: skip
        collect(jobs, self.processes)
        (folder / DONE).touch()

    def _folder(self, number: int) -> Path:
        return self.out / "fresh" / f"round-{number}"
