"""Fast imagination: what a planner runs hundreds of times a second, without gradients.

One loop for every core and stochastic state. Four things make it quick on one CPU thread. A
discrete state stays a list of class indices, so a layer that reads it is a sum of G table rows
instead of a matrix product, and a transformer keeps its keys and values; everything that does
not depend on the recurrence (actions in, heads out) is computed for all N * H steps at once; the
ensemble is compared at three of the steps only; and where the processor multiplies bfloat16
natively, the large matrix products use it (the model is trained that way). Sums, gates, the ego
motion and the last layer of the heads stay float32.

Each step follows the mode of one ensemble member, member ``t % K`` at step ``t``: every candidate
meets the same members in the same order, so no candidate looks better because it drew the most
optimistic one, the rollout is deterministic, and it costs one prior instead of K. What each member
alone would imagine (``every_member``) is asked for a few candidates only.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from wm_dynamics.ego import SPEED_SCALE, integrate
from wm_dynamics.fast_cores import cast, fast_core
from wm_dynamics.heads import head_values
from wm_dynamics.rollout import End, LatentState, Rollout
from wm_dynamics.rssm import drive_input
from wm_dynamics.scales import checked_steps


def native_dtype() -> torch.dtype:
    """The type this processor multiplies fastest: bfloat16 with AVX512-BF16 or AMX."""
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return torch.bfloat16 if supported() else torch.float32


class FastImagination:
    """Weights of a :class:`~wm_dynamics.model.WorldModel` laid out for rollouts.

    Built once per set of weights; holds copies, so changing the model needs a new one.

    Args:
        model: the world model.
        dtype: of the matrix products; None takes :func:`native_dtype` on the CPU.
    """

    def __init__(self, model, dtype: torch.dtype | None = None):
        rssm, config = model.rssm, model.config
        device = rssm.inp.weight.device
        self.config = config
        self.dtype = dtype or (native_dtype() if device.type == "cpu" else torch.float32)
        self.ego = model.ego
        self.latent = rssm.latent
        weight = rssm.inp.weight.detach()
        self.stoch_in = weight[:, : config.stoch].T.contiguous()  # (width, hidden)
        self.drive_in = weight[:, config.stoch :].contiguous()  # (hidden, 6)
        self.drive_bias = rssm.inp.bias.detach().clone()
        self.inp_norm = rssm.inp_norm
        self.core = fast_core(rssm.cell, self.dtype)
        self.priors = [cast(prior, self.dtype) for prior in rssm.priors]
        first, *middle, self.head_out = model.head
        self.head_stoch = first.weight.detach()[:, config.deter :].T.contiguous()
        self.head_deter = first.weight.detach()[:, : config.deter].to(self.dtype)
        self.head_bias = first.bias.detach().to(self.dtype)
        self.head_middle = cast(nn.Sequential(*middle), self.dtype)

    def tokens(self, stoch: torch.Tensor, drive: torch.Tensor) -> torch.Tensor:
        """stoch (N, G) or (N, Z), drive through its layer (N, hidden) -> core input (N, hidden)."""
        return F.silu(self.inp_norm(self.latent.project(stoch, self.stoch_in) + drive))

    @torch.inference_mode()
    def __call__(
        self,
        latent: LatentState,
        ego_state: torch.Tensor,
        actions: torch.Tensor,
        every_member: bool = False,
    ) -> Rollout:
        """See :meth:`wm_dynamics.model.WorldModel.imagine` and ``imagine_members``."""
        n, horizon = actions.shape[:2]
        states, motions = self.ego.roll(ego_state.expand(n, -1), actions)
        speed = states[..., :1]
        drive = F.linear(drive_input(actions, motions, speed), self.drive_in, self.drive_bias)
        latent = latent.expand(n)
        deter, stoch = latent.deter, latent.stoch
        carry = self.core.begin(latent.memory, n, horizon)
        members = len(self.priors)
        checked = set() if every_member or members == 1 else set(checked_steps(horizon))
        deters, stochs, spreads = [], [], []
        for t in range(horizon):
            deter = self.core.step(self.tokens(stoch, drive[:, t]), deter, carry, t)
            small = deter.to(self.dtype)
            if every_member:
                logits = [
                    prior(part)
                    for prior, part in zip(self.priors, small.chunk(members), strict=True)
                ]
                stoch = self.latent.mode(torch.cat(logits))
            elif t in checked:
                logits = [prior(small) for prior in self.priors]
                spreads.append(self.latent.spread(torch.stack(logits).float()))
                stoch = self.latent.mode(logits[t % members])
            else:
                stoch = self.latent.mode(self.priors[t % members](small))
            deters.append(small)
            stochs.append(stoch)
        heads = self.heads(torch.stack(deters, 1), torch.stack(stochs, 1))
        spread = torch.stack(spreads, 1) if spreads else actions.new_zeros(n, 0)
        return Rollout(
            integrate(motions),
            (speed[..., 0] * SPEED_SCALE).clamp_min(0.0),
            heads,
            spread.mean(1) if spreads else actions.new_zeros(n),
            spread,
            End(LatentState(deter, stoch), states[:, -1]),
        )

    def heads(self, deter: torch.Tensor, stoch: torch.Tensor) -> dict[str, torch.Tensor]:
        """deter (N, H, D) in ``dtype``, stoch (N, H, G or Z) -> head values, each (N, H)."""
        first = F.linear(deter.flatten(0, 1), self.head_deter, self.head_bias)
        first = first.float() + self.latent.project(stoch.flatten(0, 1), self.head_stoch)
        raw = self.head_out(self.head_middle(first.to(self.dtype)).float())
        return head_values(raw.unflatten(0, deter.shape[:2]))
