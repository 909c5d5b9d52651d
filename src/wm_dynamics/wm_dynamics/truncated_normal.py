"""Normals cut off at -1 and 1, one per action: sampled from given uniforms, with exact entropy.

Unlike a clipped normal it has a density on all of its support, and unlike a tanh-squashed one its
entropy and mode are closed forms. The draw is inverse CDF, as everywhere in this project, so the
same uniforms give the same actions on every backend.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

EDGE = 1e-6  # of a probability: the inverse CDF is infinite at 0 and 1
LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True)
class TruncatedNormal:
    """Independent normals restricted to [-1, 1].

    Attributes:
        mean: (..., A) of the untruncated normals, in [-1, 1]; then it is also the mode.
        std: (..., A) of the untruncated normals.
    """

    mean: torch.Tensor
    std: torch.Tensor

    @property
    def edges(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Standardised bounds, each (..., A)."""
        return (-1.0 - self.mean) / self.std, (1.0 - self.mean) / self.std

    def sample(self, uniform: torch.Tensor) -> torch.Tensor:
        """Uniforms (..., A) in [0, 1) -> actions (..., A), with gradients to mean and std."""
        low, high = (torch.special.ndtr(edge) for edge in self.edges)
        place = (low + uniform * (high - low)).clamp(EDGE, 1.0 - EDGE)
        return (self.mean + self.std * torch.special.ndtri(place)).clamp(-1.0, 1.0)

    def log_prob(self, action: torch.Tensor) -> torch.Tensor:
        """Log density of actions (..., A) in [-1, 1], summed over actions: (...)."""
        z = (action - self.mean) / self.std
        return (-0.5 * z.square() - LOG_SQRT_2PI - self.std.log() - self._log_mass()).sum(-1)

    def entropy(self) -> torch.Tensor:
        """Differential entropy in nats, summed over actions: (...)."""
        low, high = self.edges
        mass = self._log_mass().exp()
        tilt = (low * _density(low) - high * _density(high)) / (2.0 * mass)
        return (0.5 + LOG_SQRT_2PI + self.std.log() + mass.log() + tilt).sum(-1)

    def _log_mass(self) -> torch.Tensor:
        """Log of the untruncated probability of [-1, 1], (..., A)."""
        low, high = self.edges
        return (torch.special.ndtr(high) - torch.special.ndtr(low)).log()


def _density(z: torch.Tensor) -> torch.Tensor:
    """Of the standard normal."""
    return torch.exp(-0.5 * z.square() - LOG_SQRT_2PI)
