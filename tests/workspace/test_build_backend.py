"""The in-tree build backend: wheels, layout and message packages, without a build."""

from __future__ import annotations

import ast
import base64
import hashlib
import zipfile
from pathlib import Path

import pytest

from wm_build.compile import Toolchain
from wm_build.layout import python_package_roots, ros_files
from wm_build.packages import InterfacePackage, dependency_closure, discover_interfaces
from wm_build.wheel import WheelWriter, platform_tag, platform_wheel_name

ROOT = Path(__file__).resolve().parents[2]


def interface(root: Path, name: str, depends: str = "") -> Path:
    folder = root / name
    (folder / "msg").mkdir(parents=True)
    (folder / "msg" / "A.msg").write_text("int32 a\n")
    depend = f"<depend>{depends}</depend>" if depends else ""
    (folder / "package.xml").write_text(f"<package><name>{name}</name>{depend}</package>")
    return folder


def test_wheel_record_lists_every_file(tmp_path: Path) -> None:
    script = tmp_path / "node"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    path = tmp_path / platform_wheel_name("thing-1.0-py3-none-any.whl")
    with WheelWriter(path) as wheel:
        wheel.add_bytes(b"x = 1\n", "thing/__init__.py")
        wheel.add_data(script, "lib/thing/node")
    with zipfile.ZipFile(path) as archive:
        record = archive.read("thing-1.0.dist-info/RECORD").decode().splitlines()
        assert [row.split(",")[0] for row in record] == archive.namelist()
        digest = base64.urlsafe_b64encode(hashlib.sha256(b"x = 1\n").digest()).rstrip(b"=")
        assert record[0] == f"thing/__init__.py,sha256={digest.decode()},6"
        info = archive.getinfo("thing-1.0.data/data/lib/thing/node")
        assert (info.external_attr >> 16) & 0o777 == 0o755
        assert f"Tag: {platform_tag()}" in archive.read("thing-1.0.dist-info/WHEEL").decode()


def test_a_failed_wheel_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError),
        WheelWriter(tmp_path / "thing-1.0-any.whl") as wheel,
    ):
        wheel.add_file(tmp_path / "missing", "missing")
    assert not list(tmp_path.iterdir())


def test_wheels_merge_without_their_records(tmp_path: Path) -> None:
    first, second = tmp_path / "thing-1.0-a.whl", tmp_path / "thing-1.0-b.whl"
    with WheelWriter(first) as wheel:
        wheel.add_bytes(b"", "thing/__init__.py")
    with WheelWriter(second) as wheel:
        wheel.add_wheel(first)
    with zipfile.ZipFile(second) as archive:
        assert sorted(archive.namelist()) == sorted(zipfile.ZipFile(first).namelist())


def test_dependencies_come_first(tmp_path: Path) -> None:
    interface(tmp_path, "a_msgs", "z_msgs")
    interface(tmp_path, "z_msgs")
    assert [p.name for p in discover_interfaces(tmp_path)] == ["z_msgs", "a_msgs"]


def test_circular_dependencies_are_refused(tmp_path: Path) -> None:
    interface(tmp_path, "a_msgs", "b_msgs")
    interface(tmp_path, "b_msgs", "a_msgs")
    with pytest.raises(ValueError, match="depend on each other"):
        discover_interfaces(tmp_path)


def test_missing_dependency_says_what_to_install(tmp_path: Path) -> None:
    package = InterfacePackage.read(interface(tmp_path, "a_msgs", "gone_msgs"))
    for installed in ("builtin_interfaces", "service_msgs"):
        interface(tmp_path / "share", installed)
    with pytest.raises(RuntimeError, match="add ros-kilted-gone-msgs"):
        dependency_closure(package, [tmp_path])


def test_missing_compiler_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(RuntimeError, match="install gcc and g"):
        Toolchain.find([])


def test_tree_has_the_expected_packages() -> None:
    assert [path.name for path in python_package_roots(ROOT)] == [
        "wm_dynamics",
        "wm_perception",
        "wm_planner",
        "wm_sim",
        "wm_training",
    ]
    names = {package.name for package in discover_interfaces(ROOT / "src")}
    assert names == {
        "ackermann_msgs",
        "carla_msgs",
        "carla_waypoint_types",
        "derived_object_msgs",
        "tf2_msgs",
        "wm_msgs",
    }


def test_build_requirements_are_listed_once_in_effect() -> None:
    """``requirements.txt`` repeats ``build-system.requires`` for builds without isolation."""
    text = (ROOT / "pyproject.toml").read_text()
    block = text.split("\nrequires = ", 1)[1].split("\n]", 1)[0] + "\n]"
    lines = (ROOT / "build_backend" / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ast.literal_eval(block)


def test_cmake_lists_every_interface() -> None:
    cmake = (ROOT / "src" / "wm_msgs" / "CMakeLists.txt").read_text()
    package = InterfacePackage.read(ROOT / "src" / "wm_msgs")
    for file in package.files():
        assert f'"{file.as_posix()}"' in cmake
    for depend in package.depends:
        assert f"find_package({depend} REQUIRED)" in cmake


@pytest.mark.parametrize("package", python_package_roots(ROOT), ids=lambda path: path.name)
def test_colcon_installs_the_same_files(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``setup.py`` (colcon) and the build backend (pip) put the same files in the same places."""
    import setuptools

    said: dict[str, list] = {}
    monkeypatch.setattr(setuptools, "setup", lambda **fields: said.update(fields))
    monkeypatch.chdir(package)
    exec(compile((package / "setup.py").read_text(), "setup.py", "exec"), {"__name__": "setup"})
    colcon = {
        (Path(file).resolve(), f"{folder}/{Path(file).name}")
        for folder, files in said["data_files"]
        for file in files
    }
    own = [f"lib/{package.name}/", f"share/{package.name}/", f"/packages/{package.name}"]
    pip = {(f.resolve(), to) for f, to in ros_files(ROOT) if any(name in to for name in own)}
    assert colcon == pip
