"""One batch of windows split over processes: sums and random draws are those of the whole batch.

Every process (rank) has an equal share of the windows, one after another: of B windows over R
ranks, rank r has the windows r * B / R and on. Its share may be there several times, one copy after
another (rollouts from several steps); so are the rows of the whole batch then.

All ranks have the same random state and make every draw for the whole batch, of which each takes
its own rows. Sums add up over ranks, so that a mean is one over the whole batch however many steps
are masked where, and whatever is computed from means is the same on all ranks. The gradient is that
of a rank's own share: added up over ranks it is that of the whole batch.

Outside of :func:`sharing` everything is as if there were one process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed


@dataclass(frozen=True)
class Share:
    """What a process has of a batch.

    Attributes:
        rank: number of the process.
        ranks: how many there are.
        windows: that it has.
    """

    rank: int
    ranks: int
    windows: int


_share: Share | None = None


@contextmanager
def sharing(share: Share) -> Iterator[None]:
    """Within, batches are shares of larger ones; not to be nested."""
    global _share
    _share = share if share.ranks > 1 else None
    try:
        yield
    finally:
        _share = None


class _SumOverRanks(torch.autograd.Function):
    """Forward the sum over ranks, backward the own summand's gradient."""

    @staticmethod
    def forward(ctx, own: torch.Tensor) -> torch.Tensor:
        """Add up."""
        result = own.clone()
        distributed.all_reduce(result)
        return result

    @staticmethod
    def backward(ctx, *gradients: torch.Tensor) -> torch.Tensor:
        """Pass on."""
        return gradients[0]


def total(values: torch.Tensor) -> torch.Tensor:
    """Sum of all elements, over all ranks."""
    own = values.sum()
    return own if _share is None else _SumOverRanks.apply(own)


def count(elements: int) -> int:
    """How many elements all ranks have together, if each has as many."""
    return elements if _share is None else elements * _share.ranks


def uniform(shape: tuple[int, ...], device: torch.device, dim: int = 0) -> torch.Tensor:
    """Uniform numbers in [0, 1), shape (..., rows, ...) with this rank's rows along ``dim``."""
    if _share is None:
        return torch.rand(shape, device=device)
    rows = shape[dim]
    whole = (*shape[:dim], count(rows), *shape[dim + 1 :])
    return torch.rand(whole, device=device).index_select(dim, numbers(rows, device))


def numbers(rows: int, device: torch.device, per_window: int = 1) -> torch.Tensor:
    """Number of each of this rank's rows among the rows of the whole batch, (rows,).

    Args:
        rows: how many this rank has.
        device: of the result.
        per_window: rows of one window, which follow each other.
    """
    row = torch.arange(rows, device=device)
    if _share is None:
        return row
    own = _share.windows * per_window
    return (row // own * _share.ranks + _share.rank) * own + row % own


def own_rows(chosen: torch.Tensor, rows: int, per_window: int = 1) -> torch.Tensor:
    """Those of some rows of the whole batch that this rank has, as it numbers them.

    Args:
        chosen: (N,) numbers among ``count(rows)``.
        rows: how many this rank has.
        per_window: as of :func:`numbers`.
    """
    if _share is None:
        return chosen
    place = torch.full((count(rows),), -1, device=chosen.device)
    place[numbers(rows, chosen.device, per_window)] = torch.arange(rows, device=chosen.device)
    mine = place[chosen]
    return mine[mine >= 0]
