"""The table of drivers: who there is, what each needs, and that all pass the same gate."""

from __future__ import annotations

import numpy as np
import pytest

from wm_dynamics.checkpoint import save_checkpoint
from wm_dynamics.config import SIZES
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_perception.frame import Command
from wm_planner.driver import PlannerDriver
from wm_sim.simulator import Simulator
from wm_training.drivers import DRIVERS, driver_model, make_driver, simulator_camera
from wm_training.floors import THROTTLE
from wm_training.pilotnet import PilotNet, PilotNetConfig, save_pilotnet


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """A PilotNet of each kind, untrained."""
    folder = tmp_path_factory.mktemp("networks")
    for inputs in ("image", "image+speed"):
        save_pilotnet(PilotNet(PilotNetConfig(inputs=inputs)), folder / inputs)
    return folder


def drive(road, driver, frames: int, seed: int = 0, speed: float = 3.0) -> list[Command]:
    driver.reset(road.scene(), seed)
    return [driver.drive(road.frame(0.3 * i, number=i, speed=speed)) for i in range(frames)]


def test_every_driver_is_there():
    assert {"planner", "actor", "blind", "untrained", "expert", "pilotnet", "pilotnet-image",
            "constant", "random"} == set(DRIVERS)  # fmt: skip


def test_which_model_a_driver_takes(networks):
    assert driver_model("planner").name == "driving-bev"
    assert driver_model("pilotnet", networks / "image") == networks / "image"
    for name in ("expert", "constant", "random"):
        assert driver_model(name) is None
        assert driver_model(name, "driving-bev") is None, "it needs none"
    with pytest.raises(UserError, match="no model directory at 'atlantis'"):
        driver_model("actor", "atlantis")
    with pytest.raises(UserError, match="unknown driver 'santa'"):
        driver_model("santa")


def test_what_cannot_drive_says_why(networks, tmp_path):
    with pytest.raises(UserError, match="driver 'pilotnet' needs a model"):
        make_driver("pilotnet", None)
    with pytest.raises(UserError, match="'pilotnet' needs a PilotNet of image.speed; .* image$"):
        make_driver("pilotnet", networks / "image")
    with pytest.raises(UserError, match="'pilotnet-image' needs a PilotNet of image;"):
        make_driver("pilotnet-image", networks / "image+speed")
    save_checkpoint(WorldModel.untrained(SIZES["tiny"], seed=1), tmp_path / "world")
    with pytest.raises(UserError, match="wm train pilotnet"):
        make_driver("pilotnet", tmp_path / "world")
    with pytest.raises(UserError, match="leave out --view"):
        make_driver("expert", None, view="line_of_sight")


def test_the_constant_driver_is_constant_but_for_the_gate(road):
    assert drive(road, make_driver("constant", None), 5)[-1] == Command(0.0, THROTTLE)


def test_the_random_driver_repeats_itself_with_its_seed(road):
    driver = make_driver("random", None)
    first, again, other = (drive(road, driver, 60, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert np.mean([c.accel for c in first]) > -0.2, "it gets going"


def test_all_commands_pass_the_gate_unless_it_is_left_out(road):
    """A random walk jerks more than the gate lets through."""
    steers = {
        guarded: np.array([c.steer for c in drive(road, make_driver("random", None,
                          guarded=guarded), 80, speed=9.0)])
        for guarded in (True, False)
    }  # fmt: skip
    jumps = {guarded: abs(np.diff(steer)).max() for guarded, steer in steers.items()}
    assert jumps[True] < jumps[False]


def test_pilotnet_without_a_picture_stops(road, networks):
    driver = make_driver("pilotnet", networks / "image+speed")
    commands = drive(road, driver, 20)
    assert commands[-1].accel < 0.0
    assert simulator_camera(driver) is not None


def test_the_view_reaches_the_planner(road, tmp_path):
    save_checkpoint(WorldModel.untrained(SIZES["tiny"], seed=1), tmp_path / "m")
    lorry = road.car(12.0)
    behind = lorry + road.car(20.0)
    seen = {}
    for view in ("full", "line_of_sight"):
        driver = make_driver("planner", tmp_path / "m", view=view)
        assert isinstance(driver, PlannerDriver)
        driver.reset(road.scene())
        driver.drive(road.frame(0.0, cars=behind))
        seen[view] = driver.observation.bev
    driver.reset(road.scene())
    driver.drive(road.frame(0.0, cars=lorry))
    assert (seen["line_of_sight"] == driver.observation.bev).all()
    assert (seen["full"] != seen["line_of_sight"]).any()


@pytest.mark.camera
def test_pilotnet_drives_by_what_the_simulator_renders(networks):
    driver = make_driver("pilotnet", networks / "image+speed")
    with Simulator("tiny", camera=simulator_camera(driver)) as simulator:
        driver.reset(simulator.start_route(0))
        frame = simulator.frame()
        for _ in range(3):
            command = driver.drive(frame)
            frame = simulator.step(command)
        picture = driver.observation.sensors["camera_front"]
    assert picture.shape == (80, 144, 3) and picture.std() > 5
    assert np.isfinite([command.steer, command.accel]).all()
