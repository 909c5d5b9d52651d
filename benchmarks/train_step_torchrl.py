"""TorchRL's DreamerV3 for ``train_step.py``, wired as in its ``sota-implementations``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from tensordict import TensorDict
from tensordict.nn import (
    InteractionType,
    ProbabilisticTensorDictModule,
    ProbabilisticTensorDictSequential,
    TensorDictModule,
    TensorDictSequential,
)
from torch import nn
from torchrl.data import Bounded, Composite, Unbounded
from torchrl.envs.model_based.dreamer import DreamerEnv
from torchrl.modules import DreamerV3MLP, SymExpTwoHot, TanhNormal, WorldModelWrapper
from torchrl.modules.models.model_based import (
    DreamerV3ImageDecoder,
    DreamerV3ImageEncoder,
    RSSMPosteriorV3,
    RSSMPriorV3,
    RSSMRolloutV3,
)
from torchrl.objectives import DreamerV3ActorLoss, DreamerV3ModelLoss, DreamerV3ValueLoss
from torchrl.objectives.dreamer_v3 import categorical_kl_terms
from torchrl.objectives.utils import SoftUpdate, ValueEstimators
from train_step_worker import Workload

HIDDEN, CLASSES, GROUPS, DEPTH, BINS = 256, 16, 32, 16, 255  # of its size 12M
STOCH = GROUPS * CLASSES
RATE = 4e-5
CLIP, CLIP_FLOOR = 0.3, 1e-3
STATE, NEXT = ["state", "belief"], [("next", "state"), ("next", "belief")]


class PolicyNet(nn.Module):
    """Mean and bounded deviation."""

    def __init__(self, inputs: int, actions: int):
        super().__init__()
        self.net = DreamerV3MLP(inputs, 2 * actions, depth=3, num_cells=HIDDEN, outscale=0.01)

    def forward(self, state: torch.Tensor, belief: torch.Tensor) -> tuple:
        """Location and scale."""
        mean, raw = self.net(state, belief).float().chunk(2, -1)
        return mean, 0.9 * torch.sigmoid(raw + 2) + 0.1


@torch.no_grad()
def clip_adaptively(parameters: Iterable[nn.Parameter]) -> None:
    """Adaptive gradient clipping, tensor by tensor, as its script does it."""
    for p in parameters:
        if p.grad is not None:
            allowed = CLIP * p.norm().clamp_min(CLIP_FLOOR)
            p.grad.mul_((allowed / p.grad.norm().clamp_min(1e-12)).clamp_max(1))


class TorchRL:
    """World model, actor, critic, their losses and optimisers.

    Args:
        workload: sizes.
        bf16: run the losses under autocast, which its own CPU path does not.
        rate: learning rate of the world model.
    """

    def __init__(self, workload: Workload, bf16: bool = False, rate: float = RATE):
        self.workload, self.bf16 = workload, bf16
        self.precision = "bfloat16 autocast, float32 weights and moments" if bf16 else "float32"
        self.world, self.rollout, heads = self._world()
        self.losses = DreamerV3ModelLoss(
            self.world, kl_mode="separate", unimix=0.01, lambda_continue=1.0, reco_symlog=False
        )
        self._behavior(*heads)
        self.world_optimizer = torch.optim.Adam(self.losses.parameters(), lr=rate, eps=1e-20)
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), lr=RATE, eps=1e-20)
        self.value_optimizer = torch.optim.Adam(self.value.parameters(), lr=RATE, eps=1e-20)
        self.data = self._data()
        b, t, d = workload.batch, workload.length, workload.width
        picked = torch.randint(CLASSES, (b * t, GROUPS))
        state = nn.functional.one_hot(picked, CLASSES).float().flatten(1)
        self.start = TensorDict({"state": state, "belief": torch.randn(b * t, d).tanh()}, [b * t])
        self.recurrence = self.data.exclude(("next", "pixels"))
        self.recurrence.set(("next", "encoded_latents"), torch.randn(b, t, self.embedding))

    def parameters(self) -> dict[str, float]:
        """Millions, by part."""
        from train_step_peers import millions

        return {
            "world_model": millions([self.world]),
            "behavior": millions([self.actor, self.value]),
        }

    def calls(self) -> dict[str, Callable[[], object]]:
        """One per column."""
        return {
            "act": self.act,
            "rssm": self.rssm,
            "imagine": self.imagine,
            "world_model": self.update,
            "behavior": self.update_behavior,
        }

    def autocast(self) -> torch.autocast:
        """Around losses."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.bf16)

    # ------------------------------------------------------------------ calls

    @torch.no_grad()
    def act(self) -> None:
        """One observation to one action."""
        with self.autocast():
            seen = self.encoder(self.data["next", "pixels"][:1, 0])
            start = self.start[:1]
            action = torch.zeros(1, self.workload.actions)
            _, belief = self.prior._belief_and_logits(start["state"], start["belief"], action)
            _, state = self.posterior(belief, seen)
            self.actor(TensorDict({"state": state, "belief": belief}, [1]))

    def rssm(self) -> None:
        """Recurrence and KL, forward and backward, embeddings given."""
        with self.autocast():
            out = self.rollout(self.recurrence.clone())
            dynamics, representation = categorical_kl_terms(
                out["next", "posterior_logits"].float(), out["next", "prior_logits"].float(),
                1.0, 0.01,
            )  # fmt: skip
        (dynamics + 0.1 * representation).backward()
        self.rollout.zero_grad()

    @torch.no_grad()
    def imagine(self) -> None:
        """The actor's futures from every posterior."""
        with self.autocast():
            self.env.rollout(
                max_steps=self.workload.horizon, policy=self.actor, auto_reset=False,
                tensordict=self.env.reset(self.start.clone()), break_when_any_done=False,
            )  # fmt: skip

    def update(self, data: TensorDict | None = None) -> TensorDict:
        """One update of the world model; the parts of its loss."""
        with self.autocast():
            parts, _ = self.losses((self.data if data is None else data).clone())
        loss = torch.stack([v.squeeze() for k, v in parts.items() if k.startswith("loss_")]).sum()
        self.world_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip_adaptively(self.losses.parameters())
        self.world_optimizer.step()
        return parts.detach()

    def update_behavior(self) -> None:
        """One update of actor and critic."""
        with self.autocast():
            parts, dreamt = self.actor_loss(self.start.clone())
        self.actor_optimizer.zero_grad(set_to_none=True)
        parts["loss_actor"].backward()
        clip_adaptively(self.actor.parameters())
        self.actor_optimizer.step()
        with self.autocast():
            parts, _ = self.value_loss(dreamt)
        self.value_optimizer.zero_grad(set_to_none=True)
        parts["loss_value"].backward()
        clip_adaptively(self.value_loss.parameters())
        self.value_optimizer.step()
        self.target.step()

    # ------------------------------------------------------------------ parts

    def _world(self) -> tuple[TensorDictSequential, RSSMRolloutV3, tuple]:
        workload = self.workload
        shape, width = (3, workload.image, workload.image), workload.width
        self.encoder = DreamerV3ImageEncoder(depth=DEPTH)
        self.embedding = self.encoder.output_features(shape)
        self.prior = RSSMPriorV3(
            action_shape=(workload.actions,), hidden_dim=HIDDEN, rnn_hidden_dim=width,
            num_categoricals=GROUPS, num_classes=CLASSES, action_dim=workload.actions,
            unimix=0.01, recurrent_model="block_gru", num_blocks=8, num_layers=1,
            prior_num_layers=2,
        )  # fmt: skip
        self.posterior = RSSMPosteriorV3(
            hidden_dim=HIDDEN, num_categoricals=GROUPS, num_classes=CLASSES, rnn_hidden_dim=width,
            obs_embed_dim=self.embedding, unimix=0.01, use_rms_norm=True, num_layers=1,
        )  # fmt: skip
        rollout = RSSMRolloutV3(
            TensorDictModule(
                self.prior, ["state", "belief", "action"], [("next", "prior_logits"), *NEXT]
            ),
            TensorDictModule(
                self.posterior, [("next", "belief"), ("next", "encoded_latents")],
                [("next", "posterior_logits"), ("next", "state")],
            ),
        )  # fmt: skip
        inputs = STOCH + width
        reward = DreamerV3MLP(inputs, BINS, depth=1, num_cells=HIDDEN, outscale=0.0)
        going = DreamerV3MLP(inputs, 1, depth=1, num_cells=HIDDEN)
        two_hot = SymExpTwoHot(BINS)
        world = TensorDictSequential(
            TensorDictModule(self.encoder, [("next", "pixels")], [("next", "encoded_latents")]),
            rollout,
            TensorDictModule(
                DreamerV3ImageDecoder(inputs, shape, depth=DEPTH), NEXT, [("next", "reco_pixels")]
            ),
            TensorDictModule(reward, NEXT, [("next", "reward_logits")]),
            TensorDictModule(two_hot, [("next", "reward_logits")], [("next", "reward")]),
            TensorDictModule(going, NEXT, [("next", "continue_pred")]),
        )
        return world, rollout, (reward, going, two_hot)

    def _behavior(self, reward: nn.Module, going: nn.Module, two_hot: nn.Module) -> None:
        workload, inputs = self.workload, STOCH + self.workload.width
        self.actor: Any = ProbabilisticTensorDictSequential(
            TensorDictModule(PolicyNet(inputs, workload.actions), STATE, ["loc", "scale"]),
            ProbabilisticTensorDictModule(
                in_keys=["loc", "scale"], out_keys=["action"],
                default_interaction_type=InteractionType.RANDOM, distribution_class=TanhNormal,
                return_log_prob=True, log_prob_key="action_log_prob",
            ),
        )  # fmt: skip
        critic = DreamerV3MLP(inputs, BINS, depth=3, num_cells=HIDDEN, outscale=0.0)
        self.value = TensorDictSequential(
            TensorDictModule(critic, STATE, ["state_value_logits"]),
            TensorDictModule(SymExpTwoHot(BINS), ["state_value_logits"], ["state_value"]),
        )
        dynamics = TensorDictModule(self.prior, [*STATE, "action"], ["_", *STATE])
        rewards = TensorDictSequential(
            TensorDictModule(reward, STATE, ["reward_logits"]),
            TensorDictModule(two_hot, ["reward_logits"], ["reward"]),
        )
        self.env = DreamerEnv(
            WorldModelWrapper(TensorDictSequential(dynamics), rewards),
            prior_shape=(STOCH,), belief_shape=(workload.width,),
        )  # fmt: skip
        spec = Composite(state=Unbounded(STOCH), belief=Unbounded(workload.width))
        self.env.observation_spec, self.env.state_spec = spec, spec.clone()
        self.env.action_spec = Bounded(-1, 1, (workload.actions,))
        self.env.reward_spec = Unbounded((1,))
        continuation = TensorDictSequential(
            TensorDictModule(going, STATE, ["continue_logits"]),
            TensorDictModule(nn.Sigmoid(), ["continue_logits"], ["continuation"]),
        )
        self.actor_loss = DreamerV3ActorLoss(
            self.actor, self.value, self.env, continuation_model=continuation,
            imagination_horizon=workload.horizon, use_reinforce=True,
        )  # fmt: skip
        self.actor_loss.make_value_estimator(ValueEstimators.TDLambda, gamma=1.0, lmbda=0.95)
        self.value_loss = DreamerV3ValueLoss(
            self.value, value_loss="two_hot", num_value_bins=BINS, actor_loss=self.actor_loss,
            slow_critic_regularization=1.0,
        )  # fmt: skip
        self.target = SoftUpdate(self.value_loss, tau=0.02)

    def _data(self) -> TensorDict:
        workload = self.workload
        b, t, side = workload.batch, workload.length, workload.image
        no = torch.zeros(b, t, 1, dtype=torch.bool)
        pixels = torch.randint(0, 255, (b, t, 3, side, side), dtype=torch.uint8)
        return self.windows(pixels, torch.rand(b, t, workload.actions) * 2 - 1,
                            torch.randn(b, t, 1), no)  # fmt: skip

    def windows(
        self, pixels: torch.Tensor, action: torch.Tensor, reward: torch.Tensor, end: torch.Tensor
    ) -> TensorDict:
        """Windows as its replay buffer gives them; pixels (B, T, 3, h, w), the rest (B, T, ...)."""
        b, t = pixels.shape[:2]
        first = torch.zeros(b, t, 1, dtype=torch.bool)
        first[:, 0] = True
        following = {"pixels": pixels, "reward": reward, "terminated": end, "done": end}
        return TensorDict(
            {
                "state": torch.zeros(b, t, STOCH),
                "belief": torch.zeros(b, t, self.workload.width),
                "action": action,
                "is_init": first,
                "next": TensorDict(following, [b, t]),
            },
            [b, t],
        )
