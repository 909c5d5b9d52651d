"""What the tests of the safety gate share; and lets tests import ``toy_world.py`` beside them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from wm_perception.frame import Objects
from wm_planner.gate import Gate, GateDecision
from wm_planner.gate_config import GateConfig
from wm_planner.gate_events import Odometry, Proposal, RoadUsers, Tick
from wm_planner.gate_rules import Rule
from wm_planner.gate_state import GateState

sys.path.insert(0, str(Path(__file__).parent))

FRAME_NS = 100_000_000


class Drive:
    """Feeds a gate a vehicle that drives straight at a given speed, frame by frame."""

    def __init__(self, config: GateConfig | None = None, speed: float = 8.0):
        self.gate = Gate(config)
        self.speed = speed
        self.wall = 100.0
        self.stamp = 5_000_000_000
        self.x = 0.0
        self.sent: list[GateDecision] = []

    def take(self, event) -> GateDecision:
        decision = self.gate.update(event)
        if decision.command is not None:
            self.sent.append(decision)
        return decision

    def frame(self, wall_step: float = 0.02, speed: float | None = None) -> GateDecision:
        self.wall += wall_step
        self.stamp += FRAME_NS
        self.x += self.speed * 0.1
        return self.take(self.odometry(self.speed if speed is None else speed))

    def odometry(self, speed: float) -> Odometry:
        return Odometry(self.stamp, self.wall, self.x, 0.0, 0.0, speed, 0.0)

    def propose(self, steer=0.0, accel=0.1, delay: float = 0.05, **said) -> GateDecision:
        self.wall += delay
        return self.take(Proposal(self.stamp, steer, accel, self.wall, **said))

    def tick(self, delay: float = 0.02) -> GateDecision:
        self.wall += delay
        return self.take(Tick(self.wall))

    def tick_until_sent(self, limit_s: float = 2.0) -> GateDecision:
        end, before = self.wall + limit_s, len(self.sent)
        while len(self.sent) == before:
            assert self.wall < end, "the gate never answered"
            self.tick()
        return self.sent[-1]

    def see(self, *cars: tuple[float, float, float]) -> None:
        """Cars at (ahead of the ego, to its left) in m that drive straight on with a speed, m/s."""
        n = len(cars)
        ahead, left, speed = np.array(cars, float).reshape(-1, 3).T
        objects = Objects(
            ids=np.arange(1, n + 1),
            poses=np.stack([self.x + ahead, left, np.zeros(n)], 1),
            velocities=np.stack([speed, np.zeros(n)], 1),
            sizes=np.tile([4.5, 1.85], (n, 1)),
        )
        self.take(RoadUsers(self.stamp, objects, self.wall))

    @staticmethod
    def rule(decision: GateDecision, name: str) -> Rule:
        return next(rule for rule in decision.rules if rule.name == name)

    def nominal(self, frames: int = 3) -> Drive:
        for _ in range(frames):
            self.frame()
            self.propose()
        assert self.gate.state is GateState.NOMINAL
        return self


@pytest.fixture
def make_drive() -> type[Drive]:
    return Drive
