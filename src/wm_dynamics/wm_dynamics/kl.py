"""The pull between posterior and prior, for either kind of stochastic state."""

from __future__ import annotations

import torch

from wm_dynamics import ranks
from wm_dynamics.rssm import RSSM, States
from wm_dynamics.step_ops import scale_gradient


def balanced_kl(
    rssm: RSSM,
    states: States,
    mask: torch.Tensor,
    dynamics: float = 0.8,
    representation: float = 0.1,
    free_nats: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Balanced KL with free nats (DreamerV2, DreamerV3), averaged over the ensemble.

    The first step of a window has no history to be predicted from and is left out.

    Args:
        rssm: the dynamics.
        states: posterior states of windows of T steps.
        mask: (B, T) 1 where the step exists.
        dynamics: weight of moving the prior to the posterior.
        representation: weight of moving the posterior to the prior.
        free_nats: below this the KL costs a constant and teaches nothing.

    Returns:
        The loss, and the plain KL in nats for logging (detached), both scalars.
    """
    post, valid = states.dist[:, 1:], mask[:, 1:]
    total = ranks.total(valid).clamp_min(1.0)
    value = plain = post.new_zeros(())
    for prior in rssm.priors:
        dist = rssm.dist(prior(states.deter[:, 1:]))
        # Both pulls have the same value and differ in whom they move and how much: one KL serves.
        apart = rssm.latent.kl(scale_gradient(post, representation), scale_gradient(dist, dynamics))
        nats = ranks.total(apart * valid) / total
        pull = nats.clamp_min(free_nats)
        value = value + pull + (dynamics + representation - 1.0) * pull.detach()
        plain = plain + nats.detach()
    members = len(rssm.priors)
    return value / members, plain / members
