"""Where the numbers of a training run go: TensorBoard, and a progress display."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from torch.utils.tensorboard import SummaryWriter

SHOWN = ("loss", "recon_loss", "kl_loss", "dynamics_loss", "frames_per_s")


class TrainingLog:
    """A trainer's ``report``: scalars to TensorBoard, one line now and then to the terminal.

    Args:
        folder: where TensorBoard's event files go.
        console: rich console.
        fraction: returns the share of the budget spent, for the percentage shown.
    """

    def __init__(self, folder: Path, console: Console):
        self.writer = SummaryWriter(str(folder))
        self.console = console
        self.fraction = lambda: 0.0

    def __call__(self, phase: str, step: int, scalars: dict[str, float]) -> None:
        for name, value in scalars.items():
            tag = name if phase == "train" else f"{phase}/{name}"
            self.writer.add_scalar(tag, value, step)
        self.writer.flush()
        shown = scalars if phase != "train" else {k: scalars[k] for k in SHOWN}
        text = "  ".join(f"{name} {value:.4g}" for name, value in shown.items())
        done = f"{100 * self.fraction():3.0f} %" if phase == "train" else phase
        self.console.print(f"[bold]{done}[/bold] step {step}  {text}", highlight=False)

    def close(self) -> None:
        """Flush and close the event file."""
        self.writer.close()
