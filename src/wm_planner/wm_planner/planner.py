"""The planner: iCEM over imagined rollouts of the learned world model.

Steering and acceleration come from imagination alone; no rule-based controller hides in the path.
Source: Pinneri et al., "Sample-efficient Cross-Entropy Method for Real-time Planning", 2020.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from wm_perception.frame import Command
from wm_planner import costs
from wm_planner.planner_config import PlannerConfig


class Imaginer(Protocol):
    """What the planner needs of a world model: numpy arrays in, numpy arrays out."""

    dt: float

    def imagine(self, latent: Any, ego_state: np.ndarray, actions: np.ndarray) -> Imagined:
        """Roll ``actions`` (N, H, 2) out from one latent and ego state (5,)."""
        ...


class Imagined(Protocol):
    """Imagined futures: path (N, H, 3), speed (N, H), heads (N, H) each, disagreement (N, ...)."""

    path: np.ndarray
    speed: np.ndarray
    heads: dict[str, np.ndarray]
    disagreement: np.ndarray


@dataclass(frozen=True)
class Plan:
    """The outcome of one planning cycle; N candidates of the last iteration, H steps.

    Attributes:
        command: what to do now.
        actions: (H, 2) the chosen sequence.
        path: (H, 3) imagined poses of the chosen sequence, ego frame.
        candidates: (N, H, 2) imagined positions, ego frame.
        speeds: (N, H) m/s.
        costs: (N,) lower is better.
        disagreement: (N,).
        chosen: row of the chosen candidate.
        terms: weighted cost terms of the chosen candidate.
        plan_ms: wall time, ms.
        finite: False when imagination returned values that are not finite; then do not drive on it.
    """

    command: Command
    actions: np.ndarray
    path: np.ndarray
    candidates: np.ndarray
    speeds: np.ndarray
    costs: np.ndarray
    disagreement: np.ndarray
    chosen: int
    terms: dict[str, float] = field(default_factory=dict)
    plan_ms: float = 0.0
    finite: bool = True


def colored_noise(rng: np.random.Generator, count: int, horizon: int, beta: float) -> np.ndarray:
    """(count, horizon, 2) noise with power spectrum 1/f^beta and varied amplitude per sequence."""
    frequency = np.fft.rfftfreq(horizon)
    frequency[0] = 1.0 / horizon
    scale = frequency ** (-beta / 2.0)
    shape = (count, 2, len(frequency))
    spectrum = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) * scale
    noise = np.fft.irfft(spectrum, n=horizon)
    noise /= np.maximum(noise.std(-1, keepdims=True), 1e-6)
    noise *= np.clip(np.abs(rng.standard_normal((count, 2, 1))), 0.3, 1.5)
    return noise.transpose(0, 2, 1)


class Planner:
    """Plans from a latent, warm-started from frame to frame, the same numbers for the same seed."""

    def __init__(self, imaginer: Imaginer, config: PlannerConfig | None = None):
        self.config = config or PlannerConfig()
        self._imaginer = imaginer
        self.reset(self.config.seed)

    def reset(self, seed: int | None = None) -> None:
        """Forget the previous plan; draw the noise afresh from ``seed``."""
        self._rng = np.random.default_rng(self.config.seed if seed is None else seed)
        self._mean = np.zeros((self.config.horizon, 2))
        self._elites = np.zeros((0, self.config.horizon, 2))

    def plan(
        self, latent, ego_state: np.ndarray, reference: np.ndarray, arrived: bool = False
    ) -> Plan:
        """One planning cycle.

        Args:
            latent: the model's latent state of this frame.
            ego_state: (5,) scaled proprioception, see ``wm_perception.observation.STATE_NAMES``.
            reference: (M, 2) route ahead, ego frame, m.
            arrived: the route is done: aim for standstill instead of the cruising speed.
        """
        start = time.perf_counter()
        c = self.config
        before = np.asarray(ego_state[2:4], float)
        mean, elites = self._shifted(self._mean), self._shifted(self._elites)
        std = np.tile([c.steer_std, c.accel_std], (c.horizon, 1))
        for iteration in range(c.iterations):
            count = max(2 * c.elites, int(c.candidates / 1.25**iteration))
            noise = colored_noise(self._rng, count, c.horizon, c.noise_beta)
            fixed = [mean[None], elites]
            if iteration == 0:
                fixed.append(self._proposals(mean))
            actions = np.clip(np.concatenate([mean + std * noise, *fixed]), -1.0, 1.0)
            imagined = self._imaginer.imagine(latent, ego_state, actions.astype(np.float32))
            wanted_mps = 0.0 if arrived else c.cruise_mps
            future = self._future(imagined, actions, before, reference, wanted_mps)
            cost, terms = costs.total(future, c)
            finite = bool(np.isfinite(cost).any())
            cost = np.where(np.isfinite(cost), cost, np.inf)
            order = np.argsort(cost, kind="stable")[: c.elites]
            best = actions[order]
            mean = c.momentum * mean + (1 - c.momentum) * best.mean(0)
            std = np.maximum(c.momentum * std + (1 - c.momentum) * best.std(0), c.min_std)
            elites = best[: c.kept_elites]
        chosen = int(order[0])
        # Halfway between the best sequence and the elites' mean: that is smooth, the best sharp.
        sequence = 0.5 * actions[chosen] + 0.5 * mean
        self._mean, self._elites = sequence, elites
        return Plan(
            command=Command(float(sequence[0, 0]), float(sequence[0, 1])),
            actions=sequence,
            path=imagined.path[chosen],
            candidates=imagined.path[..., :2],
            speeds=future.speed,
            costs=cost,
            disagreement=future.disagreement,
            chosen=chosen,
            terms={name: float(values[chosen]) for name, values in terms.items()},
            plan_ms=1e3 * (time.perf_counter() - start),
            finite=finite,
        )

    def _shifted(self, sequences: np.ndarray) -> np.ndarray:
        """Sequences (..., H, 2) moved on by one frame, interpolated between their knots."""
        fraction = self.config.frame_dt / self._imaginer.dt
        later = np.concatenate([sequences[..., 1:, :], sequences[..., -1:, :]], -2)
        return (1.0 - fraction) * sequences + fraction * later

    @staticmethod
    def _proposals(mean: np.ndarray) -> np.ndarray:
        """(4, H, 2) the current steering with: brake, firm brake, coast, go."""
        proposals = np.repeat(mean[None], 4, 0)
        proposals[:, :, 1] = np.array([-0.4, -0.9, 0.0, 0.4])[:, None]
        return proposals

    def _future(self, imagined, actions, before, reference, wanted_mps: float) -> costs.Future:
        lateral, heading_error = costs.against_route(imagined.path, np.asarray(reference, float))
        yaw = imagined.path[..., 2]
        yaw_rate = np.diff(yaw, axis=1, prepend=0.0) / self._imaginer.dt
        spread = np.asarray(imagined.disagreement)
        return costs.Future(
            speed=np.maximum(imagined.speed, 0.0),
            yaw_rate=yaw_rate,
            lateral=lateral,
            heading_error=heading_error,
            actions=actions,
            before=before,
            heads=imagined.heads,
            disagreement=spread.reshape(len(spread), -1).mean(1),
            wanted_mps=wanted_mps,
        )
