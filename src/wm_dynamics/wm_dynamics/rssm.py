"""Recurrent state-space model: GRU state plus discrete stochastic state, ensemble of priors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from wm_dynamics.config import ModelConfig
from wm_dynamics.networks import NormGRUCell, perceptron

# Metres, metres and radians per step brought to about one.
MOTION_SCALE = (0.5, 8.0, 10.0)
DRIVE_DIM = 6  # action (2), scaled motion (3), speed/10 (1)


def drive_input(action: torch.Tensor, motion: torch.Tensor, speed: torch.Tensor) -> torch.Tensor:
    """What moves the state: action (..., 2), motion (..., 3), speed/10 (..., 1) -> (..., 6)."""
    return torch.cat([action, motion * motion.new_tensor(MOTION_SCALE), speed], -1)


@dataclass(frozen=True)
class States:
    """Latent states along time with gradients, for training.

    Attributes:
        deter: (B, T, D).
        stoch: (B, T, G*C) one-hot forward, straight-through backward.
        probs: (B, T, G, C) probabilities ``stoch`` was taken from.
    """

    deter: torch.Tensor
    stoch: torch.Tensor
    probs: torch.Tensor

    @property
    def features(self) -> torch.Tensor:
        """(B, T, D + G*C), the input of heads and decoder."""
        return torch.cat([self.deter, self.stoch], -1)


class RSSM(nn.Module):
    """Transition, posterior and K priors.

    The weights of ``inp`` multiply [stoch, drive], those of ``posterior`` [deter, embedding].
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        hidden = config.hidden
        self.inp = nn.Linear(config.stoch + DRIVE_DIM, hidden)
        self.inp_norm = nn.LayerNorm(hidden)
        self.cell = NormGRUCell(hidden, config.deter)
        self.posterior = perceptron(config.deter + config.embed, hidden, config.stoch)
        self.priors = nn.ModuleList(
            perceptron(config.deter, hidden, config.stoch) for _ in range(config.ensemble)
        )
        self.initial_deter = nn.Parameter(torch.zeros(config.deter))

    def probs(self, logits: torch.Tensor) -> torch.Tensor:
        """(..., G*C) logits -> (..., G, C) probabilities with a share of uniform, float32."""
        config = self.config
        soft = logits.float().unflatten(-1, (config.groups, config.classes)).softmax(-1)
        return (1.0 - config.unimix) * soft + config.unimix / config.classes

    def take(self, probs: torch.Tensor, greedy: torch.Tensor | None = None) -> torch.Tensor:
        """Sample one-hot states, straight-through; rows where ``greedy`` (B,) take the mode.

        The draw is inverse-CDF from one uniform per group, so that a backend fed with the same
        uniforms draws the same states.
        """
        uniform = torch.rand(*probs.shape[:-1], 1, device=probs.device)
        index = (probs.detach().cumsum(-1) < uniform).sum(-1).clamp_max(self.config.classes - 1)
        if greedy is not None:
            index = torch.where(greedy[:, None], probs.argmax(-1), index)
        onehot = F.one_hot(index, self.config.classes).to(probs.dtype)
        return (onehot + probs - probs.detach()).flatten(-2)

    def transition(
        self, deter: torch.Tensor, stoch: torch.Tensor, drive: torch.Tensor
    ) -> torch.Tensor:
        """deter (B, D), stoch (B, G*C) one-hot, drive (B, 6) -> next deter (B, D)."""
        x = F.silu(self.inp_norm(self.inp(torch.cat([stoch, drive], -1))))
        return self.cell(x, deter)

    def initial(self, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Learned start: deter (batch, D) and the mode of the mean prior, (batch, G*C)."""
        deter = torch.tanh(self.initial_deter).expand(batch, -1)
        mean = torch.stack([self.probs(prior(deter[:1])) for prior in self.priors]).mean(0)
        stoch = F.one_hot(mean.argmax(-1), self.config.classes).float().flatten(-2)
        return deter, stoch.expand(batch, -1)

    def observe(self, embedding: torch.Tensor, drive: torch.Tensor) -> States:
        """Posterior along a window: embedding (B, T, E), drive (B, T, 6) -> :class:`States`."""
        deter, stoch = self.initial(len(embedding))
        states = []
        for t in range(embedding.shape[1]):
            deter = self.transition(deter, stoch, drive[:, t])
            probs = self.probs(self.posterior(torch.cat([deter, embedding[:, t]], -1)))
            stoch = self.take(probs)
            states.append((deter, stoch, probs))
        return States(*(torch.stack(x, 1) for x in zip(*states, strict=True)))

    def imagine(
        self,
        deter: torch.Tensor,
        stoch: torch.Tensor,
        drive: torch.Tensor,
        members: list[int],
        greedy: torch.Tensor | None = None,
    ) -> States:
        """Prior along H steps with gradients, one ensemble member per step.

        Args:
            deter, stoch: (B, D), (B, G*C) where imagination starts.
            drive: (B, H, 6).
            members: H indices of the prior to use.
            greedy: (B,) rows that follow the mode (as the planner does) instead of a sample.
        """
        states = []
        for t, member in enumerate(members):
            deter = self.transition(deter, stoch, drive[:, t])
            probs = self.probs(self.priors[member](deter))
            stoch = self.take(probs, greedy)
            states.append((deter, stoch, probs))
        return States(*(torch.stack(x, 1) for x in zip(*states, strict=True)))
