"""The installed tree: what ROS tools and users find in the environment the tests run in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from ament_index_python import get_package_share_directory, get_resource

from wm_build.layout import ros_files

ROOT = Path(__file__).resolve().parents[2]
PREFIX = Path(sys.prefix)
PYTHON_PACKAGES = ("wm_dynamics", "wm_perception", "wm_planner", "wm_sim", "wm_training")
MESSAGE_PACKAGES = (
    "ackermann_msgs",
    "carla_msgs",
    "carla_waypoint_types",
    "derived_object_msgs",
    "tf2_msgs",
    "wm_msgs",
)
EXECUTABLES = (
    "wm_perception/perception_node",
    "wm_planner/bad_planner_node",
    "wm_planner/gate_node",
    "wm_planner/manager_node",
    "wm_planner/imagination_node",
    "wm_planner/overlay_node",
    "wm_planner/planner_node",
    "wm_sim/bridge_node",
    "wm_sim/expert_node",
    "wm_training/recorder_node",
    "wm_training/view_node",
)


@pytest.mark.parametrize("package", [*PYTHON_PACKAGES, *MESSAGE_PACKAGES])
def test_package_is_in_the_ament_index(package: str) -> None:
    share = Path(get_package_share_directory(package))
    assert share == PREFIX / "share" / package
    assert f"<name>{package}</name>" in (share / "package.xml").read_text()


@pytest.mark.parametrize("package", MESSAGE_PACKAGES)
def test_interfaces_are_registered(package: str) -> None:
    content, _ = get_resource("rosidl_interfaces", package)
    share = Path(get_package_share_directory(package))
    assert content.splitlines()
    for name in content.splitlines():
        assert (share / name).is_file()


def test_every_ros_file_of_the_tree_is_installed() -> None:
    missing = [to for _, to in ros_files(ROOT) if not (PREFIX / to).is_file()]
    assert not missing, "not installed, run `make setup`"


@pytest.mark.parametrize("executable", EXECUTABLES)
def test_executable_is_installed_and_has_a_main(executable: str) -> None:
    assert os.access(PREFIX / "lib" / executable, os.X_OK)
    assert callable(import_module(executable.replace("/", ".")).main)


def test_all_executables_are_tested() -> None:
    found = {f"{p.parents[1].name}/{p.name}" for p in ROOT.glob("src/*/scripts/*")}
    assert found == set(EXECUTABLES)


def fake_python(folder: Path, says: str) -> None:
    folder.mkdir(parents=True)
    file = folder / "python3"
    file.write_text(f"#!/bin/sh\necho {says} $*\n")
    file.chmod(0o755)


def test_wrapper_prefers_the_python_of_its_prefix(tmp_path: Path) -> None:
    """Without activation, and with another python3 first on the path."""
    fake_python(tmp_path / "prefix" / "bin", "own")
    fake_python(tmp_path / "other", "other")
    wrapper = tmp_path / "prefix" / "lib" / "wm_sim" / "bridge_node"
    wrapper.parent.mkdir(parents=True)
    shutil.copy(ROOT / "src" / "wm_sim" / "scripts" / "bridge_node", wrapper)
    env = {"PATH": f"{tmp_path / 'other'}:/usr/bin:/bin"}

    def run() -> str:
        return subprocess.check_output([wrapper, "--ros-args"], env=env, text=True)

    assert run().startswith("own -c") and run().strip().endswith("main()) --ros-args")
    (tmp_path / "prefix" / "bin" / "python3").unlink()
    assert run().startswith("other -c")


def test_wm_command_lists_its_commands() -> None:
    done = subprocess.run([PREFIX / "bin" / "wm", "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for command in ("drive", "eval", "sim", "record", "dataset", "train"):
        assert f"wm {command}" in done.stdout


def test_towns_are_packaged() -> None:
    import wm_sim

    towns = Path(wm_sim.__file__).parent / "towns"
    assert any(towns.glob("test01.*"))
