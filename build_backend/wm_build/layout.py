"""Where the ROS resources of the Python packages go in an installation prefix.

The ``setup.py`` of each package says the same to colcon; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

INDEX = "share/ament_index/resource_index/packages"
# Top-level folders of the repository that are installed with one package.
SHARED_BY = {"launch": "wm_planner", "config": "wm_planner", "models": "wm_planner"}
IGNORED = {"__pycache__", ".gitkeep", ".gitignore"}


def python_package_roots(root: Path) -> list[Path]:
    """Folders of one Python package each: ``src/<name>`` with ``<name>/__init__.py`` in it."""
    return sorted(
        path for path in (root / "src").iterdir() if (path / path.name / "__init__.py").is_file()
    )


def ros_files(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield ``(file, destination)``, the destination relative to the installation prefix."""
    for package in python_package_roots(root):
        name = package.name
        yield package / "resource" / name, f"{INDEX}/{name}"
        yield package / "package.xml", f"share/{name}/package.xml"
        yield from _tree(package / "scripts", f"lib/{name}")
    for folder, owner in SHARED_BY.items():
        yield from _tree(root / folder, f"share/{owner}/{folder}")


def _tree(folder: Path, destination: str) -> Iterator[tuple[Path, str]]:
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not IGNORED.intersection(file.relative_to(folder).parts):
            yield file, f"{destination}/{file.relative_to(folder).as_posix()}"
