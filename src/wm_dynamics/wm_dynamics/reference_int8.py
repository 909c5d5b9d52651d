"""What int8 computes, in plain numpy: the specification of the C++ engine's int8 products.

A weight matrix is kept as integers -127..127 with a scale for each output, a row of activations
is rounded anew before every product to 0..255 with a scale and a least number of its own. Sums are
exact. Everything else is float32 as in :mod:`wm_dynamics.reference`, which runs unchanged: the
matrices put in place of the weights multiply so when asked to.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from wm_dynamics.errors import UserError
from wm_dynamics.weights import Weights

MOST_WEIGHT, MOST_ACTIVATION = np.float32(127), np.float32(255)
LEAST_SPAN = np.float32(1e-30)  # of a row; one number throughout has a scale of 0


def quantise_weight(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """weight (outputs, inputs) -> integers of the same shape, and a scale (outputs,) for each."""
    most = np.abs(weight).max(1)
    factor = MOST_WEIGHT / np.maximum(most, LEAST_SPAN)
    return np.rint(weight * factor[:, None]).astype(np.int64), most / MOST_WEIGHT


def quantise_rows(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x (N, inputs) -> integers 0..255, and for each row (N, 1) a scale and its least number."""
    least = x.min(1, keepdims=True)
    span = x.max(1, keepdims=True) - least
    factor = MOST_ACTIVATION / np.maximum(span, LEAST_SPAN)
    return np.rint((x - least) * factor).astype(np.int64), span / MOST_ACTIVATION, least


class Int8Matrix:
    """A weight (outputs, inputs) that stands for itself in ``x @ weight.T``.

    Args:
        weight: float32.
        parts: widths of the inputs' parts, each of which has a range of its own; what comes after
            them is multiplied by nobody: it is a table (see :meth:`__getitem__`).
    """

    __array_ufunc__ = None  # numpy leaves the product to us

    def __init__(self, weight: np.ndarray, parts: tuple[int, ...]):
        self.weight, self.parts = weight, parts
        ends = np.cumsum((0, *parts))
        self.bounds = [(int(a), int(b)) for a, b in zip(ends, ends[1:], strict=False)]
        self.quantised = [quantise_weight(weight[:, a:b]) for a, b in self.bounds]

    @property
    def T(self) -> Int8Matrix:  # noqa: N802, numpy's name
        """Itself: only the transposed is ever multiplied by."""
        return self

    def __getitem__(self, where: tuple[slice, slice]) -> Any:
        """The columns of all parts are the matrix, those behind them a float32 table."""
        return self if where[1].start is None else self.weight[where]

    def __rmatmul__(self, x: np.ndarray) -> np.ndarray:
        """x (N, inputs) -> (N, outputs)."""
        total = np.zeros((len(x), len(self.weight)), np.float32)
        for (first, last), (weight, scale) in zip(self.bounds, self.quantised, strict=True):
            rows, row_scale, least = quantise_rows(x[:, first:last])
            product = (rows @ weight.T).astype(np.float32) * row_scale
            total = total + product * scale + least * (scale * weight.sum(1).astype(np.float32))
        return total


def int8_weights(weights: Weights) -> Weights:
    """The same model with its large products in int8, for :func:`wm_dynamics.reference.imagine`.

    Raises:
        UserError: the model's core has no int8.
    """
    c = weights.config
    if c.core != "gru":
        raise UserError(f"int8 is for the gru core, not {c.core}; take fp32 or bf16")
    parts = {"rssm.cell.linear": (c.hidden, c.deter), "head.0": (c.deter,), "head.3": (c.hidden,)}
    for k in range(c.ensemble):
        parts |= {f"rssm.priors.{k}.0": (c.deter,), f"rssm.priors.{k}.3": (c.hidden,)}
    tensors: dict[str, Any] = dict(weights.tensors)
    for name, widths in parts.items():
        tensors[f"{name}.weight"] = Int8Matrix(tensors[f"{name}.weight"], widths)
    return replace(weights, tensors=tensors)
