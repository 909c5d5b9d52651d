"""The runtime face of a world model: numpy arrays in, numpy arrays out.

Perception and planning talk to this interface only, so that another runtime (a C++ engine, ONNX,
TensorRT: :mod:`wm_dynamics.backend_array`) can stand behind it. ``TorchBackend`` runs the training
code's own modules; nothing that drives imports it unless torch is asked for, or nothing else can
run the model.
"""

from __future__ import annotations

import numpy as np
import torch

from wm_dynamics.array_latent import ArrayFutures, ArrayLatent
from wm_dynamics.config import ModelConfig
from wm_dynamics.novelty import Novelty, Trace, follow
from wm_dynamics.novelty_signs import Glimpse
from wm_dynamics.rollout import LatentState, Rollout
from wm_dynamics.seen import SensorSight, Sight


class TorchBackend:
    """A :class:`~wm_dynamics.model.WorldModel` behind numpy arrays.

    Attributes:
        name: of what imagines, for people.
        notice: why it is not what was asked for; empty when it is.
    """

    name = "torch"
    notice = ""

    def __init__(self, model):
        self.model = model
        self.config: ModelConfig = model.config
        self.dt: float = model.config.dt
        self.hash: str = model.hash
        self.classes: int = model.config.stoch_classes  # 0: the stochastic state is continuous
        self.novelty: Novelty | None = model.novelty

    def initial(self) -> LatentState:
        """The belief before anything was seen."""
        return self.model.initial()

    def belief(self, deter: np.ndarray, stoch: np.ndarray) -> LatentState:
        """The belief in a message, see :meth:`LatentState.to_arrays`."""
        return LatentState.from_arrays(deter, stoch, self.classes, self.config.memory_shape)

    def observe(
        self,
        latent: LatentState,
        action: np.ndarray,
        motion: np.ndarray,
        sight: Sight | SensorSight,
    ) -> tuple[LatentState, float]:
        """One filter step of ``dt`` seconds.

        Args:
            latent: belief one step ago.
            action: (2,) mean steer and accel of the step.
            motion: (3,) dx, dy (m), dyaw (rad) of the step.
            sight: what is seen now.

        Returns:
            The belief now and the surprise in nats.
        """
        latent, surprise = self.model.observe_step(
            latent, _batch(action), _batch(motion), **_streams(sight)
        )
        return latent, float(surprise[0])

    def observe_judged(
        self,
        latent: LatentState,
        trace: Trace | None,
        action: np.ndarray,
        motion: np.ndarray,
        sight: Sight | SensorSight,
    ) -> tuple[LatentState, float, Trace, float]:
        """As ``observe``, and how unusual the step is; for models that have a ``novelty``.

        Args:
            latent, action, motion, sight: see :meth:`observe`.
            trace: what this gave one step ago; None on the first.

        Returns:
            Belief, surprise in nats, trace and score now, see :func:`wm_dynamics.novelty.follow`.
        """
        assert self.novelty is not None, "asked of models that have one"
        streams = _streams(sight)
        seen = self.model.observe_closely(latent, _batch(action), _batch(motion), streams)
        glimpse = Glimpse(_batch(action), _batch(motion), streams, seen)
        config, ego = self.model.config, self.model.ego
        trace, score = follow(self.novelty, trace, glimpse, ego, config)
        return seen.latent, float(seen.surprise[0]), trace, float(score[0])

    def predict(
        self, latent: LatentState, action: np.ndarray, motion: np.ndarray, state: np.ndarray
    ) -> LatentState:
        """One step of ``dt`` seconds without a look at the world: the belief of the prior.

        Args:
            latent, action, motion: see :meth:`observe`.
            state: (5,) scaled proprioception now.
        """
        return self.model.predict_step(latent, _batch(action), _batch(motion), _batch(state))

    def imagine(
        self, latent: LatentState | ArrayLatent, ego_state: np.ndarray, actions: np.ndarray
    ) -> ArrayFutures:
        """Roll ``actions`` (N, H, 2) out from ``latent``, any runtime's, and ``ego_state`` (5,)."""
        start = LatentState.of(latent)
        return _arrays(self.model.imagine(start, _tensor(ego_state), _tensor(actions)))

    @property
    def members(self) -> int:
        """Size of the model's ensemble."""
        return self.model.members

    def imagine_members(
        self, latent: LatentState | ArrayLatent, ego_state: np.ndarray, actions: np.ndarray
    ) -> ArrayFutures:
        """As ``imagine``, by each of K > 1 members alone: K * N futures, the first member's first.

        Disagreement is not measured: it is zeros.
        """
        start = LatentState.of(latent)
        return _arrays(self.model.imagine_members(start, _tensor(ego_state), _tensor(actions)))

    def perceive(self, latent: LatentState | ArrayLatent) -> dict[str, float]:
        """The heads at the belief ``latent`` itself: what the model sees now."""
        seen = self.model.perceive(LatentState.of(latent))
        return {name: float(value[0]) for name, value in seen.items()}


def _arrays(rollout: Rollout) -> ArrayFutures:
    return ArrayFutures(
        path=rollout.path.numpy(),
        speed=rollout.speed.numpy(),
        heads={name: value.numpy() for name, value in rollout.heads.items()},
        disagreement=rollout.disagreement.numpy(),
        spreads=rollout.spreads.numpy(),
        end=rollout.end,
    )


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))


def _streams(sight: Sight | SensorSight) -> dict[str, torch.Tensor]:
    """Raw streams of one observation, each (1, ...)."""
    named = sight.sensors if isinstance(sight, SensorSight) else {}
    sensors = {name: torch.from_numpy(value)[None] for name, value in named.items()}
    bev = torch.from_numpy(sight.bev)[None]
    return {"bev": bev, "state": _batch(sight.state), "route": _batch(sight.route), **sensors}


def _batch(values: np.ndarray) -> torch.Tensor:
    """(n,) numpy -> (1, n) float32 tensor."""
    return _tensor(values)[None]
