"""Futures in which an actor decides: imagination closed by a policy instead of given actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from wm_dynamics.behavior import Behavior
from wm_dynamics.ego import SPEED_SCALE, follow
from wm_dynamics.model import WorldModel
from wm_dynamics.rssm import drive_input
from wm_dynamics.time_major import stack_steps
from wm_dynamics.truncated_normal import TruncatedNormal

ALIGNED = 32  # numbers; rows of a block begin where a cache line does


@dataclass(frozen=True)
class Start:
    """Where N imagined futures begin.

    Attributes:
        deter: (N, D).
        stoch: (N, width), flat.
        ego_state: (N, 5) proprioception.
        route: (N, R) as observed.
        memory: None, or what a transformer remembers, (N, ...).
    """

    deter: torch.Tensor
    stoch: torch.Tensor
    ego_state: torch.Tensor
    route: torch.Tensor
    memory: torch.Tensor | None = None


@dataclass(frozen=True)
class Dream:
    """N imagined futures of H steps.

    Attributes:
        features: (N, H + 1, D + width of stoch), the start first; under autocast in its type. In
            memory step by step, see :mod:`wm_dynamics.time_major`.
        inputs: (N, H + 1, inputs) what actor and critic read there, likewise.
        actions: (N, H, 2).
        policy: (N, H, 2) what each action was drawn from.
        ego_states: (N, H, 5) after each step.
        motions: (N, H, 3) dx, dy (m), dyaw (rad) of each step.
        path: (N, H, 3) x, y (m), yaw (rad) after each step, in the frame of the start.
        line: (N, Q, 2) the route in that frame, m.
    """

    features: torch.Tensor
    inputs: torch.Tensor
    actions: torch.Tensor
    policy: TruncatedNormal
    ego_states: torch.Tensor
    motions: torch.Tensor
    path: torch.Tensor
    line: torch.Tensor

    @property
    def speed(self) -> torch.Tensor:
        """(N, H) m/s after each step."""
        return self.ego_states[..., 0] * SPEED_SCALE


def dream(
    model: WorldModel,
    behavior: Behavior,
    start: Start,
    uniform: torch.Tensor | None,
    members: Sequence[int],
    greedy: bool = False,
) -> Dream:
    """Let an actor act in the imagination of ``model``.

    Gradients, where they are enabled, reach the actor through the actions alone: it does not try
    to make itself see something else.

    Args:
        model: the world model; only its dynamics are used.
        behavior: who acts.
        start: where to begin.
        uniform: (N, H, 2) in [0, 1), the randomness of the actions; the states are sampled as
            well then. None: the most likely action and state at every step.
        members: H indices of the prior to follow, one per step.
        greedy: the most likely state at every step even where the actions are random.
    """
    rssm, kind = model.rssm, start.deter.device.type
    ego_state, latent = start.ego_state, rssm.latent
    loop = rssm.prior_loop(start.deter, start.stoch, start.memory, members)
    line, pose = behavior.route_line(start.route), ego_state.new_zeros(len(ego_state), 3)
    seen = _Seen(len(members) + 1)
    inputs = seen.add(loop.rows, start.stoch, behavior.known(ego_state, pose, line))
    likeliest = greedy or uniform is None
    done = []
    for t, member in enumerate(members):
        policy = behavior.actor(inputs.detach())
        action = policy.mean if uniform is None else policy.sample(uniform[:, t])
        with torch.autocast(kind, enabled=False):  # centimetres are lost in bfloat16
            ego_state, motion = model.ego(ego_state, action)
            pose = follow(pose, motion)
        rows = loop.advance(loop.drive(drive_input(action, motion, ego_state[..., :1])))
        dist = loop.prior(member)
        loop.stoch = latent.flat(latent.compact(dist)) if likeliest else latent.take(dist)
        inputs = seen.add(rows, loop.stoch, behavior.known(ego_state, pose, line))
        done.append((action, policy.mean, policy.std, ego_state, motion, pose))
    actions, mean, std, states, motions, path = (torch.stack(x, 1) for x in zip(*done, strict=True))
    policy = TruncatedNormal(mean, std)
    return Dream(*seen.joined(), actions, policy, states, motions, path, line)


class _Seen:
    """What actor and critic read, step by step; the first of its columns are the features.

    Without gradients it is written where it stays: to join it afterwards, 80 MB in training, took a
    tenth of the time of the imagination.
    """

    def __init__(self, steps: int):
        self.steps, self.step = steps, 0
        self.parts: list[tuple[torch.Tensor, torch.Tensor]] = []  # features and inputs
        self.block: torch.Tensor | None = None  # (steps, N, width and some)
        self.features = self.width = 0  # columns of the block

    def add(
        self, rows: torch.Tensor, stoch: torch.Tensor, known: torch.Tensor | None
    ) -> torch.Tensor:
        """rows (N, D), stoch (N, width of stoch), known (N, X) or None -> inputs (N, width)."""
        parts = [rows, stoch] if known is None else [rows, stoch, known]
        if torch.is_grad_enabled():
            features = torch.cat([rows, stoch.to(rows.dtype)], -1)
            inputs = torch.cat([features, *(x.to(rows.dtype) for x in parts[2:])], -1)
            self.parts.append((features, inputs))
            return inputs
        widths = [part.shape[-1] for part in parts]
        if self.block is None:
            self.features, self.width = sum(widths[:2]), sum(widths)
            room = -(-self.width // ALIGNED) * ALIGNED
            self.block = rows.new_empty(self.steps, len(rows), room)
        inputs = self.block[self.step, :, : self.width]
        self.step += 1
        for place, part in zip(inputs.split(widths, -1), parts, strict=True):
            place.copy_(part)
        return inputs

    def joined(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Features and inputs of all steps, each (N, steps, ...), in memory step by step."""
        if self.block is None:
            features, inputs = zip(*self.parts, strict=True)
            return stack_steps(features), stack_steps(inputs)
        block = self.block.transpose(0, 1)
        return block[..., : self.features], block[..., : self.width]
