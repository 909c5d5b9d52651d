"""The stochastic state in plain numpy, see :mod:`wm_dynamics.latents`.

``raw`` are the priors' outputs (K, N, outputs); compact states are classes (N, G) int64 or means
(N, Z) float32.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from wm_dynamics.config import ModelConfig
from wm_dynamics.reference_layers import ndtri, softmax, softplus

LEAST_UNIFORM = 1e-6  # a uniform nearer to 0 or 1 counts as this far, or a normal is infinite


class Latent(Protocol):
    """What both kinds can do."""

    def mode(self, raw: np.ndarray) -> np.ndarray:
        """(N, outputs) -> compact mode."""

    def sample(self, raw: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """Of the mixture of the K members by inverse CDF; uniforms as the compact state."""

    def project(self, compact: np.ndarray, table: np.ndarray) -> np.ndarray:
        """Flat state times ``table`` (width, X), from the compact form."""

    def spread(self, raw: np.ndarray) -> np.ndarray:
        """(N,) disagreement of the members."""

    def mean_mode(self, raw: np.ndarray) -> np.ndarray:
        """Compact mode of the mixture of the K members."""

    def surprise(self, posterior: np.ndarray, priors: np.ndarray) -> np.ndarray:
        """(N,) KL of the posterior, outputs (N, outputs), to the mixture of the priors, nats."""


class Categorical:
    """G groups of C classes."""

    def __init__(self, groups: int, classes: int, unimix: float):
        self.groups, self.classes, self.unimix = groups, classes, unimix

    def _grouped(self, raw: np.ndarray) -> np.ndarray:
        return raw.reshape(*raw.shape[:-1], self.groups, self.classes)

    def _dist(self, raw: np.ndarray) -> np.ndarray:
        """Outputs -> probabilities (..., G, C) with a share of uniform."""
        soft = softmax(self._grouped(raw))
        return np.float32(1.0 - self.unimix) * soft + np.float32(self.unimix / self.classes)

    def mode(self, raw: np.ndarray) -> np.ndarray:
        """The most likely class; the first of equals."""
        return self._grouped(raw).argmax(-1)

    def sample(self, raw: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """The class at which the cumulated probabilities reach the uniform (N, G)."""
        below = self._dist(raw).mean(0).cumsum(-1) < uniforms[..., None]
        return np.minimum(below.sum(-1), self.classes - 1)

    def project(self, compact: np.ndarray, table: np.ndarray) -> np.ndarray:
        """Sum over groups of the table rows that ``compact`` selects."""
        rows = compact + np.arange(self.groups) * self.classes
        return table[rows].sum(-2)

    def spread(self, raw: np.ndarray) -> np.ndarray:
        """Variance of the probabilities over the members, summed."""
        probabilities = softmax(self._grouped(raw)).astype(np.float64)
        return probabilities.var(0).sum((-1, -2)).astype(np.float32)

    def mean_mode(self, raw: np.ndarray) -> np.ndarray:
        """The most likely class of the mean probabilities."""
        return self._dist(raw).mean(0).argmax(-1)

    def surprise(self, posterior: np.ndarray, priors: np.ndarray) -> np.ndarray:
        """Summed over the groups."""
        p, q = self._dist(posterior), self._dist(priors).mean(0)
        return (p * (np.log(p) - np.log(q))).sum((-1, -2))


class Gaussian:
    """Z independent normals."""

    def __init__(self, width: int, min_std: float):
        self.width, self.min_std = width, min_std

    def mode(self, raw: np.ndarray) -> np.ndarray:
        """The mean."""
        return raw[..., : self.width]

    def sample(self, raw: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """A normal with the mixture's mean and variance; uniforms (N, Z)."""
        mean, deviation = self._mixture(raw)
        noise = ndtri(np.clip(uniforms, LEAST_UNIFORM, 1.0 - LEAST_UNIFORM))
        return (mean + deviation * noise).astype(np.float32)

    def _std(self, raw: np.ndarray) -> np.ndarray:
        return softplus(raw[..., self.width :]) + np.float32(self.min_std)

    def _mixture(self, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of the mixture of the members, each (N, Z)."""
        mean = self.mode(raw)
        variance = np.square(self._std(raw)).mean(0) + mean.var(0)
        return mean.mean(0), np.sqrt(variance)

    def project(self, compact: np.ndarray, table: np.ndarray) -> np.ndarray:
        """The matrix product."""
        return compact @ table

    def spread(self, raw: np.ndarray) -> np.ndarray:
        """Variance of the means over the members, summed."""
        return self.mode(raw).astype(np.float64).var(0).sum(-1).astype(np.float32)

    def mean_mode(self, raw: np.ndarray) -> np.ndarray:
        """The mean of the means."""
        return self.mode(raw).mean(0)

    def surprise(self, posterior: np.ndarray, priors: np.ndarray) -> np.ndarray:
        """Against a normal with the mixture's mean and variance, summed over the normals."""
        mean, std = self._mixture(priors)
        ratio = np.square(self._std(posterior) / std)
        shift = np.square((self.mode(posterior) - mean) / std)
        return 0.5 * (ratio + shift - 1.0 - np.log(ratio)).sum(-1)


def make_latent(config: ModelConfig) -> Latent:
    """The stochastic state of ``config``."""
    if config.latent == "gaussian":
        return Gaussian(config.gaussian_width, config.gaussian_min_std)
    return Categorical(config.groups, config.classes, config.unimix)
