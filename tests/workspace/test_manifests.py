"""``package.xml`` of the Python packages: colcon builds and runs them by what it says."""

from __future__ import annotations

import ast
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from ament_index_python import get_packages_with_prefixes

from wm_build.layout import SHARED_BY, python_package_roots

ROOT = Path(__file__).resolve().parents[2]
# Not in the ament index of a machine without ROS.
LAUNCH = {"launch", "launch_ros"}
MAY_IMPORT = {
    "wm_dynamics": set(),
    "wm_perception": {"wm_dynamics", "wm_msgs"},
    "wm_planner": {"wm_dynamics", "wm_msgs", "wm_perception"},
    "wm_sim": {"wm_dynamics", "wm_msgs", "wm_perception"},
    "wm_training": {"wm_dynamics", "wm_msgs", "wm_perception", "wm_planner", "wm_sim"},
}
OURS = {"wm_msgs", *MAY_IMPORT}


def imported(package: Path) -> set[str]:
    """Top-level names that the modules of a package import, with those of the folders it ships."""
    shared = [ROOT / folder for folder, owner in SHARED_BY.items() if owner == package.name]
    names = set()
    for folder in [package / package.name, *shared]:
        for file in folder.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names.add(node.module.split(".")[0])
    return names - {package.name}


@pytest.mark.parametrize("package", python_package_roots(ROOT), ids=lambda path: path.name)
def test_manifest_names_what_is_imported(package: Path) -> None:
    manifest = ElementTree.parse(package / "package.xml")
    declared = {element.text for element in manifest.findall("exec_depend")}
    known = set(get_packages_with_prefixes()) | LAUNCH
    assert imported(package) & known <= declared


@pytest.mark.parametrize("package", python_package_roots(ROOT), ids=lambda path: path.name)
def test_imports_only_point_up(package: Path) -> None:
    """Nothing below imports what is built on it."""
    assert imported(package) & OURS <= MAY_IMPORT[package.name]


def test_the_simulator_knows_nothing_learned() -> None:
    """Of the model's package, it uses the exception for user errors and no more."""
    for file in (ROOT / "src" / "wm_sim" / "wm_sim").rglob("*.py"):
        for line in file.read_text().splitlines():
            assert "wm_dynamics" not in line or line.strip().startswith(
                "from wm_dynamics.errors import"
            ), f"{file}: {line}"


def test_all_packages_have_one_version() -> None:
    versions = {
        ElementTree.parse(file).findtext("version") for file in ROOT.glob("src/**/package.xml")
    }
    text = (ROOT / "pyproject.toml").read_text()
    assert versions == {"0.1.0"} and '\nversion = "0.1.0"\n' in text
    for package in python_package_roots(ROOT):
        assert 'version="0.1.0"' in (package / "setup.py").read_text()
