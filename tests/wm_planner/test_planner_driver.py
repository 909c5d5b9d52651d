"""What a plan says of itself reaches the gate, in process."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from toy_world import ToyWorld

from wm_dynamics.novelty import Novelty
from wm_perception.frame import SceneFrame
from wm_perception.route import Route
from wm_perception.scene import Scene
from wm_planner.doubt import DoubtState, Level
from wm_planner.driver import PlannerDriver
from wm_planner.gate_state import GateState
from wm_planner.planner import Planner
from wm_sim.vehicle import Vehicle, VehicleState

LOST = DoubtState(Level.STOP, 5.0, 2.0, True, "unusual: novelty")


class Seeing(ToyWorld):
    """A toy world that can be perceived; every frame is ``score`` unusual."""

    def __init__(self, score: float = 0.0):
        super().__init__(wall_m=(None, None))
        self.novelty = Novelty({}, 2.0, 0.2)
        self.score = score

    def initial(self):
        return None

    def observe_judged(self, latent, trace, action, motion, sight):
        return 1, 0.0, None, self.score


class Says(Planner):
    """Says something else of its plans from frame ``since`` on."""

    def __init__(self, since: int, **changes):
        super().__init__(ToyWorld(wall_m=(None, None)))
        self.since, self.changes, self.frames = since, changes, 0

    def plan(self, *args, **more):
        self.frames += 1
        plan = super().plan(*args, **more)
        return replace(plan, **self.changes) if self.frames > self.since else plan


def drive(driver: PlannerDriver, frames: int) -> list[GateState]:
    road = np.full((400, 1600), 255, np.uint8)
    town = SimpleNamespace(road=road, line=np.zeros_like(road), origin=np.array([-100.0, -50.0]))
    vehicle = Vehicle(VehicleState(0.0, 0.0, speed=6.0))
    driver.reset(Scene(town, Route(np.array([[0.0, 0.0], [200.0, 0.0]]))), seed=0)
    states = []
    for i in range(frames):
        vehicle.step(driver.drive(SceneFrame(i * 100_000_000, vehicle.ego())), 0.1)
        states.append(driver.gate.state)
    return states


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"feasible": False}, GateState.EMERGENCY_STOP),
        ({"doubt": LOST}, GateState.COMFORT_STOP),
        ({"finite": False}, GateState.COMFORT_STOP),
    ],
    ids=["infeasible", "stop requested", "not finite"],
)
def test_the_gate_answers_to_what_a_plan_says(changes, state):
    states = drive(PlannerDriver(Seeing(), planner=Says(10, **changes)), 12)
    assert states[9] is GateState.NOMINAL and states[10] is state


def test_novelty_reaches_the_planners_doubt():
    for score, level in ((0.0, Level.USUAL), (3.0, Level.DOUBT), (9.0, Level.STOP)):
        driver = PlannerDriver(Seeing(score))
        drive(driver, 14)
        assert driver.plan.doubt.level is level
