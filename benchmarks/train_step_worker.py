"""One subject of ``train_step.py`` in a process of its own: builds it, then runs what it is told.

Reads the name of a call per line on standard input and answers each with one JSON line: wall and
CPU time of the call, and of a matrix product right before it, which tells how quiet the machine is.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MATMUL = 512  # rows and columns of the check
GROUP_S = 0.2  # short calls are timed in groups of about this long


@dataclass(frozen=True)
class Workload:
    """What one update works on."""

    batch: int = 16
    length: int = 64
    image: int = 64  # pixels per side
    actions: int = 2
    horizon: int = 15
    width: int = 2048  # of the deterministic state; the other sizes follow from it

    @property
    def starts(self) -> int:
        """Imagined futures: one from each posterior."""
        return self.batch * self.length


QUICK = Workload(batch=2, length=8, horizon=3, width=512)


@dataclass(frozen=True)
class Subject:
    """One system under test.

    Attributes:
        name: of the system.
        parameters: millions, by part.
        precision: of its arithmetic.
        calls: column of the table -> one repetition.
    """

    name: str
    parameters: dict[str, float]
    precision: str
    calls: dict[str, Callable[[], object]]


def timed(call: Callable[[], object], times: int) -> tuple[float, float]:
    """Wall and CPU milliseconds of one call, averaged over ``times``."""
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(times):
        call()
    took = time.perf_counter() - wall
    return 1e3 * took / times, 1e3 * (time.process_time() - cpu) / times


def held_mb() -> float:
    """Memory this process holds now, in MB; 0 where the system does not say."""
    pages = Path("/proc/self/statm")
    if not pages.exists():
        return 0.0
    return int(pages.read_text().split()[1]) * resource.getpagesize() / 1e6


def build(name: str, workload: Workload, path: str | None) -> Subject:
    """Make the subject called ``name``; ``path`` is its source folder where it is not installed."""
    if name.startswith("ours"):
        import train_step_ours

        return train_step_ours.build(workload, bf16=name == "ours")
    import train_step_peers

    return train_step_peers.build(name, workload, path)


def main() -> None:
    """Serve calls until standard input ends."""
    name, threads, quick, path = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "1", sys.argv[4]
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # peers print
        subject = build(name, QUICK if quick else Workload(), path or None)
        about = {
            "name": subject.name,
            "parameters_m": {part: round(count, 2) for part, count in subject.parameters.items()},
            "precision": subject.precision,
            "columns": list(subject.calls),
        }
        print(json.dumps(about), file=answers, flush=True)
        matrix = torch.ones(MATMUL, MATMUL)
        groups: dict[str, int] = {}
        for line in sys.stdin:
            column = line.strip()
            call = subject.calls[column]
            if column not in groups:  # the first call warms up, and is no measure of the others
                first, _ = timed(call, 1)
                again = timed(call, 1)[0] if first < 1e3 * GROUP_S else first
                groups[column] = max(1, int(1e3 * GROUP_S / again))
            check, _ = timed(lambda: matrix @ matrix, 8)
            wall, cpu = timed(call, groups[column])
            row = {"wall_ms": wall, "cpu_ms": cpu, "matmul_ms": check, "held_mb": held_mb()}
            print(json.dumps(row), file=answers, flush=True)


if __name__ == "__main__":
    main()
