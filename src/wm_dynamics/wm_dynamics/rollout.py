"""What goes into and comes out of imagination: the latent state and the imagined futures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class LatentState:
    """The model's belief at one moment, for B independent sequences.

    Attributes:
        deter: (B, D) float32 recurrent state.
        stoch: (B, G) int64 class of each group of the discrete state (its mode). Keeping indices
            rather than one-hot vectors makes every layer above a table look-up.
    """

    deter: torch.Tensor
    stoch: torch.Tensor

    def expand(self, n: int) -> LatentState:
        """One latent (B = 1) seen as ``n``; a batch of ``n`` is returned as it is."""
        if len(self.deter) == n:
            return self
        return LatentState(self.deter.expand(n, -1), self.stoch.expand(n, -1))

    def to_arrays(self, classes: int) -> tuple[np.ndarray, np.ndarray]:
        """First sequence as float32 arrays for a message: deter (D,), one-hot stoch (G*C,)."""
        onehot = torch.nn.functional.one_hot(self.stoch[0], classes).float().flatten()
        return self.deter[0].cpu().numpy(), onehot.cpu().numpy()

    @staticmethod
    def from_arrays(deter: np.ndarray, onehot: np.ndarray, classes: int) -> LatentState:
        """Inverse of :meth:`to_arrays`; B is 1."""
        stoch = np.asarray(onehot, np.float32).reshape(1, -1, classes).argmax(-1)
        return LatentState(
            torch.from_numpy(np.array(deter, np.float32)[None]), torch.from_numpy(stoch)
        )


@dataclass(frozen=True)
class Rollout:
    """N imagined futures of H steps, all in the ego frame of the moment they start from.

    Attributes:
        path: (N, H, 3) x, y [m] and yaw [rad] after each step.
        speed: (N, H) m/s after each step.
        heads: name -> (N, H), SI units and probabilities, see ``heads.HEADS``.
        disagreement: (N,) spread of the prior ensemble, averaged over the checked steps; 0 = agree.
    """

    path: torch.Tensor
    speed: torch.Tensor
    heads: dict[str, torch.Tensor]
    disagreement: torch.Tensor
