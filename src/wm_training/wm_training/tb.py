"""Where the numbers of a training run go: TensorBoard, and a progress display."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

SHOWN = ("loss", "recon_loss", "kl_loss", "dynamics_loss", "frames_per_s")


class TrainingLog:
    """A trainer's ``report``: scalars to TensorBoard, a bar in a terminal, lines in a log file.

    Args:
        folder: where TensorBoard's event files go.
        console: rich console.
    """

    def __init__(self, folder: Path, console: Console):
        self.folder = folder
        self.writer: SummaryWriter | None = None  # nothing is written before there is a number
        self.console = console
        self.fraction: Callable[[], float] = lambda: 0.0  # share of the budget spent
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
        self.progress = Progress(*columns, TimeRemainingColumn(), console=console)
        self.bar = self.progress.add_task("ego dynamics", total=1.0)
        if console.is_terminal:
            self.progress.start()

    def __call__(self, phase: str, step: int, scalars: dict[str, float]) -> None:
        """Record scalars of a phase ("ego", "train", "validation") at a step."""
        if self.writer is None:
            self.writer = SummaryWriter(str(self.folder))
        for name, value in scalars.items():
            self.writer.add_scalar(name if phase == "train" else f"{phase}/{name}", value, step)
        self.writer.flush()
        shown = {k: scalars[k] for k in SHOWN} if phase == "train" else scalars
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

    def close(self) -> None:
        """End the bar, flush and close the event file."""
        self.progress.stop()
        if self.writer is not None:
            self.writer.close()
