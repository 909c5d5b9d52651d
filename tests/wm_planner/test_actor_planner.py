"""The learned behaviour in the planner's place, in process and as a named driver."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from wm_dynamics.backend import TorchBackend
from wm_dynamics.behavior import Behavior, BehaviorConfig
from wm_dynamics.behavior_checkpoint import FOLDER, save_behavior
from wm_dynamics.checkpoint import save_checkpoint
from wm_dynamics.config import SIZES
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_perception.frame import SceneFrame
from wm_perception.route import Route
from wm_perception.scene import Scene
from wm_planner.actor_planner import ActorPlanner
from wm_planner.driver import PlannerDriver, make_planner
from wm_planner.gate_state import GateState
from wm_planner.planner import Planner
from wm_planner.planner_config import PlannerConfig
from wm_sim.vehicle import Vehicle, VehicleState
from wm_training.drivers import make_driver

CONFIG = PlannerConfig(horizon=5)
REFERENCE = np.stack([np.arange(51.0) - 5.0, np.zeros(51)], -1)


@pytest.fixture
def model() -> WorldModel:
    return WorldModel.untrained(SIZES["tiny"])


@pytest.fixture
def behavior(model) -> Behavior:
    made = Behavior.untrained(BehaviorConfig(hidden=16, layers=1), model.config, seed=2)
    with torch.no_grad():
        made.actor.reader.net[-1].bias[1] = 0.4  # a touch of throttle
    return made


@pytest.fixture
def folder(tmp_path, model, behavior) -> Path:
    save_checkpoint(model, tmp_path)
    save_behavior(behavior, tmp_path / FOLDER, model.hash)
    return tmp_path


def scene() -> Scene:
    road = np.full((400, 1600), 255, np.uint8)
    town = SimpleNamespace(road=road, line=np.zeros_like(road), origin=np.array([-100.0, -50.0]))
    return Scene(town, Route(np.array([[0.0, 0.0], [200.0, 0.0]])))


def drive(driver: PlannerDriver, frames: int) -> list:
    vehicle = Vehicle(VehicleState(0.0, 0.0, speed=6.0))
    driver.reset(scene(), seed=0)
    commands = []
    for i in range(frames):
        commands.append(driver.drive(SceneFrame(i * 100_000_000, vehicle.ego())))
        vehicle.step(commands[-1], 0.1)
    return commands


def test_the_command_is_the_actors_mode_and_the_future_what_it_imagines(model, behavior):
    planner, latent = ActorPlanner(model, behavior, CONFIG), model.initial()
    state = np.array([0.6, 0.0, 0.0, 0.0, 0.0], np.float32)
    plan = planner.plan(latent, state, REFERENCE)
    route = torch.from_numpy((REFERENCE[8:36:3] / 20.0).astype(np.float32)).flatten()[None]
    seen = behavior.observed(latent, torch.from_numpy(state)[None], route)
    wanted = behavior.act(seen)[0]
    assert (plan.command.steer, plan.command.accel) == pytest.approx(wanted.tolist())
    assert plan.finite and plan.plan_ms > 0.0
    assert plan.actions.shape == (5, 2) and plan.candidates.shape == (1, 5, 2)
    # The same actions through the model's own imagination.
    rollout = model.imagine(latent, torch.from_numpy(state), torch.from_numpy(plan.actions)[None])
    assert np.allclose(plan.path, rollout.path[0].numpy(), atol=1e-4)
    assert np.allclose(plan.speeds, rollout.speed.numpy(), atol=1e-4)
    assert plan.costs.tolist() == pytest.approx((-behavior.value(seen)).tolist())


def test_it_drives_the_same_way_every_time_whatever_the_random_state(model, behavior):
    runs = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        planner = ActorPlanner(model, behavior, CONFIG)
        driver = PlannerDriver(TorchBackend(model), CONFIG, planner=planner)
        runs.append(drive(driver, 12))
        assert driver.gate.state is GateState.NOMINAL
    assert runs[0] == runs[1]
    assert runs[0][-1].accel > 0.1


def test_a_behavior_that_is_not_finite_is_not_driven(model, behavior):
    with torch.no_grad():
        behavior.actor.reader.net[-1].bias[0] = float("nan")
    planner = ActorPlanner(model, behavior, CONFIG)
    commands = drive(PlannerDriver(TorchBackend(model), CONFIG, planner=planner), 20)
    assert np.isfinite([[c.steer, c.accel] for c in commands]).all()
    assert commands[-1].accel < 0.0  # the gate's stop


def test_who_decides_goes_by_the_name(folder, model, behavior):
    backend = TorchBackend(model)
    assert isinstance(make_planner("planner", backend, folder, CONFIG), Planner)
    assert isinstance(make_planner("actor", backend, folder, CONFIG), ActorPlanner)
    again = drive(make_driver("actor", folder, CONFIG), 5)
    planner = ActorPlanner(model, behavior, CONFIG)
    in_torch = drive(PlannerDriver(backend, CONFIG, planner=planner), 5)
    for found, wanted in zip(again, in_torch, strict=True):
        assert (found.steer, found.accel) == pytest.approx((wanted.steer, wanted.accel), abs=1e-5)


def test_a_model_without_a_behavior_says_how_to_learn_one(tmp_path, model):
    save_checkpoint(model, tmp_path)
    with pytest.raises(UserError, match="wm train behavior"):
        make_driver("actor", tmp_path)
