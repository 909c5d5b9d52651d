"""The whole driver as one object: observe, filter, imagine, plan, gate.

``wm eval`` runs it in process; over ROS the same parts run as nodes.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from wm_dynamics.backend import TorchBackend
from wm_dynamics.behavior_checkpoint import FOLDER, load_behavior
from wm_dynamics.blind import BlindImaginer
from wm_dynamics.model import WorldModel
from wm_perception.camera_stream import CameraStream
from wm_perception.filter import Filtered, LatentFilter
from wm_perception.frame import Command, SceneFrame
from wm_perception.observation import Observation, Observer
from wm_perception.scene import Scene
from wm_planner.actor_planner import ActorPlanner
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


def make_planner(
    driver: str, backend, model_dir: Path, config: PlannerConfig
) -> Planner | ActorPlanner:
    """Who decides: the behaviour learned for the model ("actor"), or a search over imagination.

    Args:
        driver: one of the drivers that need a model.
        backend: who imagines.
        model_dir: directory of the model; its behaviour lies inside.
        config: parameters.

    Raises:
        UserError: the model has no behaviour, or another model's.
    """
    if driver != "actor":
        return Planner(backend, config)
    return ActorPlanner(backend.model, load_behavior(model_dir / FOLDER, backend.model), config)


class PlannerDriver:
    """Drives with a world model.

    Attributes:
        plan: the last plan, None before the first frame.
        observation: the last observation.
        filtered: the last posterior.
        gate: the last decision of the gate.
        camera: what the model sees of a frame's picture, None when it looks at none.
    """

    def __init__(
        self,
        backend,
        config: PlannerConfig | None = None,
        gate: GateConfig | None = None,
        camera: CameraStream | None = None,
        planner: Planner | ActorPlanner | None = None,
    ):
        """Set up.

        Args:
            backend: perceives and imagines.
            config: of the planner.
            gate: of the gate.
            camera: see above; frames must have a picture then.
            planner: who decides, if not a sampling planner over ``backend``.
        """
        self.config = config or PlannerConfig()
        self._gate_config = gate or GateConfig()
        self._filter = LatentFilter(backend, self.config.frame_dt)
        self._planner = planner or Planner(backend, self.config)
        self.camera = camera
        self.plan: Plan | None = None
        self.observation: Observation | None = None
        self.filtered: Filtered | None = None
        self.gate: GateDecision | None = None

    def reset(self, scene: Scene, seed: int = 0) -> None:
        """Begin a route."""
        self._observer = Observer(scene, self.config.frame_dt, self.camera)
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
