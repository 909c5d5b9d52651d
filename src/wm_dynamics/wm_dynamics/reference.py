"""Imagination in plain numpy, float32: the specification that every runtime is tested against.

It computes what :class:`wm_dynamics.imagine.FastImagination` does, written to be read, not to be
fast, and reads ``model.safetensors`` without torch. Given uniforms it samples instead of following
modes: at every step from the mixture of all K members, by inverse CDF, so that two runtimes fed
with the same uniforms imagine the same futures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wm_dynamics.errors import UserError
from wm_dynamics.heads import HEADS
from wm_dynamics.reference_latents import make_latent
from wm_dynamics.reference_layers import (
    Tensors,
    block_gru,
    gru,
    layer_norm,
    linear,
    perceptron,
    sigmoid,
    silu,
)
from wm_dynamics.scales import MOTION_SCALE, SPEED_SCALE, checked_steps
from wm_dynamics.weights import Weights


@dataclass(frozen=True)
class Futures:
    """R imagined futures (N, or K * N of every member) of H steps.

    Attributes:
        path: (R, H, 3) x, y (m), yaw (rad) in the frame of the start.
        speed: (R, H) m/s.
        heads: (R, H, L) SI units and probabilities, in the order of ``heads.HEADS``.
        spreads: (R, S) disagreement at each checked step, at every step when sampling; S = 0
            where nobody looked.
        deter: (R, D) after the last step.
        stoch: (R, G) int64 or (R, Z) after the last step.
        ego_state: (R, 5) after the last step.
    """

    path: np.ndarray
    speed: np.ndarray
    heads: np.ndarray
    spreads: np.ndarray
    deter: np.ndarray
    stoch: np.ndarray
    ego_state: np.ndarray

    @property
    def disagreement(self) -> np.ndarray:
        """(R,) mean over the checked steps; 0 where nobody looked."""
        if self.spreads.shape[1] == 0:
            return np.zeros(len(self.spreads), np.float32)
        return self.spreads.mean(1)


def imagine(
    weights: Weights,
    deter: np.ndarray,
    stoch: np.ndarray,
    ego_state: np.ndarray,
    actions: np.ndarray,
    every_member: bool = False,
    uniforms: np.ndarray | None = None,
) -> Futures:
    """Imagine N futures of H steps.

    Args:
        weights: of the model.
        deter: (D,) or (N, D) belief now.
        stoch: (G,) classes or (Z,) means, or (N, ...), belief now.
        ego_state: (5,) scaled proprioception.
        actions: (N, H, 2) steer and accel.
        every_member: each member alone imagines all futures, the first member's rows first.
        uniforms: (N, H, G) or (N, H, Z) in [0, 1) to sample by; None: follow modes.

    Raises:
        UserError: the model's core has no specification here.
    """
    config, tensors = weights.config, weights.tensors
    if config.core == "transformer":
        raise UserError("the reference has no transformer core; use the torch backend")
    latent, members = make_latent(config), config.ensemble
    actions = np.asarray(actions, np.float32)
    if every_member:
        actions = np.tile(actions, (members, 1, 1))
    rows, horizon = actions.shape[:2]
    states, motions = roll_ego(tensors, ego_state, actions, config.dt)
    motion = motions * np.array(MOTION_SCALE, np.float32)
    drive = np.concatenate([actions, motion, states[..., :1]], -1)
    weight = tensors["rssm.inp.weight"]
    stoch_in = weight[:, : config.stoch].T
    drive = drive @ weight[:, config.stoch :].T + tensors["rssm.inp.bias"]
    deter = np.broadcast_to(np.asarray(deter, np.float32), (rows, config.deter))
    stoch = np.broadcast_to(stoch, (rows, np.shape(stoch)[-1]))
    checked = set() if every_member or members == 1 else set(checked_steps(horizon))
    heads, spreads = [], []
    for t in range(horizon):
        x = silu(
            layer_norm(tensors, "rssm.inp_norm", latent.project(stoch, stoch_in) + drive[:, t])
        )
        if config.core == "block_gru":
            deter = block_gru(tensors, x, deter, config.core_blocks)
        else:
            deter = gru(tensors, x, deter)
        if uniforms is not None:
            raw = _priors(tensors, deter, range(members))
            spreads.append(latent.spread(raw))
            stoch = latent.sample(raw, uniforms[:, t])
        elif every_member:
            parts = np.split(deter, members)
            own = [_priors(tensors, part, [k])[0] for k, part in enumerate(parts)]
            stoch = latent.mode(np.concatenate(own))
        elif t in checked:
            raw = _priors(tensors, deter, range(members))
            spreads.append(latent.spread(raw))
            stoch = latent.mode(raw[t % members])
        else:
            stoch = latent.mode(_priors(tensors, deter, [t % members])[0])
        heads.append(head_values(tensors, deter, stoch, latent))
    return Futures(
        path=integrate(motions),
        speed=np.maximum(states[..., 0] * np.float32(SPEED_SCALE), 0.0),
        heads=np.stack(heads, 1),
        spreads=np.stack(spreads, 1) if spreads else np.zeros((rows, 0), np.float32),
        deter=deter,
        stoch=stoch,
        ego_state=states[:, -1],
    )


def _priors(tensors: Tensors, deter: np.ndarray, members) -> np.ndarray:
    """deter (N, D) -> (len(members), N, outputs)."""
    return np.stack([perceptron(tensors, f"rssm.priors.{k}", deter) for k in members])


def head_values(tensors: Tensors, deter: np.ndarray, stoch: np.ndarray, latent) -> np.ndarray:
    """deter (N, D), compact stoch -> (N, L), see :func:`wm_dynamics.heads.head_values`."""
    width = deter.shape[1]
    weight = tensors["head.0.weight"]
    first = deter @ weight[:, :width].T + latent.project(stoch, weight[:, width:].T)
    hidden = silu(layer_norm(tensors, "head.1", first + tensors["head.0.bias"]))
    hidden = silu(layer_norm(tensors, "head.4", linear(tensors, "head.3", hidden)))
    raw = linear(tensors, "head.6", hidden)
    return np.stack(
        [
            raw[:, i] * np.float32(head.scale)
            if head.kind == "regression"
            else sigmoid(raw[:, i] - np.float32(math.log(head.positive_weight)))
            for i, head in enumerate(HEADS)
        ],
        -1,
    )


def roll_ego(
    tensors: Tensors, state: np.ndarray, actions: np.ndarray, dt: float
) -> tuple[np.ndarray, np.ndarray]:
    """See :meth:`wm_dynamics.ego.EgoNet.roll`: states (N, H, 5) and motions (N, H, 3)."""
    state = np.broadcast_to(np.asarray(state, np.float32), (len(actions), 5))
    states, motions = [], []
    for t in range(actions.shape[1]):
        action = actions[:, t]
        hidden = silu(linear(tensors, "ego.net.0", np.concatenate([state, action], -1)))
        hidden = silu(linear(tensors, "ego.net.2", hidden))
        residual = linear(tensors, "ego.net.4", hidden) * tensors["ego.scale"]
        distance = state[:, :1] * np.float32(SPEED_SCALE * dt)
        turn = state[:, 1:2] * np.float32(dt)
        motion = np.concatenate([distance, np.float32(0.5) * distance * turn, turn], -1)
        motions.append(motion + residual[:, 3:])
        moved = state[:, :2] + residual[:, :2]
        state = np.concatenate([moved, action, state[:, 4:] + residual[:, 2:3]], -1)
        states.append(state)
    return np.stack(states, 1), np.stack(motions, 1)


def integrate(motions: np.ndarray) -> np.ndarray:
    """See :func:`wm_dynamics.ego.integrate`."""
    yaw = motions[..., 2].cumsum(-1)
    before = yaw - motions[..., 2]
    cos, sin = np.cos(before), np.sin(before)
    dx, dy = motions[..., 0], motions[..., 1]
    x, y = (cos * dx - sin * dy).cumsum(-1), (sin * dx + cos * dy).cumsum(-1)
    return np.stack([x, y, yaw], -1)
