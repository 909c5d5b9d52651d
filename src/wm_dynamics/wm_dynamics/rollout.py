"""What goes into and comes out of imagination: the latent state and the imagined futures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from wm_dynamics.array_latent import ArrayLatent


@dataclass(frozen=True)
class LatentState:
    """The model's belief at one moment, for B independent sequences.

    Attributes:
        deter: (B, D) float32 deterministic state.
        stoch: the mode of the stochastic state: (B, G) int64 class of each group, or (B, Z)
            float32 means. Keeping indices rather than one-hot vectors makes every layer above a
            table look-up.
        memory: None, or what a transformer remembers, (B, layers, 2, heads, W, D / heads).
    """

    deter: torch.Tensor
    stoch: torch.Tensor
    memory: torch.Tensor | None = None

    def expand(self, n: int) -> LatentState:
        """One latent (B = 1) seen as ``n``; a batch of ``n`` is returned as it is."""
        if len(self.deter) == n:
            return self
        memory = None if self.memory is None else self.memory.expand(n, *self.memory.shape[1:])
        return LatentState(self.deter.expand(n, -1), self.stoch.expand(n, -1), memory)

    def to_arrays(self, classes: int) -> tuple[np.ndarray, np.ndarray]:
        """First sequence as float32 arrays for a message.

        Args:
            classes: C, or 0 where the stochastic state is continuous.

        Returns:
            deter (D,) with the memory, if there is one, flattened behind it; stoch as one-hot
            (G*C,) or means (Z,).
        """
        deter, stoch = self.deter[0], self.stoch[0]
        if classes:
            stoch = torch.nn.functional.one_hot(stoch, classes).float().flatten()
        if self.memory is not None:
            deter = torch.cat([deter, self.memory[0].flatten()])
        return deter.cpu().numpy(), stoch.cpu().numpy()

    @staticmethod
    def of(latent: ArrayLatent | LatentState) -> LatentState:
        """The belief of any runtime as tensors; they share its memory."""
        memory = None if latent.memory is None else torch.as_tensor(latent.memory)
        return LatentState(torch.as_tensor(latent.deter), torch.as_tensor(latent.stoch), memory)

    @staticmethod
    def from_arrays(
        deter: np.ndarray,
        stoch: np.ndarray,
        classes: int,
        memory_shape: tuple[int, ...] = (),
    ) -> LatentState:
        """Inverse of :meth:`to_arrays`; B is 1. memory_shape: ``ModelConfig.memory_shape``."""
        values = torch.from_numpy(np.array(deter, np.float32)[None])
        compact = np.array(stoch, np.float32)[None]
        if classes:
            compact = compact.reshape(1, -1, classes).argmax(-1)
        memory = None
        if memory_shape:
            values, rest = values.tensor_split([values.shape[1] - math.prod(memory_shape)], 1)
            memory = rest.unflatten(1, memory_shape)
        return LatentState(values, torch.from_numpy(compact), memory)


@dataclass(frozen=True)
class Observed:
    """What one filter step made of what was seen, for B sequences.

    Attributes:
        latent: the belief now: the mode of the posterior.
        surprise: (B,) KL(posterior || mean prior) in nats.
        disagreement: (B,) spread of the prior ensemble, one step ahead; 0 = agree.
        embedding: (B, E) of the streams.
    """

    latent: LatentState
    surprise: torch.Tensor
    disagreement: torch.Tensor
    embedding: torch.Tensor


@dataclass(frozen=True)
class End:
    """Where N imagined futures end.

    Attributes:
        latent: belief after the last step; without a transformer's memory.
        ego_state: (N, 5) proprioception.
    """

    latent: LatentState
    ego_state: torch.Tensor


@dataclass(frozen=True)
class Rollout:
    """N imagined futures of H steps, all in the ego frame of the moment they start from.

    Attributes:
        path: (N, H, 3) x, y [m] and yaw [rad] after each step.
        speed: (N, H) m/s after each step.
        heads: name -> (N, H), SI units and probabilities, see ``heads.HEADS``.
        disagreement: (N,) spread of the prior ensemble, averaged over the checked steps; 0 = agree.
        spreads: (N, S) the same at each checked step, see ``scales.checked_steps``; S = 0 where
            nobody looked.
        end: the last imagined state; None of an imagination without one.
    """

    path: torch.Tensor
    speed: torch.Tensor
    heads: dict[str, torch.Tensor]
    disagreement: torch.Tensor
    spreads: torch.Tensor
    end: End | None = None
