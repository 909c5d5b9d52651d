"""The stochastic state: grouped categoricals or a diagonal Gaussian, behind the same methods.

A distribution is one tensor, made by ``dist`` from the outputs of a network. A state comes in two
forms: ``flat`` (..., width), what networks read, and ``compact``, what a belief keeps: the class of
each group, or the mean.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch.nn import functional as F

from wm_dynamics import ranks
from wm_dynamics.config import ModelConfig
from wm_dynamics.step_ops import straight_through


class Latent(Protocol):
    """What both kinds of stochastic state can do."""

    width: int  # of the flat form
    outputs: int  # numbers a network must give for one distribution

    def dist(self, raw: torch.Tensor) -> torch.Tensor:
        """(..., outputs) -> the parameters of a distribution, float32."""

    def take(self, dist: torch.Tensor, greedy: torch.Tensor | None = None) -> torch.Tensor:
        """Sample flat states with gradients; rows where ``greedy`` (B,) take the mode."""

    def compact(self, dist: torch.Tensor) -> torch.Tensor:
        """The mode, in compact form."""

    def flat(self, compact: torch.Tensor) -> torch.Tensor:
        """Compact to flat."""

    def compress(self, flat: torch.Tensor) -> torch.Tensor:
        """Flat to compact."""

    def average(self, dists: torch.Tensor) -> torch.Tensor:
        """The distribution for the mixture of the first axis' distributions."""

    def kl(self, p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        """KL(p || q) in nats, (...)."""

    def mode(self, raw: torch.Tensor) -> torch.Tensor:
        """Compact mode straight from network outputs (N, outputs); for rollouts."""

    def project(self, compact: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Flat state (M, width) times ``table`` (width, X), from the compact form."""

    def spread(self, raw: torch.Tensor) -> torch.Tensor:
        """(K, N, outputs) of an ensemble -> (N,) disagreement of its members, 0 = agree."""


class Categorical:
    """G groups of C classes with a share of uniform, straight-through gradients (DreamerV2/V3).

    Distributions are probabilities (..., G, C); compact states are classes (..., G) int64.
    """

    def __init__(self, groups: int, classes: int, unimix: float):
        self.groups, self.classes, self.unimix = groups, classes, unimix
        self.width = self.outputs = groups * classes
        self._offsets: dict[torch.device, torch.Tensor] = {}

    def dist(self, raw: torch.Tensor) -> torch.Tensor:
        """(..., G*C) logits -> (..., G, C) probabilities with a share of uniform, float32."""
        soft = raw.float().unflatten(-1, (self.groups, self.classes)).softmax(-1)
        return (1.0 - self.unimix) * soft + self.unimix / self.classes

    def take(self, dist: torch.Tensor, greedy: torch.Tensor | None = None) -> torch.Tensor:
        """Sample one-hot states, straight-through; rows where ``greedy`` (B,) take the mode.

        The draw is inverse-CDF from one uniform per group, so that a backend fed with the same
        uniforms draws the same states.
        """
        uniform = ranks.uniform((*dist.shape[:-1], 1), dist.device)
        below = dist.detach().cumsum(-1) < uniform
        index = below.sum(-1, keepdim=True).clamp_max_(self.classes - 1)
        if greedy is not None:
            index = torch.where(greedy[:, None, None], dist.argmax(-1, keepdim=True), index)
        return straight_through(dist, index).flatten(-2)

    def compact(self, dist: torch.Tensor) -> torch.Tensor:
        """(..., G, C) -> (..., G) most likely classes."""
        return dist.argmax(-1)

    def flat(self, compact: torch.Tensor) -> torch.Tensor:
        """(..., G) -> one-hot (..., G*C)."""
        hot = torch.zeros(*compact.shape, self.classes, device=compact.device)
        return hot.scatter_(-1, compact[..., None], 1.0).flatten(-2)

    def compress(self, flat: torch.Tensor) -> torch.Tensor:
        """(..., G*C) -> (..., G)."""
        return flat.unflatten(-1, (self.groups, self.classes)).argmax(-1)

    def average(self, dists: torch.Tensor) -> torch.Tensor:
        """(K, ..., G, C) -> (..., G, C)."""
        return dists.mean(0)

    def kl(self, p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        """KL of grouped categoricals (..., G, C) -> (...), nats."""
        return (p * (p.log() - q.log())).sum((-1, -2))

    def mode(self, raw: torch.Tensor) -> torch.Tensor:
        """(N, G*C) logits -> (N, G) most likely classes."""
        # max() with indices is several times faster here than argmax().
        return raw.unflatten(-1, (self.groups, self.classes)).max(-1).indices

    def project(self, compact: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Sum over groups of the table rows that ``compact`` (M, G) selects -> (M, X)."""
        offsets = self._offsets.get(table.device)
        if offsets is None:
            # First row of each group in a table of G*C rows, (G,).
            offsets = torch.arange(self.groups, device=table.device) * self.classes
            self._offsets[table.device] = offsets
        return F.embedding_bag(compact + offsets, table, mode="sum")

    def spread(self, raw: torch.Tensor) -> torch.Tensor:
        """(K, N, G*C) logits -> (N,) variance of the probabilities over the members."""
        probs = raw.unflatten(-1, (self.groups, self.classes)).softmax(-1)
        return member_variance(probs).sum((-1, -2))


class Gaussian:
    """Z independent normals whose deviation never falls below a floor (PlaNet, DreamerV1).

    Distributions are (..., 2, Z): mean and standard deviation; compact and flat states are the
    same (..., Z).
    """

    def __init__(self, width: int, min_std: float):
        self.width, self.outputs, self.min_std = width, 2 * width, min_std

    def dist(self, raw: torch.Tensor) -> torch.Tensor:
        """(..., 2*Z) -> (..., 2, Z) mean and standard deviation, float32."""
        mean, std = raw.float().chunk(2, -1)
        return torch.stack([mean, F.softplus(std) + self.min_std], -2)

    def take(self, dist: torch.Tensor, greedy: torch.Tensor | None = None) -> torch.Tensor:
        """Sample by inverse CDF, reparametrised; rows where ``greedy`` (B,) take the mean."""
        mean, std = dist.unbind(-2)
        uniform = ranks.uniform(mean.shape, dist.device).clamp(1e-6, 1.0 - 1e-6)
        noise = torch.special.ndtri(uniform)
        if greedy is not None:
            noise = noise.masked_fill(greedy[:, None], 0.0)
        return mean + std * noise

    def compact(self, dist: torch.Tensor) -> torch.Tensor:
        """(..., 2, Z) -> mean (..., Z)."""
        return dist[..., 0, :]

    def flat(self, compact: torch.Tensor) -> torch.Tensor:
        """The same."""
        return compact

    def compress(self, flat: torch.Tensor) -> torch.Tensor:
        """The same."""
        return flat

    def average(self, dists: torch.Tensor) -> torch.Tensor:
        """(K, ..., 2, Z) -> (..., 2, Z) with the mixture's mean and variance."""
        mean, std = dists.unbind(-2)
        variance = std.square().mean(0) + mean.var(0, unbiased=False)
        return torch.stack([mean.mean(0), variance.sqrt()], -2)

    def kl(self, p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        """KL of diagonal normals (..., 2, Z) -> (...), nats."""
        (mean_p, std_p), (mean_q, std_q) = p.unbind(-2), q.unbind(-2)
        ratio, shift = (std_p / std_q).square(), ((mean_p - mean_q) / std_q).square()
        return 0.5 * (ratio + shift - 1.0 - ratio.log()).sum(-1)

    def mode(self, raw: torch.Tensor) -> torch.Tensor:
        """(N, 2*Z) -> mean (N, Z), float32."""
        return raw[..., : self.width].float()

    def project(self, compact: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """(M, Z) times (Z, X)."""
        return compact @ table

    def spread(self, raw: torch.Tensor) -> torch.Tensor:
        """(K, N, 2*Z) -> (N,) variance of the means over the members, summed."""
        return member_variance(self.mode(raw)).sum(-1)


def member_variance(values: torch.Tensor) -> torch.Tensor:
    """Variance over the first axis, (K, ...) -> (...).

    Welford's update over whole tensors, in double: to the bit what ``torch.var`` gives on the CPU,
    where it is seven times slower over a short outer axis.
    """
    mean = torch.zeros_like(values[0], dtype=torch.float64)
    squares = torch.zeros_like(mean)
    for count, value in enumerate(values.double(), 1):
        off = value - mean
        mean = mean + off / count
        squares = squares + off * (value - mean)
    return (squares / len(values)).to(values.dtype)


def make_latent(config: ModelConfig) -> Latent:
    """The stochastic state of ``config``."""
    if config.latent == "gaussian":
        return Gaussian(config.gaussian_width, config.gaussian_min_std)
    return Categorical(config.groups, config.classes, config.unimix)
