"""The node table: who runs when, and that the launch file says the same."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from wm_dynamics.checkpoint import load_checkpoint, save_checkpoint
from wm_dynamics.config import SIZES
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_dynamics.variants import variant
from wm_perception.node_tools import ROS_PARAMETERS
from wm_perception.topics import TOPICS, topic
from wm_planner.node_table import (
    DriveOptions,
    drive_options,
    node_table,
    notes,
    parse_remaps,
    resolve_model,
)
from wm_planner.parameters import nested, validated
from wm_planner.paths import shared_dir

ROOT = Path(__file__).resolve().parents[2]
MODEL = Path("/some/model")
CONFIG_OF = {
    "bridge": "wm_sim.bridge_config:BridgeConfig",
    "perception": "wm_perception.perception_node:PerceptionConfig",
    "planner": "wm_planner.node_config:PlannerNodeConfig",
    "gate": "wm_planner.node_config:GateNodeConfig",
    "manager": "wm_planner.manager_node:ManagerConfig",
    "overlay": "wm_planner.overlay_node:OverlayConfig",
    "imagination": "wm_planner.imagination_node:ImaginationConfig",
    "expert": "wm_sim.expert_node:ExpertConfig",
    "recorder": "wm_training.recorder_node:RecorderConfig",
    "view": "wm_training.view_node:ViewConfig",
}


def keys(**options) -> list[str]:
    return [spec.key for spec in node_table(drive_options(options), MODEL)]


def test_who_runs():
    managed = ["perception", "planner", "gate", "manager"]
    drawing = ["overlay", "imagination"]
    assert keys() == ["bridge", *managed, *drawing]
    assert keys(pictures=False) == ["bridge", *managed]
    assert keys(source="carla_bridge") == [*managed, *drawing]
    assert keys(driver="expert") == ["bridge", "expert"]
    assert keys(record="bags/one", rviz=True)[-2:] == ["recorder", "rviz"]
    assert keys(record="bags/one", view=True)[-2:] == ["recorder", "view"]


def test_a_scored_drive_is_given_no_other_route_by_who_watches_it():
    def controls(**options) -> str:
        return node_table(drive_options({"view": True, **options}), MODEL)[-1].parameters[
            "controls"
        ]

    assert (controls(wait_for_start=True), controls()) == ("time", "all")


def test_options_reach_the_nodes_that_need_them():
    options = drive_options(
        {"town": "val01", "seed": "7", "role_name": "hero", "driver": "blind", "traffic": "20"}
    )
    specs = {spec.key: spec for spec in node_table(options, MODEL)}
    assert specs["bridge"].parameters["town"] == "val01"
    assert specs["bridge"].parameters["traffic"] == 20
    assert specs["planner"].parameters["driver"] == "blind"
    assert specs["planner"].parameters["seed"] == 7
    assert specs["planner"].parameters["model"] == specs["perception"].parameters["model"]
    assert all(spec.parameters["role_name"] == "hero" for spec in specs.values())


def test_a_model_that_drives_by_a_camera_is_not_started_without(tmp_path):
    save_checkpoint(WorldModel.untrained(variant("tiny", inputs="camera")), tmp_path / "model")
    options = drive_options({"model": str(tmp_path / "model"), "camera": False})
    with pytest.raises(UserError, match="drives by camera_front: leave the camera on"):
        resolve_model(options, tmp_path)
    for fine in ({"camera": True}, {"source": "carla_bridge"}):
        chosen = options.model_copy(update=fine)
        assert resolve_model(chosen, tmp_path) == tmp_path / "model"


@pytest.mark.parametrize("driver", ["planner", "expert"])
def test_parameters_are_the_ones_the_nodes_know(driver):
    options = drive_options({"driver": driver, "record": "bags/one"})
    for spec in node_table(options, MODEL):
        module, name = CONFIG_OF[spec.key].split(":")
        model = getattr(importlib.import_module(module), name)
        own = {key: v for key, v in spec.parameters.items() if key not in ROS_PARAMETERS}
        validated(model, nested(own), spec.key)


@pytest.mark.parametrize("driver", ["planner", "expert"])
def test_modules_names_and_topics_exist(driver):
    known = {entry.key for entry in TOPICS}
    for spec in node_table(drive_options({"driver": driver, "record": "bags/one"}), MODEL):
        module = importlib.import_module(spec.module)
        assert callable(module.main)
        made = re.compile(rf'(create_node|ManagedNode)\("{spec.name}"')
        assert made.search(inspect.getsource(module))
        assert (ROOT / "src" / spec.package / "scripts" / spec.executable).is_file()
        assert spec.config is None or spec.config.is_file()
        assert known.issuperset(spec.publishes + spec.subscribes)


def test_unknown_and_bad_options_are_clear_errors():
    with pytest.raises(UserError, match="option 'sorce'.*options: source, driver"):
        drive_options({"sorce": "embedded"})
    with pytest.raises(UserError, match=r"option 'source': .*'embedded'"):
        drive_options({"source": "carla"})
    with pytest.raises(UserError, match="option 'traffic'"):
        drive_options({"traffic": "many"})


def test_remaps_reach_every_node():
    options = drive_options({"remap": "/carla/objects:=/side_car/objects, /a:=/b"})
    for spec in node_table(options, MODEL):
        assert spec.remaps == (("/carla/objects", "/side_car/objects"), ("/a", "/b"))
    with pytest.raises(UserError, match="'/a=/b' is not of the form FROM:=TO"):
        parse_remaps("/a=/b")


def test_the_native_interface_is_honestly_described():
    assert notes(drive_options({})) == []
    text = "\n".join(notes(drive_options({"source": "carla_native", "role_name": "hero"})))
    assert "/carla/hero/odometry" in text and "carla_bridge" in text


def test_all_nodes_of_an_untrained_drive_load_the_same_random_weights(tmp_path):
    save_checkpoint(WorldModel.untrained(SIZES["tiny"], seed=3), tmp_path / "trained")
    options = drive_options({"driver": "untrained", "model": str(tmp_path / "trained")})
    path = resolve_model(options, tmp_path / "run")
    assert load_checkpoint(path).hash == WorldModel.untrained(SIZES["tiny"], seed=0).hash
    assert resolve_model(drive_options({"driver": "expert"}), tmp_path) is None


def test_a_missing_model_is_a_clear_error(tmp_path):
    with pytest.raises(UserError, match="no model directory at 'nowhere'"):
        resolve_model(drive_options({"model": "nowhere"}), tmp_path)
    with pytest.raises(UserError, match="needs a model"):
        node_table(drive_options({}), None)


# ---------------------------------------------------------------------- rviz


def _displays(group: dict):
    for display in group.get("Displays", []):
        yield display
        yield from _displays(display)


def test_the_rviz_layout_shows_topics_that_exist_with_their_types():
    layout = yaml.safe_load((shared_dir("config") / "carla_drive.rviz").read_text())
    manager = layout["Visualization Manager"]
    assert manager["Global Options"]["Fixed Frame"] == "map"
    by_name = {entry.name(): entry for entry in TOPICS}
    shown = {}
    for display in _displays(manager):
        if "Topic" in display:
            kind = display["Class"].split("/")[1]
            entry = by_name.get(display["Topic"]["Value"])
            if entry is None:  # a sensor of the rig
                shown[display["Topic"]["Value"]] = display
                continue
            assert entry.type_name.endswith(f"/{kind}")
            latched = display["Topic"]["Durability Policy"] == "Transient Local"
            assert latched == entry.latched
            shown[entry.key] = display
    assert set(shown) == {
        "markers", "overlay", "map_markers", "plan", "waypoints", "odometry", "image", "bev",
        "imagined_bev", "imagined_camera", "surprise_map", "/carla/ego_vehicle/lidar",
    }  # fmt: skip
    assert topic("markers").name() == "/wm/markers"


def test_rviz_gets_a_layout_of_the_role_name_the_clock_and_a_lidar():
    specs = {s.key: s for s in node_table(drive_options({"rviz": True}), MODEL)}
    assert specs["bridge"].parameters["sensors"] == "front_lidar"
    assert specs["rviz"].arguments[1] == str(shared_dir("config") / "carla_drive.rviz")
    assert "use_sim_time:=true" in specs["rviz"].arguments
    options = drive_options({"rviz": True, "role_name": "hero", "sensors": "full"})
    specs = {s.key: s for s in node_table(options, MODEL)}
    assert specs["bridge"].parameters["sensors"] == "full"
    text = Path(specs["rviz"].arguments[1]).read_text()
    assert "/carla/hero/lidar" in text and "Target Frame: hero" in text
    assert "ego_vehicle" not in text


# ---------------------------------------------------------------------- launch file


@pytest.fixture(scope="module")
def launch_file():
    pytest.importorskip("launch_ros", reason="launch_ros is not installed (not on PyPI)")
    path = ROOT / "launch" / "carla_drive.launch.py"
    spec = importlib.util.spec_from_file_location("carla_drive_launch", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_launch_arguments_are_the_options(launch_file):
    description = launch_file.generate_launch_description()
    arguments = description.get_launch_arguments()
    assert [argument.name for argument in arguments] == list(DriveOptions.model_fields)


def test_launch_actions_are_the_table(launch_file):
    from launch import LaunchContext
    from launch_ros.actions import Node

    context = LaunchContext()
    values = {name: str(field.default) for name, field in DriveOptions.model_fields.items()}
    context.launch_configurations.update({**values, "driver": "expert", "town": "tiny"})
    actions = [action for action in launch_file.start(context) if isinstance(action, Node)]
    table = node_table(drive_options({"driver": "expert", "town": "tiny"}))
    assert [(a.node_package, a.node_executable) for a in actions] == [
        (spec.package, spec.executable) for spec in table
    ]


def test_a_node_that_fails_fails_the_launch(launch_file):
    from launch import LaunchContext
    from launch.actions import Shutdown

    context = LaunchContext()
    with pytest.raises(RuntimeError, match="node 'bridge' ended with status 2"):
        launch_file.ended("bridge", SimpleNamespace(returncode=2), context)
    quiet = launch_file.ended("bridge", SimpleNamespace(returncode=0), context)
    assert isinstance(quiet, Shutdown)
