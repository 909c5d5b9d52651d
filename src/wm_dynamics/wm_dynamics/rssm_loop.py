"""The time loops of training: posterior along a window, prior along imagined steps.

The same computation as stepping :meth:`wm_dynamics.rssm.RSSM.transition`, several times faster with
gradients: what does not wait for the step before (the drive, the embedding) goes through its layers
for all steps at once; weights are cast once and get their gradients once; nothing is indexed or
joined along time inside the loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn import functional as F

from wm_dynamics.latents import Latent
from wm_dynamics.loop_cores import StepPerceptron, loop_core
from wm_dynamics.step_linear import StepLinear, loop_dtype

if TYPE_CHECKING:
    from wm_dynamics.rssm import RSSM

Steps = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # deter, stoch, dist along time


class RecurrentLoop:
    """One run through time of an RSSM with a recurrent core.

    Args:
        rssm: the dynamics.
        deter, stoch: (B, D), (B, width) before the first step.

    Attributes:
        stoch: (B, width) of the step before; to be set after each ``advance``.
        rows: (B, D) deter in the type of the loop's products.
        carry: deter as the core carries it, full precision.
    """

    def __init__(self, rssm: RSSM, deter: torch.Tensor, stoch: torch.Tensor):
        self.dtype = dtype = loop_dtype(rssm.inp.weight)
        self.core = loop_core(rssm.cell, dtype)
        self.stoch_in = StepLinear(rssm.inp.weight[:, : rssm.latent.width].mT, None, dtype)
        self.drive_in = rssm.inp.weight[:, rssm.latent.width :]
        self.bias, self.norm = rssm.inp.bias, rssm.inp_norm
        self.stoch, self.rows = stoch, deter.to(dtype)
        self.carry = self.core.begin(deter)

    def drive(self, drive: torch.Tensor) -> torch.Tensor:
        """drive (..., 6), of one step or of many -> its share of the core's input."""
        return F.linear(drive, self.drive_in, self.bias)

    def advance(self, driven: torch.Tensor) -> torch.Tensor:
        """Move deter by one step; ``driven`` (B, hidden) of ``drive`` -> ``rows``."""
        x = F.silu(self.norm(self.stoch_in(self.stoch) + driven))
        self.carry = self.core.step(x, self.carry, self.rows)
        self.rows = self.core.flat(self.carry.to(self.dtype))
        return self.rows

    def join(self, carries: list[torch.Tensor]) -> torch.Tensor:
        """Carries of T steps -> deter (B, T, D)."""
        return self.core.flat(torch.stack(carries)).transpose(0, 1)


class PriorLoop(RecurrentLoop):
    """A run in which only the prior says what comes; the ensemble's members by index."""

    def __init__(
        self, rssm: RSSM, deter: torch.Tensor, stoch: torch.Tensor, members: Sequence[int]
    ):
        super().__init__(rssm, deter, stoch)
        self.latent = rssm.latent
        self.priors = {
            k: StepPerceptron(cast(nn.Sequential, rssm.priors[k]), rssm.config.deter, self.dtype)
            for k in set(members)
        }

    def prior(self, member: int) -> torch.Tensor:
        """Distribution of the present step's stochastic state."""
        return self.latent.dist(self.priors[member](self.rows))


class PlainPriorLoop:
    """The same for a core with a memory of its own: step by step with the model's own parts."""

    def __init__(
        self, rssm: RSSM, deter: torch.Tensor, stoch: torch.Tensor, memory: torch.Tensor | None
    ):
        self.rssm, self.carry, self.rows = rssm, deter, deter
        self.stoch, self.memory = stoch, memory

    def drive(self, drive: torch.Tensor) -> torch.Tensor:
        """The core takes the drive as it is."""
        return drive

    def advance(self, driven: torch.Tensor) -> torch.Tensor:
        """See :class:`RecurrentLoop`."""
        rows, self.memory = self.rssm.transition(self.rows, self.stoch, driven, self.memory)
        self.rows = self.carry = rows
        return rows

    def prior(self, member: int) -> torch.Tensor:
        """See :class:`PriorLoop`."""
        return self.rssm.dist(self.rssm.priors[member](self.rows))

    def join(self, carries: list[torch.Tensor]) -> torch.Tensor:
        """See :class:`RecurrentLoop`."""
        return torch.stack(carries, 1)


def observe(
    rssm: RSSM,
    embedding: torch.Tensor,
    drive: torch.Tensor,
    deter: torch.Tensor,
    stoch: torch.Tensor,
) -> Steps:
    """Posterior along a window.

    Args:
        rssm: the dynamics.
        embedding: (B, T, E).
        drive: (B, T, 6).
        deter, stoch: (B, D), (B, width) before the window.

    Returns:
        deter (B, T, D), stoch (B, T, width), dist (B, T, ...).
    """
    loop = RecurrentLoop(rssm, deter, stoch)
    posterior = StepPerceptron(rssm.posterior, rssm.config.deter, loop.dtype)
    seen = posterior.before(embedding).unbind(1)
    carries, stochs, dists = [], [], []
    for t, driven in enumerate(loop.drive(drive).unbind(1)):
        dist = rssm.latent.dist(posterior(loop.advance(driven), seen[t]))
        loop.stoch = rssm.latent.take(dist)
        carries.append(loop.carry)
        stochs.append(loop.stoch)
        dists.append(dist)
    return loop.join(carries), torch.stack(stochs, 1), torch.stack(dists, 1)


def imagine(
    loop: PriorLoop | PlainPriorLoop,
    latent: Latent,
    drive: torch.Tensor,
    members: list[int],
    greedy: torch.Tensor | None,
) -> Steps:
    """Prior along H steps, see :meth:`wm_dynamics.rssm.RSSM.imagine`."""
    carries, stochs, dists = [], [], []
    for driven, member in zip(loop.drive(drive).unbind(1), members, strict=True):
        loop.advance(driven)
        dist = loop.prior(member)
        loop.stoch = latent.take(dist, greedy)
        carries.append(loop.carry)
        stochs.append(loop.stoch)
        dists.append(dist)
    return loop.join(carries), torch.stack(stochs, 1), torch.stack(dists, 1)
