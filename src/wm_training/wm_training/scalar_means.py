"""Scalars of a training run, averaged between two reports, with how fast it goes."""

from __future__ import annotations

import time
from collections import defaultdict

import torch

from wm_training.loader import Loader


class ScalarMeans:
    """Adds up the scalars of steps.

    Args:
        frames: learned from in a step.
        loader: where they come from.

    Attributes:
        steps: since the last report.
    """

    def __init__(self, frames: int, loader: Loader):
        self.frames, self.loader = frames, loader
        self._begin()

    def _begin(self) -> None:
        self.steps = 0
        self._sums: dict[str, torch.Tensor | float] = defaultdict(float)
        self._began, self._waited_s = time.monotonic(), self.loader.waited_s

    def add(self, scalars: dict[str, torch.Tensor]) -> None:
        """Those of one more step."""
        self.steps += 1
        for name, value in scalars.items():
            self._sums[name] = self._sums[name] + value

    def take(self) -> dict[str, float]:
        """The means since the last time.

        With "frames_per_s", and "data_stall", the share of the time spent waiting for data.
        """
        took = time.monotonic() - self._began
        means = {name: float(value) / self.steps for name, value in self._sums.items()}
        means["frames_per_s"] = self.steps * self.frames / took
        means["data_stall"] = (self.loader.waited_s - self._waited_s) / took
        self._begin()
        return means
