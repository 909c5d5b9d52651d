"""The whole driver as one object: observe, filter, imagine, plan, gate.

``wm eval`` runs it in process; over ROS the same parts run as nodes.
"""

from __future__ import annotations

import time

import numpy as np

from wm_perception.filter import Filtered, LatentFilter
from wm_perception.frame import Command, SceneFrame
from wm_perception.observation import Observation, Observer
from wm_perception.scene import Scene
from wm_planner.planner import Plan, Planner
from wm_planner.planner_config import PlannerConfig


class PlannerDriver:
    """Drives with a world model.

    Attributes:
        plan: the last plan, None before the first frame.
        observation: the last observation.
        filtered: the last posterior.
        frame_ms: wall time of the last frame, perception and planning, ms.
    """

    def __init__(self, backend, imaginer=None, config: PlannerConfig | None = None):
        """Args: backend that perceives; imaginer that the planner asks (default: the backend)."""
        self.config = config or PlannerConfig()
        self._filter = LatentFilter(backend, self.config.frame_dt)
        self._planner = Planner(imaginer or backend, self.config)
        self.plan: Plan | None = None
        self.observation: Observation | None = None
        self.filtered: Filtered | None = None
        self.frame_ms = 0.0

    def reset(self, scene: Scene, seed: int = 0) -> None:
        """Begin a route."""
        self._observer = Observer(scene, self.config.frame_dt)
        self._filter.reset()
        self._planner.reset(seed)
        self.plan = self.observation = self.filtered = None

    def drive(self, frame: SceneFrame) -> Command:
        """The command for this frame; full brake when imagination is not finite."""
        start = time.perf_counter()
        self.observation = self._observer.observe(frame)
        self.filtered = self._filter.update(self.observation)
        self.plan = self._planner.plan(
            self.filtered.latent, self.observation.state, self.observation.reference
        )
        self.frame_ms = 1e3 * (time.perf_counter() - start)
        if not (self.plan.finite and np.isfinite(self.plan.actions).all()):
            return Command(0.0, -1.0)
        return self.plan.command
