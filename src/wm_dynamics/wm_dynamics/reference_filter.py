"""The filter in plain numpy, float32: the specification that every runtime is tested against.

It computes what :meth:`wm_dynamics.model.WorldModel.observe_closely` and ``predict_step`` do for
one row, and is quick enough to drive with: a frame of the shipped models takes a millisecond or
two of one thread.
"""

from __future__ import annotations

import numpy as np

from wm_dynamics.array_latent import ArrayLatent, ArrayObserved
from wm_dynamics.config import ModelConfig
from wm_dynamics.errors import UserError
from wm_dynamics.reference import roll_ego
from wm_dynamics.reference_conv import PICTURE_NETS, channels_last
from wm_dynamics.reference_encoder import Streams, encode
from wm_dynamics.reference_latents import make_latent
from wm_dynamics.reference_layers import block_gru, gru, layer_norm, perceptron, silu
from wm_dynamics.scales import MOTION_SCALE, SPEED_SCALE
from wm_dynamics.weights import Weights

_MOTION_SCALE = np.array(MOTION_SCALE, np.float32)


class Filter:
    """Encoder, core, posterior and priors of one model; rows are (1, ...).

    Args:
        weights: of the model.

    Raises:
        UserError: its core or its encoder has no specification here.
    """

    def __init__(self, weights: Weights):
        check_specified(weights.config)
        self.config = weights.config
        self._tensors = channels_last(weights.tensors)
        self._latent = make_latent(weights.config)
        self._stoch_in = weights.tensors["rssm.inp.weight"][:, : self.config.stoch].T
        self._drive_in = weights.tensors["rssm.inp.weight"][:, self.config.stoch :].T

    def initial(self) -> ArrayLatent:
        """The belief before anything was seen."""
        deter = np.tanh(self._tensors["rssm.initial_deter"])[None]
        return ArrayLatent(deter, self._latent.mean_mode(self._priors(deter)))

    def observe(
        self, latent: ArrayLatent, action: np.ndarray, motion: np.ndarray, streams: Streams
    ) -> ArrayObserved:
        """One filter step.

        Args:
            latent: belief one step ago.
            action: (1, 2) mean steer and accel of the step.
            motion: (1, 3) dx, dy (m), dyaw (rad) of the step.
            streams: raw streams of now, by name, each (1, ...).

        Raises:
            UserError: a needed stream is missing or has the wrong shape.
        """
        now = {name: values[0] for name, values in streams.items()}
        embedding = encode(self.config, self._tensors, now)
        deter = self._moved(latent, action, motion, streams.get("state"))
        seen = np.concatenate([deter, embedding], -1)
        posterior = perceptron(self._tensors, "rssm.posterior", seen)
        priors = self._priors(deter)
        return ArrayObserved(
            ArrayLatent(deter, self._latent.mode(posterior)),
            self._latent.surprise(posterior, priors),
            self._latent.spread(priors),
            embedding,
        )

    def predict(
        self,
        latent: ArrayLatent,
        action: np.ndarray,
        motion: np.ndarray,
        state: np.ndarray | None,
    ) -> ArrayLatent:
        """One filter step in which nothing was seen; state: (1, 5) for the speed, if known."""
        deter = self._moved(latent, action, motion, state)
        return ArrayLatent(deter, self._latent.mean_mode(self._priors(deter)))

    def expected(self, state: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How the vehicle should move: state (N, 5), action (N, 2) -> next state, motion."""
        states, motions = roll_ego(self._tensors, state, action[:, None], self.config.dt)
        return states[:, 0], motions[:, 0]

    def _moved(
        self, latent: ArrayLatent, action: np.ndarray, motion: np.ndarray, state: np.ndarray | None
    ) -> np.ndarray:
        """The deterministic state one step on, (1, D)."""
        driven = motion[:, :1] / np.float32(self.config.dt * SPEED_SCALE)
        speed = driven if state is None else state[:, :1]
        drive = np.concatenate([action, motion * _MOTION_SCALE, speed], -1)
        tokens = self._latent.project(latent.stoch, self._stoch_in) + drive @ self._drive_in
        tokens = tokens + self._tensors["rssm.inp.bias"]
        x = silu(layer_norm(self._tensors, "rssm.inp_norm", tokens))
        if self.config.core == "block_gru":
            return block_gru(self._tensors, x, latent.deter, self.config.core_blocks)
        return gru(self._tensors, x, latent.deter)

    def _priors(self, deter: np.ndarray) -> np.ndarray:
        """Deter (1, D) -> (K, 1, outputs)."""
        members = range(self.config.ensemble)
        return np.stack([perceptron(self._tensors, f"rssm.priors.{k}", deter) for k in members])


def check_specified(config: ModelConfig) -> None:
    """Refuse a model that only torch can filter.

    Raises:
        UserError: its core or its encoder has no specification here.
    """
    if config.core == "transformer":
        raise UserError("the reference has no transformer core; use the torch backend")
    if config.camera and config.camera.encoder not in PICTURE_NETS:
        raise UserError(
            f"the reference has no {config.camera.encoder} encoder; use the torch backend"
        )
