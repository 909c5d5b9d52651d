"""The stochastic state in a graph, see :mod:`wm_dynamics.latents` for what is computed.

``raw`` are outputs of the posterior or a prior (N, outputs); those of the K priors are (K, N, ...).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from wm_dynamics.config import ModelConfig
from wm_dynamics.export.graph import FLOAT, INT64, Graph
from wm_dynamics.export.quantile import ndtri


class Latent(Protocol):
    """What both kinds can do."""

    kind: int  # element type of the compact state
    compact: int  # numbers of the compact state

    def flat(self, g: Graph, stoch: str) -> str:
        """Compact (N, ...) -> flat (N, width)."""

    def mode(self, g: Graph, raw: str) -> str:
        """Raw (N, outputs) -> compact."""

    def mean_mode(self, g: Graph, raw: str) -> str:
        """Raw (K, N, outputs) -> compact mode of the mixture."""

    def sample(self, g: Graph, raw: str, uniforms: str) -> str:
        """Raw (K, N, outputs) -> compact draw of the mixture by inverse CDF."""

    def spread(self, g: Graph, raw: str) -> str:
        """Raw (K, N, outputs) -> (N,) disagreement."""

    def surprise(self, g: Graph, posterior: str, priors: str) -> str:
        """KL(posterior || mixture of the priors) (N,) in nats; raw (N, ...) and (K, N, ...)."""


class Categorical:
    """G groups of C classes."""

    kind: int = INT64

    def __init__(self, groups: int, classes: int, unimix: float):
        self.groups, self.classes, self.unimix = groups, classes, unimix
        self.compact = groups

    def flat(self, g: Graph, stoch: str) -> str:
        """One-hot by comparison: a product with it is faster than a sum of table rows."""
        classes = g.constant(np.arange(self.classes), np.int64, "classes")
        hot = g.cast(g.op("Equal", g.unsqueeze(stoch, -1), classes), FLOAT)
        return g.reshape(hot, 0, self.groups * self.classes)

    def _softmax(self, g: Graph, raw: str, members: bool) -> str:
        """(N, G, C), or (K, N, G, C) where there are members."""
        lead = (0, 0) if members else (0,)
        return g.op("Softmax", g.reshape(raw, *lead, self.groups, self.classes), axis=-1)

    def _mixed(self, g: Graph, soft: str) -> str:
        share = g.op("Mul", soft, g.constant(1.0 - self.unimix, name="unimix_keep"))
        return g.op("Add", share, g.constant(self.unimix / self.classes, name="unimix_each"))

    def _average(self, g: Graph, raw: str) -> str:
        soft = self._mixed(g, self._softmax(g, raw, members=True))
        return g.op("ReduceMean", soft, g.ints(0), keepdims=0)

    def mode(self, g: Graph, raw: str) -> str:
        """The most likely class, the first of equals."""
        grouped = g.reshape(raw, 0, self.groups, self.classes)
        return g.op("ArgMax", grouped, axis=-1, keepdims=0)

    def mean_mode(self, g: Graph, raw: str) -> str:
        """See :class:`Latent`."""
        return g.op("ArgMax", self._average(g, raw), axis=-1, keepdims=0)

    def sample(self, g: Graph, raw: str, uniforms: str) -> str:
        """The class at which the cumulated probabilities reach the uniform (N, G)."""
        total = g.op("CumSum", self._average(g, raw), g.constant(-1, np.int64, "last_axis"))
        below = g.cast(g.op("Less", total, g.unsqueeze(uniforms, -1)), FLOAT)
        count = g.op("ReduceSum", below, g.ints(-1), keepdims=0)
        last = g.constant(self.classes - 1, name="last_class")
        return g.cast(g.op("Min", count, last), INT64)

    def spread(self, g: Graph, raw: str) -> str:
        """Variance of the probabilities over the members, summed."""
        variance = member_variance(g, self._softmax(g, raw, members=True))
        return g.op("ReduceSum", variance, g.ints(-2, -1), keepdims=0)

    def surprise(self, g: Graph, posterior: str, priors: str) -> str:
        """See :class:`Latent`."""
        p = self._mixed(g, self._softmax(g, posterior, members=False))
        q = self._average(g, priors)
        apart = g.op("Sub", g.op("Log", p), g.op("Log", q))
        return g.op("ReduceSum", g.op("Mul", p, apart), g.ints(-2, -1), keepdims=0)


class Gaussian:
    """Z independent normals."""

    kind: int = FLOAT

    def __init__(self, width: int, min_std: float):
        self.width, self.min_std = width, min_std
        self.compact = width

    def flat(self, g: Graph, stoch: str) -> str:
        """The same."""
        return stoch

    def mode(self, g: Graph, raw: str) -> str:
        """The mean."""
        return g.split(raw, self.width, self.width)[0]

    def _dist(self, g: Graph, raw: str) -> tuple[str, str]:
        mean, rest = g.split(raw, self.width, self.width)
        floor = g.constant(self.min_std, name="min_std")
        return mean, g.op("Add", g.op("Softplus", rest), floor)

    def _average(self, g: Graph, raw: str) -> tuple[str, str]:
        mean, std = self._dist(g, raw)
        inner = g.op("ReduceMean", g.op("Mul", std, std), g.ints(0), keepdims=0)
        deviation = g.op("Sqrt", g.op("Add", inner, member_variance(g, mean)))
        return g.op("ReduceMean", mean, g.ints(0), keepdims=0), deviation

    def mean_mode(self, g: Graph, raw: str) -> str:
        """See :class:`Latent`."""
        return g.op("ReduceMean", self.mode(g, raw), g.ints(0), keepdims=0)

    def sample(self, g: Graph, raw: str, uniforms: str) -> str:
        """A normal with the mixture's mean and variance."""
        mean, deviation = self._average(g, raw)
        return g.op("Add", mean, g.op("Mul", deviation, ndtri(g, uniforms)))

    def spread(self, g: Graph, raw: str) -> str:
        """Variance of the means over the members, summed."""
        return g.op("ReduceSum", member_variance(g, self.mode(g, raw)), g.ints(-1), keepdims=0)

    def surprise(self, g: Graph, posterior: str, priors: str) -> str:
        """See :class:`Latent`."""
        (mean_p, std_p), (mean_q, std_q) = self._dist(g, posterior), self._average(g, priors)
        ratio, shift = g.op("Div", std_p, std_q), g.op("Div", g.op("Sub", mean_p, mean_q), std_q)
        squares = g.op("Add", g.op("Mul", ratio, ratio), g.op("Mul", shift, shift))
        # log ratio^2 = 2 log ratio: deviations are positive
        logs = g.op("Mul", g.op("Log", ratio), g.constant(2.0, name="two"))
        each = g.op("Sub", g.op("Sub", squares, g.constant(1.0, name="one")), logs)
        total = g.op("ReduceSum", each, g.ints(-1), keepdims=0)
        return g.op("Mul", total, g.constant(0.5, name="half"))


def member_variance(g: Graph, values: str) -> str:
    """Variance over the first axis, (K, ...) -> (...)."""
    off = g.op("Sub", values, g.op("ReduceMean", values, g.ints(0), keepdims=1))
    return g.op("ReduceMean", g.op("Mul", off, off), g.ints(0), keepdims=0)


def make_latent(config: ModelConfig) -> Latent:
    """The stochastic state of ``config``."""
    if config.latent == "gaussian":
        return Gaussian(config.gaussian_width, config.gaussian_min_std)
    return Categorical(config.groups, config.classes, config.unimix)
