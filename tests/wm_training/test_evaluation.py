"""Closed-loop evaluation on the small town: who drives, who must not, and what the suites hold."""

from __future__ import annotations

import struct
from dataclasses import asdict, replace

import pytest

from wm_dynamics.checkpoint import save_checkpoint
from wm_dynamics.config import SIZES
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_dynamics.variants import variant
from wm_planner.paths import model_path
from wm_sim.simulator import Simulator
from wm_sim.world import World
from wm_training.commands import eval as command
from wm_training.drivers import make_driver, simulator_camera
from wm_training.eval_processes import evaluate
from wm_training.evaluation import DriverSpec, drive_route
from wm_training.suites import RouteTask, scenario_task, suite_tasks
from wm_training.summary import summarise

TASK = RouteTask("tiny", 1, 4, 0)
EXPERT = DriverSpec("expert")


@pytest.fixture(scope="module")
def simulator():
    made = Simulator("tiny")
    yield made
    made.close()


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    """A model directory with weights nobody has trained."""
    path = tmp_path_factory.mktemp("model") / "tiny"
    save_checkpoint(WorldModel.untrained(SIZES["tiny"], seed=1), path)
    return path


def test_the_expert_completes_a_route(simulator):
    drive = drive_route(simulator, make_driver("expert", None), TASK)
    assert drive.result.outcome == "completed"
    assert drive.result.driving_score == 100.0
    assert drive.plan_ms == [], "the expert does not plan"


def test_an_untrained_model_does_not_drive(simulator, model_dir):
    driver = make_driver("untrained", model_dir)
    drive = drive_route(simulator, driver, replace(TASK, traffic=0, time_limit_s=60.0))
    assert drive.result.outcome != "completed"
    assert drive.result.route_completion < 20.0
    assert len(drive.plan_ms) == round(drive.result.duration_s / 0.1)


def test_the_same_seed_gives_the_same_drive(simulator, model_dir):
    driver = make_driver("planner", model_dir)
    task = replace(TASK, time_limit_s=4.0)
    first, again = (drive_route(simulator, driver, task).result for _ in range(2))
    assert asdict(first) == asdict(again)
    other = drive_route(simulator, driver, replace(task, seed=1)).result
    assert asdict(first) != asdict(other)


def test_a_route_ends_at_its_time_limit(simulator):
    drive = drive_route(simulator, make_driver("expert", None), replace(TASK, time_limit_s=3.0))
    assert drive.result.outcome == "timeout"
    assert drive.result.duration_s == pytest.approx(3.1)
    with pytest.raises(UserError, match="time limit"):
        RouteTask("tiny", 0, 0, 0, time_limit_s=0.0)


def test_every_frame_can_be_watched(simulator):
    seen = []
    task = replace(TASK, time_limit_s=1.0)
    driver = make_driver("expert", None)
    drive_route(simulator, driver, task, lambda *what: seen.append(what))
    assert len(seen) == 11
    scene, frame, watched, scorer = seen[-1]
    assert (scene, watched) == (simulator.scene, driver)
    assert frame.stamp_ns > seen[0][1].stamp_ns
    assert scorer.outcome == "timeout", "it has judged the frame after the last command since"


def test_a_scenario_is_judged(simulator):
    task = RouteTask("tiny", 1, 0, 0, world=World(scenario="pedestrian_crossing"))
    result = drive_route(simulator, make_driver("expert", None), task).result
    assert result.scenario == "pedestrian_crossing"
    assert result.scenario_success
    report = summarise([result], [], 100.0, driver="expert")["summary"]
    assert report["scenarios"] == {"pedestrian_crossing": [1, 1]}
    assert report["scenario_success"] == 1.0


def test_what_is_unknown_is_a_users_error(model_dir):
    with pytest.raises(UserError, match="unknown driver 'santa'; known drivers: planner"):
        make_driver("santa", model_dir)
    with pytest.raises(UserError, match="unknown town 'atlantis'"):
        command.tasks_of(command.Args(town="atlantis"))
    with pytest.raises(UserError, match="unknown scenario 'alien'"):
        command.tasks_of(command.Args(scenario="alien"))
    with pytest.raises(UserError, match="unknown weather 'plague'"):
        command.tasks_of(command.Args(weather="plague"))
    with pytest.raises(UserError, match="needs a model"):
        make_driver("planner", None)


def test_arguments_become_tasks():
    name, tasks = command.tasks_of(
        command.Args(town="tiny", routes=2, traffic=3, seed=5, time_limit_s=7.0)
    )
    assert name == "tiny-traffic3"
    assert tasks == [RouteTask("tiny", route, 3, 5, 7.0) for route in (0, 1)]
    assert command.tasks_of(command.Args(suite="tiny"))[1] == suite_tasks("tiny", 0)
    name, tasks = command.tasks_of(command.Args(town="tiny", pedestrians=6, weather="rain"))
    assert name == "tiny-traffic20-pedestrians6-weatherrain"
    assert {task.world for task in tasks} == {World(pedestrians=6, weather="rain")}
    name, tasks = command.tasks_of(command.Args(scenario="merge", traffic=3, routes=2, seed=4))
    assert name == "scenario-merge-traffic3"
    world = World(scenario="merge")
    assert tasks == [scenario_task(world, 3, 4, run) for run in (0, 1)]
    _, (task, *_) = command.tasks_of(command.Args(town="tiny", scenario="blocked_lane"))
    assert (task.town, task.off_route_m) == ("tiny", 5.0)


def test_the_shipped_model_drives_the_same_way_to_the_last_bit():
    task = RouteTask("val01", 0, traffic=20, seed=3, time_limit_s=5.0)

    def drive() -> list[bytes]:
        seen: list[bytes] = []

        def watch(scene, frame, driver, scorer) -> None:
            ego, plan = frame.ego, driver.plan
            command = plan.command
            numbers = (ego.x, ego.y, ego.yaw, command.steer, command.accel)
            seen.append(struct.pack("5d", *numbers) + plan.candidates.tobytes())

        with Simulator(task.town) as simulator:  # nothing is left of the drive before
            drive_route(simulator, make_driver("planner", model_path("driving-bev")), task, watch)
        return seen

    first, again = drive(), drive()
    assert len(first) > 45 and first == again


@pytest.fixture(scope="module")
def camera_model_dir(tmp_path_factory):
    """A model directory with weights nobody has trained, of a model that drives by a camera."""
    path = tmp_path_factory.mktemp("camera_model") / "tiny"
    save_checkpoint(WorldModel.untrained(variant("tiny", inputs="camera"), seed=1), path)
    return path


@pytest.mark.camera
def test_a_camera_model_gets_the_camera_it_needs(camera_model_dir):
    task = replace(TASK, time_limit_s=1.0, world=World(weather="night"))
    (drive,) = evaluate([task], DriverSpec("planner", camera_model_dir), 1)
    assert len(drive.plan_ms) == 11


@pytest.mark.camera
def test_only_what_the_camera_shows_tells_day_from_night(camera_model_dir):
    driver = make_driver("planner", camera_model_dir)
    surprises = []
    with Simulator("tiny", camera=simulator_camera(driver)) as simulator:
        for weather in ("day", "night"):
            task = replace(TASK, time_limit_s=0.5, world=World(weather=weather))
            drive_route(simulator, driver, task)
            assert driver.observation.sensors["camera_front"].shape == (80, 144, 3)
            surprises.append(driver.filtered.surprise)
    assert surprises[0] != surprises[1]


@pytest.mark.camera
def test_the_shipped_camera_model_stops_at_a_red_light_it_only_sees():
    driver = make_driver("planner", model_path("driving-camera"))
    stops: list[int] = []

    def watch(scene, frame, driver, scorer) -> None:
        if frame.ego.speed_mps < 0.1:
            stops.append(frame.stamp_ns)

    with Simulator("val02", camera=simulator_camera(driver)) as simulator:
        task = RouteTask("val02", 2, traffic=0, seed=0, time_limit_s=20.0)
        result = drive_route(simulator, driver, task, watch).result
    assert result.outcome == "timeout" and result.driven_m > 60.0
    assert len(stops) > 20 and not result.red_lights and not result.collisions
    assert result.mean_lateral_m < 0.5


def test_no_picture_is_rendered_for_who_looks_at_none(model_dir, camera_model_dir):
    assert simulator_camera(make_driver("planner", model_dir)) is None
    assert simulator_camera(make_driver("blind", camera_model_dir)) is None
    assert simulator_camera(make_driver("expert", None)) is None


def test_a_camera_model_without_pictures_says_what_it_lacks(simulator, camera_model_dir):
    with pytest.raises(UserError, match="needs camera_front, which is missing"):
        drive_route(simulator, make_driver("planner", camera_model_dir), TASK)


def test_the_blind_half_of_a_camera_model_drives_without(simulator, camera_model_dir):
    driver = make_driver("blind", camera_model_dir)
    drive = drive_route(simulator, driver, replace(TASK, time_limit_s=1.0))
    assert len(drive.plan_ms) == 11
