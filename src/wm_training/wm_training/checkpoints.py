"""The best checkpoints of a run beside its latest, and when there is no use in going on."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

FOLDER = "checkpoints"  # in the run's directory


class BestCheckpoints:
    """Keeps the model directories with the lowest validation losses, drops all others.

    Args:
        folder: holds one model directory per kept checkpoint, named by its step.
        keep: how many.

    Attributes:
        stale: validations since the loss was last lower than ever before.
    """

    def __init__(self, folder: Path, keep: int):
        self.folder, self.keep = folder, keep
        self.kept: list[tuple[float, int]] = []  # (loss, step), best first
        self.lowest = math.inf
        self.stale = 0
        self.last = -1  # step of the last offer

    @property
    def best(self) -> Path | None:
        """Directory of the best checkpoint, if one is kept."""
        return self._place(self.kept[0][1]) if self.kept else None

    def offer(self, loss: float, step: int, write: Callable[[Path], None]) -> None:
        """Keep the model of this step if it is among the best; nothing if offered already.

        Args:
            loss: on held-out data; one that is not finite is never kept.
            step: of the run.
            write: writes the model directory.
        """
        if step == self.last:
            return
        self.last = step
        better = loss < self.lowest
        self.lowest, self.stale = min(loss, self.lowest), 0 if better else self.stale + 1
        if not math.isfinite(loss):
            return
        kept = sorted([*self.kept, (loss, step)])[: self.keep]
        if (loss, step) in kept:
            write(self._place(step))
        self.kept = kept
        self.prune()

    def prune(self) -> None:
        """Remove what is not kept, also what a killed run left behind."""
        names = {self._place(step).name for _, step in self.kept}
        for path in self.folder.glob("step-*"):
            if path.name not in names:
                shutil.rmtree(path)

    def state(self) -> dict:
        """JSON-able, for :meth:`restore`."""
        lowest = self.lowest if math.isfinite(self.lowest) else None
        return {"kept": self.kept, "lowest": lowest, "stale": self.stale, "last": self.last}

    def restore(self, state: dict) -> None:
        """Continue where :meth:`state` was taken."""
        self.kept = [(loss, step) for loss, step in state["kept"]]
        self.lowest = math.inf if state["lowest"] is None else state["lowest"]
        self.stale, self.last = state["stale"], state["last"]
        self.prune()

    def _place(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}"
