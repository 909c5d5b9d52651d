"""A bag of a drive in process, with the messages that source and nodes would have sent.

The messages are built by the code that builds them for the graph; only the middleware is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rclpy.serialization import serialize_message

from wm_msgs.msg import SafetyRule, SafetyState
from wm_perception.frame import SceneFrame
from wm_perception.misses import Missed
from wm_perception.node_tools import header
from wm_perception.perceiver import Percept, latent_message
from wm_perception.scene import Scene
from wm_perception.topics import DEFAULT_ROLE, topic
from wm_planner import markers
from wm_planner.driver import PlannerDriver
from wm_planner.gate import GateDecision
from wm_planner.planner_messages import proposal_message, statistics_message
from wm_sim.bridge_config import BridgeConfig
from wm_sim.bridge_publisher import BridgePublisher
from wm_sim.bridge_sensor_messages import rgb_image
from wm_training.bag_writer import BagWriter

DEADLINE_MS = 100.0
MESSAGE_NS = 1000  # between two messages of a frame, so that their order is kept
BIGGEST = float(np.finfo(np.float32).max)


class DriveBag:
    """A recording being made. Log times are simulated times."""

    def __init__(self, path: Path, simulator: Any, driver: PlannerDriver, backend: Any):
        """Create the bag.

        Args:
            path: directory to create.
            simulator: a ``wm_sim.simulator.Simulator``.
            driver: who drives.
            backend: its model.

        Raises:
            UserError: the directory exists, or cannot be created.
        """
        self._bag, self._driver, self._backend = BagWriter(path), driver, backend
        wanted = ("objects",)
        self._source = BridgePublisher(BridgeConfig(), simulator, self._write, wanted.__contains__)
        self._log_ns = self._number = 0

    def _write(self, key: str, message: Any) -> None:
        entry = topic(key)
        name = entry.name(DEFAULT_ROLE)
        if name not in self._bag.counts:
            self._bag.add_topic(name, entry.type_name, entry.depth, entry.latched)
        self._log_ns += MESSAGE_NS
        self._bag.write(name, self._log_ns, serialize_message(message))

    def begin(self, scene: Scene, stamp_ns: int) -> None:
        """Map, route and lights of a route that begins at ``stamp_ns``."""
        self._log_ns = max(self._log_ns, stamp_ns)
        self._source.scene(scene, stamp_ns)

    def add(self, frame: SceneFrame) -> None:
        """A frame, and what the driver made of it; call it after ``driver.drive``."""
        self._log_ns = max(self._log_ns, frame.stamp_ns)
        self._number += 1
        self._source.status(self._number, True)
        if frame.image is not None:
            self._write("image", rgb_image(header(frame.stamp_ns), frame.image))
        self._source.frame(frame, self._number)
        self._add_thoughts(frame.stamp_ns)

    def _add_thoughts(self, stamp_ns: int) -> None:
        driver, backend = self._driver, self._backend
        plan, seen, belief = driver.plan, driver.observation, driver.filtered
        assert plan is not None and seen is not None and belief is not None, "it has driven"
        percept = Percept(seen, belief, Missed(), "")
        self._write("latent", latent_message(percept, backend.classes, backend.hash))
        self._write("control_proposal", proposal_message(plan, stamp_ns))
        figures = statistics_message(plan, plan.plan_ms, DEADLINE_MS, stamp_ns, backend.dt)
        self._write("plan_statistics", figures)
        if plan.finite:
            at = header(stamp_ns)
            futures = markers.rollouts_message(plan, seen.pose, backend.dt, at)
            self._write("imagined_rollouts", futures)
        if driver.gate is not None:
            self._write("safety_state", _safety_message(driver.gate, stamp_ns))

    def close(self) -> None:
        """Finish the bag."""
        self._bag.close()


def _safety_message(decision: GateDecision, stamp_ns: int) -> SafetyState:
    rules = [
        SafetyRule(
            name=rule.name,
            value=min(rule.value, BIGGEST),
            limit=min(rule.limit, BIGGEST),
            tripped=rule.tripped,
            unit=rule.unit,
        )
        for rule in decision.rules
    ]
    return SafetyState(
        header=header(stamp_ns),
        state=int(decision.state),
        reason=decision.reason,
        rules=rules,
        interventions=decision.interventions,
    )
