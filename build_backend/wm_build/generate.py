"""Generate the sources of one message package with the rosidl generators (no CMake)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wm_build.packages import InterfacePackage

# How messages travel: serialised by Fast DDS, or described at run time for any other middleware.
TYPESUPPORTS = ("rosidl_typesupport_fastrtps_c", "rosidl_typesupport_introspection_c")


@dataclass(frozen=True)
class Generated:
    """Folders of generated files; sources lie one level down, in ``<folder>/<package>/``."""

    idl: Path  # interfaces as IDL: msg/*.idl, srv/*.idl
    hashes: Path  # type descriptions with RIHS01 hashes: msg/*.json, srv/*.json
    c: Path  # structures and functions of rosidl_generator_c
    typesupport: Path  # dispatch library
    fastrtps: Path  # Fast DDS serialisation
    introspection: Path  # run-time description
    python: Path  # Python classes and their conversion to C


def generate_package(
    package: InterfacePackage, depends: dict[str, Path], ros: Path, out: Path
) -> Generated:
    """Generate everything for one package.

    Args:
        package: the interface package.
        depends: share folders of all interface packages it needs, by name.
        ros: prefix of the ROS wheels, for the generators' templates.
        out: new folder for the generated files.
    """
    folders = Generated(*(out / n for n in ("idl", "hashes", "c", "ts", "fastrtps", "intro", "py")))
    # The generators print every file name.
    with contextlib.redirect_stdout(io.StringIO()):
        idl = _to_idl(package, folders.idl)
        run = _Runner(package.name, idl, depends, ros)
        _generate(package, folders, run)
    return folders


def _generate(package: InterfacePackage, folders: Generated, run: _Runner) -> None:
    from rosidl_cli.command.helpers import build_type_description_tuples
    from rosidl_generator_c import generate_c
    from rosidl_generator_py import generate_py
    from rosidl_generator_type_description import generate_type_hash
    from rosidl_typesupport_c import generate_c as generate_typesupport_c
    from rosidl_typesupport_fastrtps_c import generate_typesupport_fastrtps_c
    from rosidl_typesupport_introspection_c import generate_c as generate_introspection_c

    name = package.name
    shares = [f"{depend}:{share}" for depend, share in run.depends.items()]
    hashes = run(
        "rosidl_generator_type_description",
        generate_type_hash,
        folders.hashes,
        include_paths=shares,
    )
    run(
        "rosidl_generator_c",
        generate_c,
        folders.c / name,
        type_description_tuples=build_type_description_tuples(run.idl, hashes),
        ros_interface_files=[str(package.path / file) for file in package.files()],
    )
    run(
        "rosidl_typesupport_c",
        lambda a: generate_typesupport_c(a, list(TYPESUPPORTS)),
        folders.typesupport / name,
    )
    run("rosidl_typesupport_fastrtps_c", generate_typesupport_fastrtps_c, folders.fastrtps / name)
    run(
        "rosidl_typesupport_introspection_c", generate_introspection_c, folders.introspection / name
    )
    run(
        "rosidl_generator_py",
        lambda a: generate_py(a, ["rosidl_typesupport_c"]),
        folders.python / name,
    )
    for tool in ("rosidl_generator_c", *TYPESUPPORTS):
        run.visibility_header(tool, folders.c / name / "msg")


def _to_idl(package: InterfacePackage, out: Path) -> list[str]:
    """Convert the interface files to IDL; returns them as rosidl does, ``folder:relative/path``."""
    from rosidl_adapter.msg import convert_msg_to_idl
    from rosidl_adapter.srv import convert_srv_to_idl

    convert = {".msg": convert_msg_to_idl, ".srv": convert_srv_to_idl}
    for file in package.files():
        (out / file.parent).mkdir(parents=True, exist_ok=True)
        convert[file.suffix](package.path.resolve(), package.name, file, out / file.parent)
    return [f"{out}:{file.with_suffix('.idl').as_posix()}" for file in package.files()]


class _Runner:
    """Calls rosidl generators, which all take their arguments from a JSON file."""

    def __init__(self, name: str, idl: list[str], depends: dict[str, Path], ros: Path) -> None:
        self.name = name
        self.idl = idl
        self.depends = depends
        self.ros = ros

    def __call__(self, tool: str, generator: Callable[[str], Any], out: Path, **extra: Any) -> Any:
        from rosidl_cli.command.helpers import generator_arguments_file, legacy_generator_arguments

        arguments = legacy_generator_arguments(
            package_name=self.name,
            interface_files=self.idl,
            include_paths=[str(share) for share in self.depends.values()],
            templates_path=str(self.ros / "share" / tool / "resource"),
            output_path=str(out),
        )
        with generator_arguments_file(**arguments, **extra) as file:
            return generator(file)

    def visibility_header(self, tool: str, out: Path) -> None:
        from rosidl_cli.command.helpers import generate_visibility_control_file

        header = f"{tool}__visibility_control.h"
        generate_visibility_control_file(
            package_name=self.name,
            template_path=str(self.ros / "share" / tool / "resource" / f"{header}.in"),
            output_path=str(out / header),
        )
