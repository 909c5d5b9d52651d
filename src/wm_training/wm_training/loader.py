"""Reads batches ahead of the training step, without changing what is drawn."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch

from wm_training.sampler import Draw, WindowSampler

Batch = dict[str, torch.Tensor]


class Loader:
    """Batches of one size, at most ``ahead`` of them read before they are asked for.

    Windows are drawn by the caller's thread at fixed moments, so that a run does not depend on how
    fast the disk is; one thread of its own only reads them. What is drawn and not yet used is part
    of the state. The thread ends with :meth:`close`, or with the program.

    Args:
        sampler: draws and reads.
        size: B.
        ahead: batches read ahead; 0 reads when asked.
        prepare: changes a batch after it was read, in the same thread; gets the batch and how many
            came before it.
        rank, ranks: which equal share of every batch to read, of how many; all are drawn.

    Attributes:
        waited_s: time the caller has spent waiting for batches.
    """

    def __init__(
        self,
        sampler: WindowSampler,
        size: int,
        ahead: int = 2,
        prepare: Callable[[Batch, int], Batch] = lambda batch, number: batch,
        rank: int = 0,
        ranks: int = 1,
    ):
        self.sampler, self.size, self.ahead, self.prepare = sampler, size, ahead, prepare
        self.rank, self.ranks = rank, ranks
        self.waited_s = 0.0
        self._next = 0  # number of the batch to be given next
        self._waiting: deque[tuple[Draw, Future[Batch]]] = deque()
        self._given: Draw | None = None
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="loader")

    def next(self, progress: float = 0.0) -> Batch:
        """The next batch, see :meth:`WindowSampler.read`.

        Args:
            progress: share of the run that is over, 0 to 1.
        """
        while len(self._waiting) <= self.ahead:
            self._read(self.sampler.draw(self.size, progress))
        self._given, batch = self._waiting.popleft()
        self._next += 1
        began = time.perf_counter()
        read = batch.result()
        self.waited_s += time.perf_counter() - began
        return read

    def update(self, losses: torch.Tensor) -> None:
        """Tell the sampler the losses (B,) of the batch given last."""
        if self._given is None:
            raise ValueError("no batch was given yet")
        self.sampler.update(self._given, losses)

    def state(self) -> dict:
        """JSON-able: the sampler's state, and what was drawn and not yet given."""
        drawn = [
            [draw.starts.tolist(), None if draw.weight is None else draw.weight.tolist()]
            for draw, _ in self._waiting
        ]
        return self.sampler.state() | {"drawn": drawn, "next": self._next}

    def restore(self, state: dict) -> None:
        """Continue exactly where :meth:`state` was taken; also with a sampler's own state."""
        self._waiting.clear()
        own = ("drawn", "next")
        self.sampler.restore({key: value for key, value in state.items() if key not in own})
        self._next = state.get("next", 0)
        for starts, weight in state.get("drawn", []):
            weights = None if weight is None else np.array(weight, np.float32)
            self._read(Draw(np.array(starts, np.int64), weights))

    def close(self) -> None:
        """Stop reading."""
        self._reader.shutdown(cancel_futures=True)

    def _read(self, draw: Draw) -> None:
        number = self._next + len(self._waiting)
        self._waiting.append((draw, self._reader.submit(self._prepared, draw, number)))

    def _prepared(self, draw: Draw, number: int) -> Batch:
        return self.prepare(self.sampler.read(draw.share(self.rank, self.ranks)), number)
