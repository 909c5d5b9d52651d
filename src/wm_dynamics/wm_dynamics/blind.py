"""The blind ablation: imagines its own motion and nothing else.

Same interface as any runtime of a world model, so a planner cannot tell. It knows where the vehicle
will go and believes that there is nobody else and that no light is red; whatever the full planner
does better than this one, the latent has earned.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from wm_dynamics.array_latent import ArrayFutures, ArrayLatent, ArrayObserved
from wm_dynamics.backend_array import ArrayBackend
from wm_dynamics.heads import HEADS
from wm_dynamics.reference import integrate, roll_ego
from wm_dynamics.scales import SPEED_SCALE
from wm_dynamics.weights import Weights

FAR_M = 1000.0  # distance reported for a leader or a stop line that is believed absent


class BlindBackend(ArrayBackend):
    """Ego dynamics of a model with neutral heads; its belief is zeros and never changes."""

    name = "numpy, the ego network alone"

    def __init__(self, weights: Weights):
        # What it does not see cannot be unusual.
        super().__init__(weights.config, weights.hash, novelty=None)
        self.members = 1  # nothing to disagree about
        self._tensors = weights.tensors

    def initial(self) -> ArrayLatent:
        """See :class:`ArrayBackend`."""
        c = self.config
        stoch = np.zeros((1, c.groups), np.int64) if c.stoch_classes else np.zeros((1, c.stoch))
        memory = np.zeros((1, *c.memory_shape), np.float32) if c.memory_shape else None
        return ArrayLatent(np.zeros((1, c.deter), np.float32), stoch, memory)

    def predict(self, latent: ArrayLatent, *_: np.ndarray) -> ArrayLatent:
        """See :class:`ArrayBackend`."""
        return latent

    def expected(self, state: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`ArrayBackend`."""
        states, motions = roll_ego(self._tensors, state, action[:, None], self.dt)
        return states[:, 0], motions[:, 0]

    def perceive(self, latent: ArrayLatent) -> dict[str, float]:
        """See :class:`ArrayBackend`."""
        return {name: float(value) for name, value in neutral_heads(()).items()}

    def imagine(
        self, latent: ArrayLatent, ego_state: np.ndarray, actions: np.ndarray
    ) -> ArrayFutures:
        """See :class:`ArrayBackend`; the latent is ignored."""
        states, motions = roll_ego(self._tensors, ego_state, actions, self.dt)
        rows = len(actions)
        return ArrayFutures(
            path=integrate(motions),
            speed=np.maximum(states[..., 0] * np.float32(SPEED_SCALE), 0.0),
            heads=neutral_heads(actions.shape[:2]),
            disagreement=np.zeros(rows, np.float32),
            spreads=np.zeros((rows, 0), np.float32),
        )

    def imagine_members(
        self, latent: ArrayLatent, ego_state: np.ndarray, actions: np.ndarray
    ) -> ArrayFutures:
        """See :class:`ArrayBackend`."""
        return self.imagine(latent, ego_state, actions)

    def _look(
        self, latent: ArrayLatent, action: np.ndarray, *_: np.ndarray | Mapping[str, np.ndarray]
    ) -> ArrayObserved:
        """Sees nothing: the belief stays and nothing surprises."""
        none = np.zeros(len(action), np.float32)
        return ArrayObserved(latent, none, none, np.zeros((len(action), 0), np.float32))


def neutral_heads(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Head values of an empty world: distances far, probabilities 0, the episode goes on."""
    values = {head.name: np.zeros(shape, np.float32) for head in HEADS}
    values["leader_gap"] += np.float32(FAR_M)
    values["stop_distance"] += np.float32(FAR_M)
    values["continue"] += np.float32(1.0)
    return values
