"""How much the members of the ensemble disagree about what they imagine."""

from __future__ import annotations

import numpy as np
import torch

from wm_dynamics.heads import HEADS
from wm_dynamics.model import WorldModel
from wm_dynamics.rollout import LatentState

NAMES = {head.label: head.name for head in HEADS}  # the head that predicts a label


def member_heads(
    model: WorldModel, latent: LatentState, ego_state: torch.Tensor, actions: torch.Tensor
) -> dict[str, np.ndarray]:
    """What each of K members imagines alone: head -> (K, N, H), in its unit.

    Args:
        model: the model.
        latent: beliefs, B = N.
        ego_state: (N, 5).
        actions: (N, H, 2).
    """
    k = model.members
    memory = None if latent.memory is None else torch.cat([latent.memory] * k)
    beliefs = LatentState(latent.deter.repeat(k, 1), latent.stoch.repeat(k, 1), memory)
    rollout = model.imagine_members(beliefs, ego_state.repeat(k, 1), actions)
    return {name: v.unflatten(0, (k, -1)).numpy() for name, v in rollout.heads.items()}


def head_disagreement(members: dict[str, np.ndarray]) -> np.ndarray:
    """(N,) standard deviation over the members, mean over heads and steps, in network units.

    The counterpart of ``inspect_metrics.head_error``: what exists only at times (a leader) counts
    as much as the members believe that it exists. The planner weighs the same deviation, of costs.

    Args:
        members: head -> (K, N, H).
    """
    moments = members[HEADS[0].name].shape[1]
    total, weight = np.zeros(moments), np.zeros(moments)
    for head in HEADS:
        deviation = members[head.name].std(0) / head.scale
        exists = np.ones_like(deviation)
        if head.presence is not None:
            exists = members[NAMES[head.presence]].mean(0)
        total += (deviation * exists).sum(1)
        weight += exists.sum(1)
    return total / weight
