"""The driver in one process: what a broken imagination does to the commands."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from wm_dynamics.blind import BlindBackend
from wm_dynamics.config import SIZES
from wm_dynamics.model import WorldModel
from wm_perception.frame import SceneFrame
from wm_perception.route import Route
from wm_perception.scene import Scene
from wm_planner.driver import PlannerDriver, make_backend
from wm_planner.gate_state import MANOEUVRE, GateState
from wm_sim.vehicle import MAX_STEER_RAD, WHEELBASE_M, Vehicle, VehicleState

HEALTHY = range(0)


@dataclass
class Imagined:
    path: np.ndarray
    speed: np.ndarray
    heads: dict[str, np.ndarray]
    disagreement: np.ndarray


class Kinematics:
    """Imagines a kinematic vehicle on an empty road; the latent is the number of frames seen.

    Args:
        broken: frames in which imagination is not finite.
        what: "path", "heads" or "one" (a single candidate's path).
    """

    dt = 0.2

    def __init__(self, broken: range = HEALTHY, what: str = "path"):
        self.broken, self.what = broken, what
        self.frames = 0

    def initial(self) -> None:
        return None

    def observe(self, latent, action, motion, sight):
        self.frames += 1
        return self.frames, 0.0

    def imagine(self, latent, ego_state, actions) -> Imagined:
        n, horizon, _ = actions.shape
        gained = np.cumsum(4.0 * actions[..., 1] * self.dt, 1)
        speed = np.maximum(0.0, 10.0 * ego_state[0] + gained)
        step, zero = speed * self.dt, np.zeros((n, horizon))
        yaw = np.cumsum(step * np.tan(MAX_STEER_RAD * actions[..., 0]) / WHEELBASE_M, 1)
        x, y = np.cumsum(step * np.cos(yaw), 1), np.cumsum(step * np.sin(yaw), 1)
        path = np.stack([x, y, yaw], -1)
        names = ("leader_presence", "stop_presence", "collision", "near", "off_road",
                 "red_violation", "leader_speed")  # fmt: skip
        heads = {name: zero.copy() for name in names}
        heads |= {"leader_gap": zero + 100.0, "stop_distance": zero + 100.0}
        if latent - 1 in self.broken:
            if self.what == "heads":
                heads["collision"] += np.nan
            else:
                path[slice(None) if self.what == "path" else 0] = np.nan
        return Imagined(path, speed, heads, np.zeros(n))


def scene() -> Scene:
    road = np.full((400, 1600), 255, np.uint8)
    town = SimpleNamespace(road=road, line=np.zeros_like(road), origin=np.array([-100.0, -50.0]))
    return Scene(town, Route(np.array([[0.0, 0.0], [200.0, 0.0]])))


def drive(backend, frames: int, seed: int = 0):
    """Commands, the gate's states and the speeds of a drive along the road."""
    driver, vehicle = PlannerDriver(backend), Vehicle(VehicleState(0.0, 0.0, speed=6.0))
    driver.reset(scene(), seed)
    commands, states, speeds = [], [], []
    for i in range(frames):
        ego = vehicle.ego()
        commands.append(driver.drive(SceneFrame(i * 100_000_000, ego)))
        states.append(driver.gate.state)
        speeds.append(ego.speed_mps)
        vehicle.step(commands[-1], 0.1)
    return commands, states, speeds


def test_a_healthy_imagination_drives():
    commands, states, speeds = drive(Kinematics(), 60)
    assert states[-1] is GateState.NOMINAL
    assert speeds[-1] == pytest.approx(8.3, abs=1.0)
    assert max(abs(command.steer) for command in commands) < 0.3


@pytest.mark.parametrize("what", ["path", "heads"])
def test_an_imagination_of_nan_brakes_to_a_stop_and_nan_never_comes_out(what):
    commands, states, speeds = drive(Kinematics(range(30, 100), what), 100)
    assert all(math.isfinite(c.steer) and math.isfinite(c.accel) for c in commands)
    assert states[29] is GateState.NOMINAL
    assert all(state in MANOEUVRE for state in states[30:])
    assert all(command.accel <= 0.0 for command in commands[30:])
    assert speeds[29] > 5.0
    assert abs(speeds[-1]) < 0.3


def test_one_broken_frame_costs_one_manoeuvre_and_the_drive_goes_on():
    _, states, speeds = drive(Kinematics(range(30, 31)), 120)
    assert states[30] in MANOEUVRE
    assert states[-1] is GateState.NOMINAL
    assert speeds[-1] > 5.0


def test_one_broken_candidate_is_left_out_of_the_plan():
    commands, states, _ = drive(Kinematics(range(30, 60), "one"), 60)
    assert all(state is GateState.NOMINAL for state in states[10:])
    assert all(math.isfinite(command.accel) for command in commands)


def test_the_same_seed_drives_the_same_way():
    first, again, other = (drive(Kinematics(), 20, seed)[0] for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_new_route_starts_afresh():
    driver = PlannerDriver(Kinematics())
    vehicle = Vehicle(VehicleState(0.0, 0.0, speed=6.0))
    frames = [SceneFrame(i * 100_000_000, vehicle.ego()) for i in range(10)]
    runs = []
    for _ in range(2):
        driver.reset(scene(), 5)
        assert driver.plan is None and driver.gate is None
        runs.append([driver.drive(frame) for frame in frames])
    assert runs[0] == runs[1]


def test_the_ablations_do_not_use_the_trained_latent():
    model = WorldModel.untrained(SIZES["tiny"], seed=7)
    assert make_backend("planner", model).hash == model.hash
    assert make_backend("untrained", model).hash != model.hash
    assert make_backend("untrained", model).hash == make_backend("untrained", model).hash
    assert isinstance(make_backend("blind", model), BlindBackend)
