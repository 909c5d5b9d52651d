"""PEP 517 and PEP 660 hooks.

setuptools makes the metadata and collects the Python modules. These hooks add what it cannot make:
the compiled message packages, the C++ engine, and the files that ROS tools look for under
``share/`` and ``lib/`` of an installation prefix.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from setuptools import build_meta
from setuptools.build_meta import (
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

from wm_build.interfaces import build_interfaces
from wm_build.layout import python_package_roots, ros_files
from wm_build.packages import discover_interfaces
from wm_build.wheel import WheelWriter, platform_wheel_name

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "interfaces"
ENGINE = ROOT / "src" / "wm_dynamics" / "build_runtime.py"


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, str] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Build the wheel of ``pip install .``; returns its file name inside ``wheel_directory``."""
    # setuptools never forgets modules that were deleted from the tree since the last build.
    shutil.rmtree(ROOT / "build" / "lib", ignore_errors=True)
    pure = Path(wheel_directory) / build_meta.build_wheel(
        wheel_directory, config_settings, metadata_directory
    )
    target = Path(wheel_directory) / platform_wheel_name(pure.name)
    with WheelWriter(target) as wheel:
        wheel.add_wheel(pure)
        _add_engine(wheel)
        _add_ros(wheel)
    if pure != target:
        pure.unlink()
    return target.name


def build_editable(
    wheel_directory: str,
    config_settings: dict[str, str] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Build the wheel of ``pip install -e .``: modules linked by path, all else copied."""
    with tempfile.TemporaryDirectory() as scratch:
        info = Path(scratch) / prepare_metadata_for_build_editable(scratch, config_settings)
        name = platform_wheel_name(info.name.removesuffix(".dist-info") + "-py3-none-any.whl")
        with WheelWriter(Path(wheel_directory) / name) as wheel:
            for file in sorted(info.rglob("*")):
                if file.is_file():
                    wheel.add_file(file, file.relative_to(scratch))
            roots = "".join(f"{path}\n" for path in python_package_roots(ROOT))
            wheel.add_bytes(roots.encode(), "__editable__.wm_drive.pth")
            _add_engine(wheel)
            _add_ros(wheel)
    return name


def _add_engine(wheel: WheelWriter) -> None:
    """The C++ engine, or a word on why there is none: the stack then imagines with torch."""
    builder = _module(ENGINE)
    try:
        file = builder.build(ROOT / "build" / "runtime")
    except builder.NoRuntime as error:
        print(f"WARNING: no C++ engine, imagination will run in torch: {error}", file=sys.stderr)
        return
    wheel.add_file(file, file.name)


def _module(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def _add_ros(wheel: WheelWriter) -> None:
    for stage in build_interfaces(discover_interfaces(ROOT / "src"), CACHE):
        for file in sorted(path for path in stage.rglob("*") if path.is_file()):
            relative = file.relative_to(stage)
            if relative.parts[0] == "site":
                wheel.add_file(file, Path(*relative.parts[1:]))
            else:
                wheel.add_data(file, relative)
    for file, destination in ros_files(ROOT):
        wheel.add_data(file, destination)
