"""The model that ships must load, be what its card says, and drive; its blind half must not see."""

import pytest
import torch

from wm_dynamics.checkpoint import load_checkpoint
from wm_planner.driver import PlannerDriver, make_backend
from wm_planner.paths import DEFAULT_MODEL, model_path
from wm_sim.simulator import Simulator
from wm_training.evaluation import drive_route
from wm_training.suites import RouteTask

# A validation route with lights and 20 other cars.
TASK = RouteTask("val02", 1, 20, 0)


@pytest.fixture(scope="module")
def model():
    torch.set_num_threads(1)
    return load_checkpoint(model_path(DEFAULT_MODEL))


@pytest.fixture(scope="module")
def simulator():
    simulator = Simulator(TASK.town)
    yield simulator
    simulator.close()


def test_the_card_names_the_data_it_learned_from(model):
    card = (model_path(DEFAULT_MODEL) / "README.md").read_text()
    assert model.metadata["data_hash"] in card
    assert f"{model.metadata['steps']} steps" in card


def test_weights_are_small_enough_to_ship():
    assert (model_path(DEFAULT_MODEL) / "model.safetensors").stat().st_size < 25e6


def test_it_imagines_its_own_motion(model):
    metrics = model.metadata["metrics"]
    assert metrics["ego_path_3s_m"] < metrics["constant_velocity_3s_m"] / 8


def test_it_drives_a_route_in_traffic(model, simulator):
    result = drive_route(simulator, PlannerDriver(make_backend("planner", model)), TASK).result
    assert result.outcome == "completed"
    assert result.red_lights == 0
    assert result.offroad_fraction < 0.01


def test_its_blind_half_runs_red_lights(model, simulator):
    """What the full planner does right on the same route, the latent has earned."""
    task = RouteTask(TASK.town, TASK.route, 0, TASK.seed)
    result = drive_route(simulator, PlannerDriver(make_backend("blind", model)), task).result
    assert result.outcome == "completed"
    assert result.red_lights > 0
