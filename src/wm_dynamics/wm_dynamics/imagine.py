"""Fast imagination: what a planner runs hundreds of times a second, without gradients.

Three things make it quick on one CPU thread. The discrete state stays a list of class indices, so
a layer that reads it is a sum of G table rows instead of a matrix product; everything that does
not depend on the recurrence (actions in, heads out) is computed for all N * H steps at once; and
the ensemble is compared at three of the steps only.

Each step follows the mode of one ensemble member, member ``t % K`` at step ``t``: every candidate
meets the same members in the same order, so no candidate looks better because it drew the most
optimistic one, the rollout is deterministic, and it costs one prior instead of K.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from wm_dynamics.ego import SPEED_SCALE, integrate
from wm_dynamics.heads import head_values
from wm_dynamics.rollout import LatentState, Rollout
from wm_dynamics.rssm import drive_input

DISAGREEMENT_STEPS = 3  # evaluated at 1/3, 2/3 and the end of the horizon


class FastImagination:
    """Weights of a :class:`~wm_dynamics.model.WorldModel` laid out for rollouts.

    Built once per set of weights; holds copies, so changing the model needs a new one.
    """

    def __init__(self, model):
        rssm, config = model.rssm, model.config
        self.config = config
        self.ego = model.ego
        self.offsets = torch.arange(config.groups) * config.classes  # (G,) first row of a group
        weight = rssm.inp.weight.detach()
        self.stoch_in = weight[:, : config.stoch].T.contiguous()  # (G*C, hidden)
        self.drive_in = weight[:, config.stoch :].contiguous()  # (hidden, 6)
        self.drive_bias = rssm.inp.bias.detach().clone()
        self.inp_norm = rssm.inp_norm
        self.cell = rssm.cell
        self.priors = rssm.priors
        first = model.head[0]
        self.head_stoch = first.weight.detach()[:, config.deter :].T.contiguous()
        self.head_deter = first.weight.detach()[:, : config.deter].contiguous()
        self.head_bias = first.bias.detach().clone()
        self.head_rest = model.head[1:]

    def rows(self, table: torch.Tensor, stoch: torch.Tensor) -> torch.Tensor:
        """Sum over groups of the table rows that ``stoch`` (M, G) selects -> (M, width)."""
        return F.embedding_bag(stoch + self.offsets, table, mode="sum")

    def classes(self, logits: torch.Tensor) -> torch.Tensor:
        """(N, G*C) logits -> (N, G) most likely classes."""
        return logits.unflatten(-1, (self.config.groups, self.config.classes)).argmax(-1)

    @torch.inference_mode()
    def __call__(
        self, latent: LatentState, ego_state: torch.Tensor, actions: torch.Tensor
    ) -> Rollout:
        """See :meth:`wm_dynamics.model.WorldModel.imagine`."""
        n, horizon = actions.shape[:2]
        states, motions = self.ego.roll(ego_state.expand(n, -1), actions)
        speed = states[..., :1]
        drive = F.linear(drive_input(actions, motions, speed), self.drive_in, self.drive_bias)
        latent = latent.expand(n)
        deter, stoch = latent.deter, latent.stoch
        checked = {round((i + 1) * horizon / DISAGREEMENT_STEPS) - 1 for i in range(3)}
        deters, stochs, spreads = [], [], []
        for t in range(horizon):
            x = F.silu(self.inp_norm(self.rows(self.stoch_in, stoch) + drive[:, t]))
            deter = self.cell(x, deter)
            member = t % len(self.priors)
            if t in checked and len(self.priors) > 1:
                logits = [prior(deter) for prior in self.priors]
                spreads.append(self.spread(torch.stack(logits)))
                stoch = self.classes(logits[member])
            else:
                stoch = self.classes(self.priors[member](deter))
            deters.append(deter)
            stochs.append(stoch)
        heads = self.heads(torch.stack(deters, 1), torch.stack(stochs, 1))
        disagreement = torch.stack(spreads).mean(0) if spreads else actions.new_zeros(n)
        return Rollout(
            integrate(motions), (speed[..., 0] * SPEED_SCALE).clamp_min(0.0), heads, disagreement
        )

    def spread(self, logits: torch.Tensor) -> torch.Tensor:
        """(K, N, G*C) prior logits -> (N,) variance of the probabilities over the members."""
        probs = logits.unflatten(-1, (self.config.groups, self.config.classes)).softmax(-1)
        return probs.var(0, unbiased=False).sum((-1, -2))

    def heads(self, deter: torch.Tensor, stoch: torch.Tensor) -> dict[str, torch.Tensor]:
        """deter (N, H, D), stoch (N, H, G) -> head values, each (N, H)."""
        shape = deter.shape[:2]
        first = F.linear(deter.flatten(0, 1), self.head_deter, self.head_bias)
        raw = self.head_rest(first + self.rows(self.head_stoch, stoch.flatten(0, 1)))
        return head_values(raw.unflatten(0, shape))
