"""The blind ablation: imagines its own motion and nothing else.

Same interface as :class:`~wm_dynamics.model.WorldModel`, so a planner cannot tell. It knows where
the vehicle will go and believes that there is nobody else and that no light is red; whatever the
full planner does better than this one, the latent has earned.
"""

from __future__ import annotations

import torch

from wm_dynamics.ego import SPEED_SCALE, integrate
from wm_dynamics.heads import HEADS
from wm_dynamics.model import WorldModel
from wm_dynamics.rollout import LatentState, Rollout

FAR_M = 1000.0  # distance reported for a leader or a stop line that is believed absent


class BlindImaginer:
    """Ego dynamics of ``model`` with neutral heads."""

    novelty = None  # what it does not see cannot be unusual
    members = 1  # nothing to disagree about

    def __init__(self, model: WorldModel):
        self.model = model
        self.config = model.config
        self.hash = model.hash

    def initial(self, batch: int = 1) -> LatentState:
        """The wrapped model's empty belief; it never changes anything here."""
        return self.model.initial(batch)

    def observe_step(self, latent: LatentState, *_, **__) -> tuple[LatentState, torch.Tensor]:
        """Sees nothing: the belief stays and nothing surprises."""
        return latent, torch.zeros(len(latent.deter))

    def predict_step(self, latent: LatentState, *_, **__) -> LatentState:
        """The belief stays."""
        return latent

    def perceive(self, latent: LatentState) -> dict[str, torch.Tensor]:
        """Neutral head values, each (B,)."""
        return neutral_heads((len(latent.deter),))

    @torch.inference_mode()
    def imagine(
        self, latent: LatentState, ego_state: torch.Tensor, actions: torch.Tensor
    ) -> Rollout:
        """See :meth:`wm_dynamics.model.WorldModel.imagine`; the latent is ignored."""
        states, motions = self.model.ego.roll(ego_state.expand(len(actions), -1), actions)
        speed = (states[..., 0] * SPEED_SCALE).clamp_min(0.0)
        return Rollout(
            integrate(motions),
            speed,
            neutral_heads(tuple(actions.shape[:2])),
            actions.new_zeros(len(actions)),
            actions.new_zeros(len(actions), 0),
        )


def neutral_heads(shape: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """Head values of an empty world: distances far, probabilities 0, the episode goes on."""
    values = {head.name: torch.zeros(shape) for head in HEADS}
    values["leader_gap"] += FAR_M
    values["stop_distance"] += FAR_M
    values["continue"] += 1.0
    return values
