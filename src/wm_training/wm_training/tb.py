"""Where the numbers of a training run go: TensorBoard, and a progress display."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

SHOWN = ("loss", "recon_loss", "kl_loss", "dynamics_loss", "frames_per_s")


class TrainingLog:
    """A trainer's ``report``: scalars to TensorBoard, a bar in a terminal, lines in a log file.

    Args:
        folder: where TensorBoard's event files go.
        console: rich console.
        shown: scalars of training to print.
        title: of the bar, before the first step.
    """

    def __init__(
        self,
        folder: Path,
        console: Console,
        shown: Sequence[str] = SHOWN,
        title: str = "ego dynamics",
    ):
        self.folder, self.shown = folder, shown
        self.writer: SummaryWriter | None = None  # nothing is written before there is a number
        self.console = console
        # Where a resumed run goes on: a killed one may have recorded more, which does not count.
        self.first_step: int | None = None
        self.fraction: Callable[[], float] = lambda: 0.0  # share of the budget spent
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
        # A slow model reports every few minutes only, and needs two reports for an estimate.
        self.progress = Progress(
            *columns, TimeRemainingColumn(), console=console, speed_estimate_period=1800.0
        )
        self.bar = self.progress.add_task(title, total=1.0)
        if console.is_terminal:
            self.progress.start()

    def __call__(self, phase: str, step: int, scalars: dict[str, float]) -> None:
        """Record scalars of a phase ("ego", "train", "validation") at a step."""
        writer = self._events()
        for name, value in scalars.items():
            writer.add_scalar(name if phase == "train" else f"{phase}/{name}", value, step)
        writer.flush()
        # Of a validation, all but the parts of its loss.
        names = self.shown if phase == "train" else [name for name in scalars if "/" not in name]
        shown = {name: scalars[name] for name in names}
        text = "  ".join(f"{name} {value:.4g}" for name, value in shown.items())
        if phase == "train":
            title = f"step {step}  loss {scalars['loss']:.3g}"
            self.progress.update(self.bar, description=title, completed=self.fraction())
        if phase == "validation" or not self.console.is_terminal:
            self.console.print(
                f"{100 * self.fraction():3.0f} % {phase} {step}  {text}",
                highlight=False,
                soft_wrap=True,
            )

    def show(self, step: int, pictures: Mapping[str, np.ndarray]) -> None:
        """Record pictures by name, each (height, width, 3) uint8 RGB."""
        writer = self._events()
        for name, picture in pictures.items():
            writer.add_image(f"strips/{name}", picture, step, dataformats="HWC")
        writer.flush()

    def _events(self) -> SummaryWriter:
        if self.writer is None:
            self.writer = SummaryWriter(str(self.folder), purge_step=self.first_step)
        return self.writer

    def close(self) -> None:
        """End the bar, flush and close the event file."""
        if self.console.is_terminal:
            self.progress.stop()
        if self.writer is not None:
            self.writer.close()
