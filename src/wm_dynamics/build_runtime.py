"""Compile ``runtime/`` to the extension module ``_wm_runtime``.

Used by pip (the build backend) and by colcon (``setup.py`` beside this file). Every source of an
instruction set is compiled once for each; which one runs is decided at run time.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).resolve().parent / "runtime"
MODULE = "_wm_runtime"
FLAGS = ["-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-fno-math-errno",
         "-fno-trapping-math", "-ffp-contract=fast", "-Wall", "-Wextra", "-Wno-psabi"]  # fmt: skip
EXACT = "-ffp-contract=off"  # a plan's arithmetic rounds as numpy's does
BINDINGS = ("module", "plan_module")
PLAN = ("plan_sample", "plan_score", "plan_terms", "plan_update")
AVX512 = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma",
          "-mprefer-vector-width=512"]  # fmt: skip
VNNI = "-DWM_VNNI"  # no flag: its one instruction is written out in int8.hpp


class NoRuntime(Exception):
    """The extension cannot be built here; the message says why."""


@dataclass(frozen=True)
class Isa:
    """An instruction set: floats of a vector, rows x vectors of sums in registers, flags."""

    name: str
    lanes: int
    rows: int
    wide: int
    flags: tuple[str, ...] = ()

    def defines(self) -> list[str]:
        """The macros of ``isa.cpp``."""
        sizes = {"LANES": self.lanes, "ROWS": self.rows, "WIDE": self.wide}
        return [f"-DWM_NS={self.name}", *(f"-DWM_{k}={v}" for k, v in sizes.items())]


PORTABLE = Isa("portable", 4, 4, 2)
NEON = Isa("portable", 4, 4, 4)  # 32 registers
X86 = (
    PORTABLE,
    Isa("avx2", 8, 6, 2, ("-mavx2", "-mfma")),
    Isa("avx2_vnni", 8, 6, 2, ("-mavx2", "-mfma", VNNI)),
    Isa("avx512", 16, 6, 4, tuple(AVX512)),
    Isa("avx512_vnni", 16, 6, 4, (*AVX512, VNNI)),
    Isa("avx512_bf16", 16, 6, 4, (*AVX512, VNNI, "-mavx512bf16", "-DWM_BF16")),
)


def instruction_sets() -> tuple[Isa, ...]:
    """Those worth compiling on this kind of machine."""
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        return X86
    return (NEON if machine in ("aarch64", "arm64") else PORTABLE,)


def file_name() -> str:
    """Of the extension module."""
    return MODULE + str(sysconfig.get_config_var("EXT_SUFFIX"))


def build(folder: Path, extra: tuple[str, ...] = ()) -> Path:
    """Compile, unless ``folder`` already has a build of the same sources.

    Args:
        folder: where finished builds are kept; those of other sources are deleted.
        extra: more flags, for sanitizers; with -g nothing is stripped.

    Returns:
        The extension module, in a folder of its own below ``folder``.

    Raises:
        NoRuntime: no compiler, no headers, or it does not compile.
    """
    compiler = shlex.split(os.environ.get("CXX", "c++"))
    if not compiler or shutil.which(compiler[0]) is None:
        raise NoRuntime(f"there is no C++ compiler '{' '.join(compiler)}'")
    try:
        import nanobind
    except ImportError:
        raise NoRuntime("there is no nanobind; pip install nanobind") from None
    bindings = Path(nanobind.include_dir()).parent
    target = folder / _fingerprint(compiler, nanobind.__version__, extra) / file_name()
    if not target.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".work-") as work:
            _compile(compiler, bindings, Path(work), [*FLAGS, *extra])
            finished = Path(work) / "finished"
            finished.mkdir()
            (Path(work) / file_name()).rename(finished / file_name())
            shutil.rmtree(target.parent, ignore_errors=True)
            finished.rename(target.parent)
    for old in folder.iterdir():
        if old.is_dir() and old != target.parent and not old.name.startswith("."):
            shutil.rmtree(old, ignore_errors=True)
    return target


def _fingerprint(compiler: list[str], nanobind: str, extra: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for file in [Path(__file__), *sorted(SOURCES.glob("*.[ch]pp"))]:
        digest.update(f"{file.name}\0".encode() + file.read_bytes() + b"\0")
    platforms = [sys.implementation.cache_tag or "", sysconfig.get_platform()]
    digest.update("\0".join([*platforms, *compiler, nanobind, *extra]).encode())
    return digest.hexdigest()[:16]


def _compile(compiler: list[str], bindings: Path, work: Path, flags: list[str]) -> None:
    python = sysconfig.get_paths()["include"]
    if not (Path(python) / "Python.h").is_file():
        raise NoRuntime(f"{python}/Python.h is missing; install python3-dev")
    isas = instruction_sets()
    x86 = ["-DWM_X86"] if len(isas) > 1 else []
    binding = [f"-I{python}", f"-I{bindings / 'include'}", "-DNDEBUG"]
    robin_map = f"-I{bindings / 'ext' / 'robin_map' / 'include'}"
    quiet = ["-w", "-Os", "-fno-strict-aliasing"]
    jobs = [
        (bindings / "src" / "nb_combined.cpp", "nanobind.o", [*binding, robin_map, *quiet]),
    ]
    small = [*binding, "-Os", "-fno-strict-aliasing", "-w"]
    jobs += [(SOURCES / f"{n}.cpp", f"{n}.o", [*small, EXACT, *x86]) for n in BINDINGS]
    jobs += [(SOURCES / f"{n}.cpp", f"{n}.o", x86) for n in ("model", "quantile", "dispatch")]
    jobs += [(SOURCES / f"{n}.cpp", f"{n}.o", [EXACT]) for n in PLAN]
    jobs += [
        (SOURCES / "isa.cpp", f"isa_{isa.name}.o", [*isa.defines(), *isa.flags]) for isa in isas
    ]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        commands = [
            [*compiler, *flags, *more, "-c", str(source), "-o", str(work / name)]
            for source, name, more in jobs
        ]
        list(pool.map(_run, commands))
    objects = [str(work / name) for _, name, _ in jobs]
    stripped = [] if "-g" in flags else ["-Wl,-s"]
    shared = ["-shared", "-pthread", *stripped]
    _run([*compiler, *flags, *shared, *objects, "-o", str(work / file_name())])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise NoRuntime(f"{shlex.join(command)}\nfailed:\n{done.stdout}{done.stderr}")
    if done.stderr:
        print(done.stderr, file=sys.stderr)


if __name__ == "__main__":
    print(build(Path(sys.argv[1]), tuple(sys.argv[2:])))
