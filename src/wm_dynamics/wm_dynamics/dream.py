"""Futures in which an actor decides: imagination closed by a policy instead of given actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from wm_dynamics.behavior import Behavior
from wm_dynamics.ego import SPEED_SCALE, follow
from wm_dynamics.model import WorldModel
from wm_dynamics.rssm import drive_input
from wm_dynamics.truncated_normal import TruncatedNormal


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
        features: (N, H + 1, D + width of stoch), the start first; under autocast in its type.
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
    """
    rssm, kind = model.rssm, start.deter.device.type
    ego_state, latent = start.ego_state, rssm.latent
    loop = rssm.prior_loop(start.deter, start.stoch, start.memory, members)
    line, pose = behavior.route_line(start.route), ego_state.new_zeros(len(ego_state), 3)
    features = torch.cat([loop.rows, start.stoch.to(loop.rows.dtype)], -1)
    inputs = behavior.inputs(features, ego_state, pose, line)
    seen, done = [(features, inputs)], []
    for t, member in enumerate(members):
        policy = behavior.actor(inputs.detach())
        action = policy.mean if uniform is None else policy.sample(uniform[:, t])
        with torch.autocast(kind, enabled=False):  # centimetres are lost in bfloat16
            ego_state, motion = model.ego(ego_state, action)
            pose = follow(pose, motion)
        rows = loop.advance(loop.drive(drive_input(action, motion, ego_state[..., :1])))
        dist = loop.prior(member)
        loop.stoch = latent.flat(latent.compact(dist)) if uniform is None else latent.take(dist)
        features = torch.cat([rows, loop.stoch.to(rows.dtype)], -1)
        inputs = behavior.inputs(features, ego_state, pose, line)
        seen.append((features, inputs))
        done.append((action, policy.mean, policy.std, ego_state, motion, pose))
    features, inputs = (torch.stack(x, 1) for x in zip(*seen, strict=True))
    actions, mean, std, states, motions, path = (torch.stack(x, 1) for x in zip(*done, strict=True))
    policy = TruncatedNormal(mean, std)
    return Dream(features, inputs, actions, policy, states, motions, path, line)
