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


class Categorical:
    """G groups of C classes."""

    def __init__(self, groups: int, classes: int, unimix: float):
        self.groups, self.classes, self.unimix = groups, classes, unimix

    def _grouped(self, raw: np.ndarray) -> np.ndarray:
        return raw.reshape(*raw.shape[:-1], self.groups, self.classes)

    def mode(self, raw: np.ndarray) -> np.ndarray:
        """The most likely class; the first of equals."""
        return self._grouped(raw).argmax(-1)

    def sample(self, raw: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """The class at which the cumulated probabilities reach the uniform (N, G)."""
        soft = (1.0 - self.unimix) * softmax(self._grouped(raw)) + self.unimix / self.classes
        below = soft.mean(0).cumsum(-1) < uniforms[..., None]
        return np.minimum(below.sum(-1), self.classes - 1)

    def project(self, compact: np.ndarray, table: np.ndarray) -> np.ndarray:
        """Sum over groups of the table rows that ``compact`` selects."""
        rows = compact + np.arange(self.groups) * self.classes
        return table[rows].sum(-2)

    def spread(self, raw: np.ndarray) -> np.ndarray:
        """Variance of the probabilities over the members, summed."""
        probabilities = softmax(self._grouped(raw)).astype(np.float64)
        return probabilities.var(0).sum((-1, -2)).astype(np.float32)


class Gaussian:
    """Z independent normals."""

    def __init__(self, width: int, min_std: float):
        self.width, self.min_std = width, min_std

    def mode(self, raw: np.ndarray) -> np.ndarray:
        """The mean."""
        return raw[..., : self.width]

    def sample(self, raw: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """A normal with the mixture's mean and variance; uniforms (N, Z)."""
        mean, std = self.mode(raw), softplus(raw[..., self.width :]) + np.float32(self.min_std)
        deviation = np.sqrt(np.square(std).mean(0) + mean.var(0))
        noise = ndtri(np.clip(uniforms, LEAST_UNIFORM, 1.0 - LEAST_UNIFORM))
        return (mean.mean(0) + deviation * noise).astype(np.float32)

    def project(self, compact: np.ndarray, table: np.ndarray) -> np.ndarray:
        """The matrix product."""
        return compact @ table

    def spread(self, raw: np.ndarray) -> np.ndarray:
        """Variance of the means over the members, summed."""
        return self.mode(raw).astype(np.float64).var(0).sum(-1).astype(np.float32)


def make_latent(config: ModelConfig) -> Latent:
    """The stochastic state of ``config``."""
    if config.latent == "gaussian":
        return Gaussian(config.gaussian_width, config.gaussian_min_std)
    return Categorical(config.groups, config.classes, config.unimix)
