"""The whole driver as one object: observe, filter, imagine, plan, gate.

``wm eval`` runs it in process; over ROS the same parts run as nodes.
"""

from __future__ import annotations

import math

import numpy as np

from wm_dynamics.backend import TorchBackend
from wm_dynamics.blind import BlindImaginer
from wm_dynamics.model import WorldModel
from wm_perception.filter import Filtered, LatentFilter
from wm_perception.frame import Command, SceneFrame
from wm_perception.observation import Observation, Observer
from wm_perception.scene import Scene
from wm_planner.gate import Gate, GateDecision
from wm_planner.gate_config import GateConfig
from wm_planner.gate_events import Odometry, Proposal, Speed
from wm_planner.planner import Plan, Planner
from wm_planner.planner_config import PlannerConfig


def make_backend(driver: str, model: WorldModel) -> TorchBackend:
    """Who imagines: the model ("planner"), its "blind" half, or its shape "untrained"."""
    if driver == "untrained":
        return TorchBackend(WorldModel.untrained(model.config, seed=0))
    return TorchBackend(BlindImaginer(model) if driver == "blind" else model)


class PlannerDriver:
    """Drives with a world model.

    Attributes:
        plan: the last plan, None before the first frame.
        observation: the last observation.
        filtered: the last posterior.
        gate: the last decision of the gate.
    """

    def __init__(
        self, backend, config: PlannerConfig | None = None, gate: GateConfig | None = None
    ):
        """Args: backend that perceives and imagines; parameters of planner and gate."""
        self.config = config or PlannerConfig()
        self._gate_config = gate or GateConfig()
        self._filter = LatentFilter(backend, self.config.frame_dt)
        self._planner = Planner(backend, self.config)
        self.plan: Plan | None = None
        self.observation: Observation | None = None
        self.filtered: Filtered | None = None
        self.gate: GateDecision | None = None

    def reset(self, scene: Scene, seed: int = 0) -> None:
        """Begin a route."""
        self._observer = Observer(scene, self.config.frame_dt)
        self._filter.reset()
        self._planner.reset(seed)
        self._gate = Gate(self._gate_config)
        self.plan = self.observation = self.filtered = self.gate = None

    def drive(self, frame: SceneFrame) -> Command:
        """The command for this frame, as the gate lets it through."""
        self.observation = self._observer.observe(frame)
        self.filtered = self._filter.update(self.observation)
        self.plan = self._planner.plan(
            self.filtered.latent,
            self.observation.state,
            self.observation.reference,
            self.observation.arrived,
        )
        return self._guarded(frame, self.plan)

    def _guarded(self, frame: SceneFrame, plan: Plan) -> Command:
        """The gate's answer to a plan. Simulated time is its clock, so drives are reproducible."""
        ego, now_s = frame.ego, frame.stamp_ns * 1e-9
        usable = plan.finite and np.isfinite(plan.actions).all()
        wish = plan.command if usable else Command(math.nan, math.nan)
        events = (
            Speed(ego.speed_mps, now_s),
            Odometry(
                frame.stamp_ns, now_s, ego.x, ego.y, ego.yaw, ego.speed_mps, ego.yaw_rate_radps
            ),
            Proposal(frame.stamp_ns, wish.steer, wish.accel, now_s),
        )
        command = None
        for event in events:
            self.gate = self._gate.update(event)
            command = self.gate.command or command
        if command is None:
            raise RuntimeError(f"the gate left frame {frame.stamp_ns} without a command")
        return command
