"""Lay out a built message package as ROS does: Python module, headers, share, ament index."""

from __future__ import annotations

import shutil
from pathlib import Path

from wm_build.generate import Generated
from wm_build.packages import InterfacePackage


def stage_package(package: InterfacePackage, generated: Generated, stage: Path) -> None:
    """Copy what is installed besides the libraries into the staging prefix ``stage``."""
    name = package.name
    module = stage / "site" / name
    _copy(generated.python / name, module, "*.py")
    (module / "__init__.py").touch()
    for folder in (generated.c, generated.fastrtps, generated.introspection):
        _copy(folder / name, stage / "include" / name / name, "*.h")
    share = stage / "share" / name
    _copy(generated.idl, share, "*.idl")
    _copy(generated.hashes, share, "*.json")
    for file in package.files():
        shutil.copyfile(package.path / file, share / file)
    shutil.copyfile(package.path / "package.xml", share / "package.xml")
    interfaces = [*package.files(), *(file.with_suffix(".idl") for file in package.files())]
    index = {
        "packages": "",
        "rosidl_interfaces": "\n".join(sorted(file.as_posix() for file in interfaces)),
        "package_run_dependencies": ";".join(package.depends),
    }
    for resource, content in index.items():
        file = stage / "share" / "ament_index" / "resource_index" / resource / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


def _copy(source: Path, target: Path, pattern: str) -> None:
    for file in source.rglob(pattern):
        destination = target / file.relative_to(source)
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, destination)
