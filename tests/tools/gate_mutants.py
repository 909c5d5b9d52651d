"""Mutation run of the safety gate: ``make mutants``, or this file with ``--help``.

Every mutant runs the gate's tests, all but the random ones, in a forked process until one of them
fails. A mutant that no test notices survives; so a low share of survivors says that the tests would
notice a mistake.
Prints JSON: counts, the share that was killed, and every survivor.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.util
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hypothesis
import numpy  # noqa: F401  # once here, not in every mutant
import pytest
import yaml  # noqa: F401

from wm_perception import frame, route  # noqa: F401

sys.path.insert(0, str(Path(__file__).parent))
from mutate import Mutant, mutants

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "src/wm_planner/wm_planner"
TESTS = ROOT / "tests/wm_planner"
# The node is a thin shell with tests of its own, over real processes: too slow for this.
MODULES = (
    "gate",
    "gate_config",
    "gate_events",
    "gate_frames",
    "gate_history",
    "gate_limits",
    "gate_manoeuvre",
    "gate_path",
    "gate_room",
    "gate_rss",
    "gate_rules",
    "gate_state",
)
# What is most likely to notice a change comes first.
FILES = (
    "gate_memory",
    "gate",
    "gate_edges",
    "gate_rules",
    "gate_requests",
    "gate_path",
    "gate_room",
)
FILES = (*FILES, "gate_state", "gate_limits", "gate_rss", "gate_config")
FIRST = {
    "gate": ("gate", "gate_edges", "gate_requests", "gate_rules"),
    "gate_config": ("gate_config",),
    "gate_limits": ("gate_limits",),
    "gate_manoeuvre": ("gate_limits",),
    "gate_path": ("gate_path",),
    "gate_room": ("gate_room",),
    "gate_rss": ("gate_rss",),
    "gate_state": ("gate_state", "gate", "gate_requests"),
}
CPU_S, MEMORY_BYTES = 60, 4 * 2**30  # a mutant may loop for ever, or fill the memory


class Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a tree instead of its file."""

    def __init__(self, name: str, mutant: Mutant):
        self._name, self._mutant = name, mutant

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name == self._name else None

    def exec_module(self, module) -> None:
        exec(compile(self._mutant.make()[0], f"<mutant of {self._name}>", "exec"), module.__dict__)


def survives(module: str, mutant: Mutant | None) -> bool:
    """Whether all tests pass with a mutant, or, without one, with the module as it is."""
    child = os.fork()
    if child == 0:
        os._exit(_run_tests(module, mutant))
    return os.waitpid(child, 0)[1] == 0


def _run_tests(module: str, mutant: Mutant | None) -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    hypothesis.settings.register_profile("mutants", derandomize=True, database=None)
    hypothesis.settings.load_profile("mutants")
    if mutant is not None:
        sys.meta_path.insert(0, Loader(f"wm_planner.{module}", mutant))
    first = FIRST.get(module, ())
    os.chdir(ROOT)
    for name in (*first, *(name for name in FILES if name not in first)):
        # File by file: to collect them all takes longer than to find most mutants.
        status = pytest.main(["-x", "-q", "-p", "no:cacheprovider", f"{TESTS}/test_{name}.py"])
        if status != pytest.ExitCode.OK:
            return 1
    return 0


def listed(modules: list[str]) -> Iterator[tuple[str, Mutant]]:
    """Module and mutant, module by module."""
    for module in modules:
        for mutant in mutants((SOURCES / f"{module}.py").read_text()):
            yield module, mutant


def main() -> int:
    """Run; the exit status is 1 when fewer than ``--least`` of the mutants were killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the report here, too")
    parser.add_argument("--modules", nargs="+", choices=MODULES, default=list(MODULES))
    parser.add_argument("--every", type=int, default=1, help="only every n-th mutant")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--least", type=float, default=0.9, help="share that has to be killed")
    chosen = parser.parse_args()
    if not survives(chosen.modules[0], None):
        raise SystemExit("the gate's tests fail without any mutant")
    start = time.monotonic()
    work = list(listed(chosen.modules))[:: chosen.every]
    survivors = []
    with ThreadPoolExecutor(chosen.processes) as pool:
        results = pool.map(lambda item: survives(*item), work)
        for number, (item, lives) in enumerate(zip(work, results, strict=True), 1):
            if lives:
                _, line, change = item[1].make()
                survivors.append({"module": item[0], "line": line, "change": change})
                print(f"{number} of {len(work)}: {survivors[-1]}", file=sys.stderr)
    killed = 1.0 - len(survivors) / len(work)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = {
        "mutants": len(work),
        "killed": len(work) - len(survivors),
        "killed_share": round(killed, 4),
        "wall_s": round(time.monotonic() - start),
        "cpu_s": round(used.ru_utime + used.ru_stime),
        "survivors": survivors,
    }
    text = json.dumps(report, indent=1)
    print(text)
    if chosen.json:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(text + "\n")
    return int(killed < chosen.least)


if __name__ == "__main__":
    sys.exit(main())
