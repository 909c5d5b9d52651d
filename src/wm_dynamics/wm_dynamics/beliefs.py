"""The beliefs along an imagined future, one by one, for whoever wants to draw them."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from wm_dynamics.model import WorldModel
from wm_dynamics.rollout import LatentState
from wm_dynamics.rssm import drive_input


def beliefs(
    model: WorldModel, latent: LatentState, state: torch.Tensor, actions: torch.Tensor
) -> Iterator[LatentState]:
    """The belief after each imagined step, as :class:`FastImagination` goes, for decoding."""
    with torch.inference_mode():
        rssm = model.rssm
        states, motions = model.ego.roll(state, actions)
        drive = drive_input(actions, motions, states[..., :1])
        deter, stoch, memory = latent.deter, latent.stoch, latent.memory
        for t in range(actions.shape[1]):
            deter, memory = rssm.transition(deter, rssm.latent.flat(stoch), drive[:, t], memory)
            stoch = rssm.latent.compact(rssm.dist(rssm.priors[t % len(rssm.priors)](deter)))
            yield LatentState(deter, stoch, memory)
