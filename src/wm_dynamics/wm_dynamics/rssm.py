"""Latent dynamics: a deterministic core, a stochastic state, and an ensemble of priors.

With a GRU core this is the recurrent state-space model of PlaNet and Dreamer, with the transformer
core the one of TransDreamer and STORM; whatever the core and the stochastic state, the methods are
the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn
from torch.nn import functional as F

from wm_dynamics import rssm_loop
from wm_dynamics.config import ModelConfig
from wm_dynamics.cores import TransformerCore, make_core
from wm_dynamics.latents import make_latent
from wm_dynamics.networks import perceptron
from wm_dynamics.scales import DRIVE_DIM, MOTION_SCALE


def drive_input(action: torch.Tensor, motion: torch.Tensor, speed: torch.Tensor) -> torch.Tensor:
    """What moves the state: action (..., 2), motion (..., 3), speed/10 (..., 1) -> (..., 6)."""
    return torch.cat([action, motion * motion.new_tensor(MOTION_SCALE), speed], -1)


@dataclass(frozen=True)
class States:
    """Latent states along time with gradients, for training.

    Attributes:
        deter: (B, T, D).
        stoch: (B, T, G*C) one-hot forward, straight-through backward; or (B, T, Z).
        dist: what ``stoch`` was taken from: (B, T, G, C) probabilities or (B, T, 2, Z).
        memory: None, or the transformer's keys and values, (B, layers, 2, heads, W + T, D / heads).
    """

    deter: torch.Tensor
    stoch: torch.Tensor
    dist: torch.Tensor
    memory: torch.Tensor | None = None

    @cached_property
    def features(self) -> torch.Tensor:
        """(B, T, D + width of stoch), the input of heads and decoders."""
        return torch.cat([self.deter, self.stoch], -1)

    def memory_after(self, step: int) -> torch.Tensor | None:
        """What the core remembers after ``step``, as a belief holds it; None for a GRU."""
        if self.memory is None:
            return None
        window = self.memory.shape[-2] - self.deter.shape[1]
        return self.memory[..., step + 1 : step + 1 + window, :]


class RSSM(nn.Module):
    """Transition, posterior and K priors.

    The weights of ``inp`` multiply [stoch, drive], those of ``posterior`` [deter, embedding], or
    the embedding alone where the core runs over a window at once.
    """

    initial_deter: torch.Tensor  # (D,)

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.latent = latent = make_latent(config)
        hidden = config.hidden
        self.inp = nn.Linear(latent.width + DRIVE_DIM, hidden)
        self.inp_norm = nn.LayerNorm(hidden)
        self.cell = make_core(config)
        seen = config.embed if self.cell.parallel else config.deter + config.embed
        self.posterior = perceptron(seen, hidden, latent.outputs)
        self.priors = nn.ModuleList(
            perceptron(config.deter, hidden, latent.outputs) for _ in range(config.ensemble)
        )
        start = torch.zeros(config.deter)
        if self.cell.parallel:  # what is learned about the start is in the core's memory
            self.register_buffer("initial_deter", start)
        else:
            self.initial_deter = nn.Parameter(start)

    def dist(self, raw: torch.Tensor) -> torch.Tensor:
        """Network outputs -> parameters of the stochastic state's distribution, float32."""
        return self.latent.dist(raw)

    def posterior_dist(self, deter: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """deter (..., D), embedding (..., E) -> distribution given what is seen."""
        seen = embedding if self.cell.parallel else torch.cat([deter, embedding], -1)
        return self.dist(self.posterior(seen))

    def prior_mean(self, deter: torch.Tensor) -> torch.Tensor:
        """deter (..., D) -> the ensemble's distribution before anything is seen."""
        return self.latent.average(torch.stack([self.dist(prior(deter)) for prior in self.priors]))

    def tokens(self, stoch: torch.Tensor, drive: torch.Tensor) -> torch.Tensor:
        """stoch (..., width) a step ago and drive (..., 6) since -> core input (..., hidden)."""
        return F.silu(self.inp_norm(self.inp(torch.cat([stoch, drive], -1))))

    def transition(
        self,
        deter: torch.Tensor,
        stoch: torch.Tensor,
        drive: torch.Tensor,
        memory: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """deter (B, D), stoch (B, width), drive (B, 6), memory -> next deter (B, D) and memory."""
        return self.cell(self.tokens(stoch, drive), deter, memory)

    def initial(self, batch: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Learned start: deter (batch, D), the mode of the mean prior (batch, width), memory."""
        deter = torch.tanh(self.initial_deter).expand(batch, -1)
        stoch = self.latent.flat(self.latent.compact(self.prior_mean(deter[:1])))
        return deter, stoch.expand(batch, -1), self.cell.initial_memory(batch)

    def observe(self, embedding: torch.Tensor, drive: torch.Tensor) -> States:
        """Posterior along a window: embedding (B, T, E), drive (B, T, 6) -> :class:`States`."""
        deter, stoch, memory = self.initial(len(embedding))
        if isinstance(self.cell, TransformerCore):
            return self._observe_at_once(self.cell, embedding, drive, stoch, memory)
        return States(*rssm_loop.observe(self, embedding, drive, deter, stoch))

    def _observe_at_once(
        self,
        cell: TransformerCore,
        embedding: torch.Tensor,
        drive: torch.Tensor,
        first: torch.Tensor,
        memory: torch.Tensor | None,
    ) -> States:
        """As ``observe``; no posterior waits for the step before. first: (B, width)."""
        dist = self.dist(self.posterior(embedding))
        stoch = self.latent.take(dist)
        before = torch.cat([first[:, None], stoch[:, :-1]], 1)
        deter, caches = cell.sequence(self.tokens(before, drive), memory)
        return States(deter, stoch, dist, caches)

    def imagine(
        self,
        deter: torch.Tensor,
        stoch: torch.Tensor,
        drive: torch.Tensor,
        members: list[int],
        greedy: torch.Tensor | None = None,
        memory: torch.Tensor | None = None,
    ) -> States:
        """Prior along H steps with gradients, one ensemble member per step.

        Args:
            deter, stoch: (B, D), (B, width) where imagination starts.
            drive: (B, H, 6).
            members: H indices of the prior to use.
            greedy: (B,) rows that follow the mode (as the planner does) instead of a sample.
            memory: (B, ...) of the start, see :meth:`States.memory_after`; None for a GRU.

        Returns:
            The states, without a memory.
        """
        loop = self.prior_loop(deter, stoch, memory, members)
        return States(*rssm_loop.imagine(loop, self.latent, drive, members, greedy))

    def prior_loop(
        self,
        deter: torch.Tensor,
        stoch: torch.Tensor,
        memory: torch.Tensor | None,
        members: Sequence[int],
    ) -> rssm_loop.PriorLoop | rssm_loop.PlainPriorLoop:
        """A run of the prior for who decides the drive step by step.

        Args:
            deter, stoch, memory: where it starts, as for ``imagine``.
            members: indices of the priors that will be asked.
        """
        if isinstance(self.cell, TransformerCore):
            return rssm_loop.PlainPriorLoop(self, deter, stoch, memory)
        return rssm_loop.PriorLoop(self, deter, stoch, members)
