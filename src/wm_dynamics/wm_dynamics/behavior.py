"""What to do, and what it is worth: actor and critic over the latent states of a world model.

They read the latent state and, beside it, what needs no latent state: the ego state and the view of
the route (``route_view``), which imagination knows to the centimetre.

Learned in imagination (``wm train behavior``); drives by its mean action, proposes action sequences
to a planner by its samples, and values the state at a planner's horizon.
"""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import nn
from torch.nn import functional as F

from wm_dynamics.config import ModelConfig
from wm_dynamics.errors import UserError
from wm_dynamics.latents import make_latent
from wm_dynamics.networks import perceptron
from wm_dynamics.packed import packed
from wm_dynamics.rollout import LatentState
from wm_dynamics.route_view import FINE, VIEW_DIM, fine_route, view, view_here
from wm_dynamics.time_major import by_rows
from wm_dynamics.truncated_normal import TruncatedNormal
from wm_dynamics.twohot import decode

ACTIONS = 2  # steer (left positive) and accel, each in [-1, 1]
KNOWN_DIM = 5 + VIEW_DIM  # ego state and view of the route
OUT_SCALE = 0.01  # of the actor's last layer at the start: it begins undecided (DreamerV3)


class BehaviorConfig(BaseModel):
    """Shapes of actor and critic. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    known: bool = True  # read ego state and route beside the latent state
    known_width: int = Field(64, ge=8)  # of their embedding
    route_step_m: float = Field(3.0, gt=0.0)  # between the observed route points ...
    route_scale_m: float = Field(20.0, gt=0.0)  # ... and their unit
    hidden: int = Field(256, ge=8)  # width of both perceptrons
    layers: int = Field(2, ge=1)
    min_std: float = Field(0.05, gt=0.0)  # of an action
    max_std: float = Field(1.0, gt=0.0)
    bins: int = Field(255, ge=3)  # of the critic's two-hot code ...
    limit: float = Field(20.0, gt=0.0)  # ... from -limit to limit in symlog

    @model_validator(mode="after")
    def _check(self) -> BehaviorConfig:
        if self.min_std >= self.max_std:
            raise ValueError("min_std must be less than max_std")
        return self


class Reader(nn.Module):
    """Latent features and known quantities -> outputs.

    The latent state is a few hundred numbers, what is known a few: it gets an embedding of its own,
    or it would be lost among them.
    """

    def __init__(self, config: BehaviorConfig, features: int, outputs: int):
        super().__init__()
        self.features = features
        self.known: nn.Module | None = None
        if config.known:
            width = config.known_width
            self.known = nn.Sequential(nn.Linear(KNOWN_DIM, width), nn.LayerNorm(width), nn.SiLU())
            features += width
        self.net = perceptron(features, config.hidden, outputs, config.layers)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """inputs (M, D + width of stoch + known) or (N, H, the same) -> (..., outputs)."""
        if inputs.dim() == 3:
            return by_rows(self, inputs)
        if self.known is None:
            return self.net(inputs)
        latent, known = inputs.tensor_split([self.features], -1)
        known = self.known(known)
        if not torch.is_autocast_enabled(inputs.device.type):
            return self.net(torch.cat([latent, known], -1))
        # Two products that add up, rounded otherwise than one: many rows are not joined, and the
        # latent state, given to actor and critic, is not asked for a gradient with the embedding.
        first, *rest = self.net
        assert isinstance(first, nn.Linear)
        of_latent, of_known = first.weight.split([latent.shape[-1], known.shape[-1]], 1)
        x = torch.addmm(F.linear(known, of_known, first.bias), latent, of_latent.T)
        for layer in rest:
            x = layer(x)
        return x


class Actor(nn.Module):
    """Inputs -> a distribution over steer and accel."""

    def __init__(self, config: BehaviorConfig, features: int):
        super().__init__()
        self.config = config
        self.reader = Reader(config, features, 2 * ACTIONS)
        last = self.reader.net[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.weight.mul_(OUT_SCALE)
            last.bias.zero_()

    def forward(self, inputs: torch.Tensor) -> TruncatedNormal:
        """Inputs, see :meth:`Behavior.inputs` -> distribution over actions (..., 2), float32."""
        mean, std = self.reader(inputs).float().chunk(2, -1)
        low, high = self.config.min_std, self.config.max_std
        # At the start the deviation is about a quarter of the way from low to high.
        return TruncatedNormal(torch.tanh(mean), low + (high - low) * torch.sigmoid(std - 1.0))

    def mean(self, inputs: torch.Tensor) -> torch.Tensor:
        """The mean of :meth:`forward` alone, (..., 2)."""
        return torch.tanh(self.reader(inputs).float()[..., :ACTIONS])


class Critic(nn.Module):
    """Inputs -> the discounted reward still to come, as logits over symlog bins.

    The last layer begins at zero, so that a fresh critic says 0 everywhere.
    """

    bins: torch.Tensor  # (bins,)

    def __init__(self, config: BehaviorConfig, features: int):
        super().__init__()
        self.reader = Reader(config, features, config.bins)
        bins = torch.linspace(-config.limit, config.limit, config.bins)
        self.register_buffer("bins", bins, persistent=False)
        last = self.reader.net[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Inputs, see :meth:`Behavior.inputs` -> logits (..., bins)."""
        return self.reader(inputs)

    def value(self, inputs: torch.Tensor) -> torch.Tensor:
        """Inputs -> value (...), float32."""
        return decode(self(inputs), self.bins)


class Behavior(nn.Module):
    """Actor and critic of one world model.

    Attributes:
        config: shapes.
        world: configuration of the world model whose latent states are read.
        metadata: provenance of the weights, empty when untrained.
    """

    def __init__(self, config: BehaviorConfig, world: ModelConfig):
        super().__init__()
        if config.known and not (world.route and world.state):
            raise UserError(
                "this world model sees no route or no ego state, so a behavior cannot either; "
                "switch it off: network.known false"
            )
        self.config, self.world = config, world
        self.metadata: dict = {}
        self.latent = make_latent(world)
        features = world.deter + world.stoch
        self.actor = Actor(config, features)
        self.critic = Critic(config, features)

    @classmethod
    def untrained(cls, config: BehaviorConfig, world: ModelConfig, seed: int = 0) -> Behavior:
        """Random weights that depend on ``seed`` only; the global random state is left alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(config, world).eval()

    def packed(self) -> Behavior:
        """A copy to act with, one row at a time, see :mod:`wm_dynamics.packed`."""
        return packed(self)

    def route_line(self, route: torch.Tensor) -> torch.Tensor:
        """Observed route (N, R) -> the line (N, Q, 2) that :meth:`inputs` takes, m."""
        with torch.autocast(route.device.type, enabled=False):  # bfloat16 is decimetres off
            return fine_route(route, self.config.route_scale_m)

    def known(
        self, ego_state: torch.Tensor, pose: torch.Tensor, line: torch.Tensor
    ) -> torch.Tensor | None:
        """What :meth:`inputs` adds to the latent state, (N, KNOWN_DIM); None: nothing."""
        if not self.config.known:
            return None
        return torch.cat([ego_state, view(pose, line, self.config.route_step_m / FINE)], -1)

    def inputs(
        self,
        features: torch.Tensor,
        ego_state: torch.Tensor,
        pose: torch.Tensor,
        line: torch.Tensor,
    ) -> torch.Tensor:
        """What actor and critic read.

        Args:
            features: (N, D + width of stoch) latent state.
            ego_state: (N, 5) proprioception.
            pose: (N, 3) x, y, yaw in the frame of ``line``; zeros where it was just observed.
            line: (N, Q, 2), see :meth:`route_line`.

        Returns:
            (N, inputs).
        """
        known = self.known(ego_state, pose, line)
        return features if known is None else torch.cat([features, known.to(features.dtype)], -1)

    def observed(
        self, latent: LatentState, ego_state: torch.Tensor, route: torch.Tensor
    ) -> torch.Tensor:
        """:meth:`inputs` of beliefs (B) with the ego states (B, 5) and routes (B, R) seen there."""
        parts = [latent.deter, self.latent.flat(latent.stoch)]
        if self.config.known:
            scale_m, step_m = self.config.route_scale_m, self.config.route_step_m / FINE
            parts += [ego_state, view_here(route, scale_m, step_m)]
        return torch.cat(parts, -1)

    @torch.inference_mode()
    def act(self, inputs: torch.Tensor) -> torch.Tensor:
        """The actions to drive with, (B, 2): the mode."""
        return self.actor.mean(inputs)

    @torch.inference_mode()
    def sample(self, inputs: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        """Actions (N, 2) to propose, one for each row of ``uniform`` (N, 2) in [0, 1).

        ``inputs`` has N rows or one.
        """
        return self.actor(inputs).sample(uniform)

    @torch.inference_mode()
    def value(self, inputs: torch.Tensor) -> torch.Tensor:
        """Discounted reward to come, (B,), in units of the reward it was trained for."""
        return self.critic.value(inputs)
