"""Compile and link the generated sources of one message package."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from wm_build.generate import Generated

RUNTIME = ("rosidl_runtime_c", "rcutils")
FASTRTPS_RUNTIME = (
    "rosidl_typesupport_fastrtps_c",
    "rosidl_typesupport_fastrtps_cpp",
    "fastcdr",
    "rmw",
)


@dataclass(frozen=True)
class Toolchain:
    """Compilers, and where headers and libraries of ROS and of earlier packages lie."""

    cc: list[str]
    cxx: list[str]
    includes: list[Path]
    libraries: list[Path]

    @classmethod
    def find(cls, prefixes: list[Path]) -> Toolchain:
        """Look for compilers (``$CC``, ``$CXX``, ``cc``, ``c++``), Python and ROS headers."""
        import numpy

        python = Path(sysconfig.get_paths()["include"])
        if not (python / "Python.h").is_file():
            raise RuntimeError(
                f"{python}/Python.h is missing: install the Python headers "
                "(Debian, Ubuntu: python3-dev)"
            )
        includes = [python, Path(numpy.get_include())]
        for prefix in prefixes:
            # ROS installs headers one level down, include/<package>/<package>/*.h.
            includes += [p for p in (prefix / "include").iterdir() if p.is_dir() and p != python]
            includes.append(prefix / "include")
        libraries = [prefix / "lib" for prefix in prefixes]
        return cls(_compiler("CC", "cc"), _compiler("CXX", "c++"), includes, libraries)

    def compile(self, source: Path, package: str, includes: list[Path]) -> Path:
        """Compile one source file to an object file beside it."""
        target = source.with_suffix(f"{source.suffix}.o")
        compiler = (
            [*self.cxx, "-std=c++17"] if source.suffix == ".cpp" else [*self.cc, "-std=gnu11"]
        )
        flags = ["-fPIC", "-O1", "-w", f'-DROS_PACKAGE_NAME="{package}"']
        paths = [f"-I{path}" for path in [*includes, *self.includes]]
        _run([*compiler, *flags, *paths, "-c", str(source), "-o", str(target)])
        return target

    def link(self, target: Path, objects: list[Path], libraries: list[str], rpath: str) -> None:
        """Link a shared library that finds its neighbours through ``rpath``."""
        target.parent.mkdir(parents=True, exist_ok=True)
        flags = [
            "-shared",
            f"-Wl,-soname,{target.name}",
            f"-Wl,-rpath,{rpath}",
            "-Wl,--no-as-needed",
        ]
        paths = [f"-L{path}" for path in [target.parent, *self.libraries]]
        names = [f"-l{name}" for name in libraries]
        _run([*self.cxx, *flags, "-o", str(target), *map(str, objects), *paths, *names])


def compile_package(
    name: str, generated: Generated, depends: list[str], toolchain: Toolchain, stage: Path
) -> None:
    """Build a package's libraries in ``stage/lib`` and its extension in ``stage/site/<name>``.

    Args:
        name: package name.
        generated: its generated sources.
        depends: names of all interface packages it needs.
        toolchain: from :meth:`Toolchain.find`.
        stage: staging prefix.
    """
    module = generated.python / name
    sources = {
        "rosidl_generator_c": sorted(generated.c.rglob("*.c")),
        "rosidl_typesupport_fastrtps_c": sorted(generated.fastrtps.rglob("*.cpp")),
        "rosidl_typesupport_introspection_c": sorted(generated.introspection.rglob("*.c")),
        "rosidl_typesupport_c": sorted(generated.typesupport.rglob("*.cpp")),
        "rosidl_generator_py": sorted(module.glob("*/*_s.c")),
        "module": sorted(module.glob("*.ep.rosidl_typesupport_c.c")),
    }
    includes = [generated.c, generated.fastrtps, generated.introspection, generated.python]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        pending = {
            library: [
                pool.submit(toolchain.compile, file, name, includes) for file in _batch(files)
            ]
            for library, files in sources.items()
        }
        objects = {library: [job.result() for job in jobs] for library, jobs in pending.items()}

    def of(library: str, packages: list[str]) -> list[str]:
        return [f"{package}__{library}" for package in packages]

    own_c, depend_c = of("rosidl_generator_c", [name]), of("rosidl_generator_c", depends)
    fastrtps, introspection = "rosidl_typesupport_fastrtps_c", "rosidl_typesupport_introspection_c"
    links = {
        "rosidl_generator_c": depend_c,
        fastrtps: [*own_c, *depend_c, *of(fastrtps, depends), *FASTRTPS_RUNTIME],
        introspection: [*own_c, *depend_c, *of(introspection, depends), introspection],
        "rosidl_typesupport_c": [
            *own_c,
            *of("rosidl_typesupport_c", depends),
            "rosidl_typesupport_c",
        ],
        "rosidl_generator_py": [
            *own_c,
            *of("rosidl_typesupport_c", [name]),
            *of("rosidl_generator_py", depends),
        ],
    }
    for library, libraries in links.items():
        target = stage / "lib" / f"lib{name}__{library}.so"
        toolchain.link(target, objects[library], [*libraries, *RUNTIME], "$ORIGIN")
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    libraries = [
        f"{name}__{kind}"
        for kind in ("rosidl_generator_py", "rosidl_typesupport_c", "rosidl_generator_c")
    ]
    target = stage / "site" / name / f"{name}_s__rosidl_typesupport_c{suffix}"
    beside = Toolchain(toolchain.cc, toolchain.cxx, [], [stage / "lib", *toolchain.libraries])
    # From <prefix>/lib/pythonX.Y/site-packages/<name>/ to <prefix>/lib.
    beside.link(target, objects["module"], [*libraries, *RUNTIME], "$ORIGIN/../../..")


def _batch(sources: list[Path]) -> list[Path]:
    """Join sources into one file that includes them all.

    They share nearly all their headers, which take most of the time.

    Descriptions stay apart, because all of them give the same names to their static data.
    """
    apart = [source for source in sources if source.stem.endswith("__description")]
    joined = [source for source in sources if source not in apart]
    if len(joined) < 2:
        return sources
    batch = joined[0].with_name(f"batch{joined[0].suffix}")
    batch.write_text("".join(f'#include "{source}"\n' for source in joined))
    return [batch, *apart]


def _compiler(variable: str, default: str) -> list[str]:
    command = shlex.split(os.environ.get(variable, default))
    if not command or shutil.which(command[0]) is None:
        raise RuntimeError(
            f"no compiler '{' '.join(command)}': install gcc and g++ "
            f"(Debian, Ubuntu: build-essential), or set {variable}"
        )
    return command


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{shlex.join(command)}\nfailed:\n{done.stdout}{done.stderr}")
