"""How long a training step takes, beside other PyTorch Dreamers on the same machine.

``python benchmarks/train_step.py --json F`` measures this project and TorchRL's DreamerV3 (from
PyPI); ``--r2dreamer PATH`` and ``--dreamerv3-torch PATH`` add those, from a copy of their source
that the user has. Each system is a process of its own; they take turns, one repetition of one
column at a time, so that other load on the machine meets all of them alike. Medians over the
rounds; ``--curves F`` trains this project and TorchRL on the same pictures instead and compares
what they learn, see ``train_step_curves.py``.

Columns: ``act`` one observation to one action; ``rssm`` recurrence and KL, forward and backward,
embeddings given; ``imagine`` the actor's futures from every posterior, no gradients;
``world_model`` and ``behavior`` one update each, with optimiser; ``behavior_dynamics`` the same
with gradients through the imagined steps.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
from pathlib import Path

from train_step_worker import MATMUL

HERE = Path(__file__).parent
BEGIN, END = "<!-- speed -->\n", "<!-- /speed -->"
COLUMNS = ("act", "rssm", "imagine", "world_model", "behavior")
Rows = dict[str, dict[str, list[dict[str, float]]]]  # column -> subject -> repetitions


class Worker:
    """A subject's process, or one after another of them.

    Args:
        name: of the subject.
        threads: that it computes with.
        quick: take the small workload.
        path: folder of its source, or None.
        memory_mb: a process that holds more than this after a repetition ends; the next
            repetition has a new one.
    """

    def __init__(self, name: str, threads: int, quick: bool, path: Path | None, memory_mb: float):
        self.name, self.memory_mb = name, memory_mb
        self.command = [sys.executable, str(HERE / "train_step_worker.py"), name, str(threads)]
        self.command += [str(int(quick)), str(path.resolve()) if path else ""]
        self.environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        self.about = self._start()

    def run(self, column: str) -> dict[str, float]:
        """One repetition of one column."""
        if self.process.poll() is not None:
            self._start()
        assert self.process.stdin is not None, "opened as a pipe"
        with contextlib.suppress(BrokenPipeError):  # the missing answer says it
            self.process.stdin.write(column + "\n")
            self.process.stdin.flush()
        answer = self._answer()
        if answer["held_mb"] > self.memory_mb:
            self.close()
        return answer

    def close(self) -> None:
        """Let the process end."""
        if self.process.poll() is None:
            self.process.communicate(timeout=60)

    def _start(self) -> dict:
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=self.environment,
        )  # fmt: skip
        return self._answer()

    def _answer(self) -> dict:
        assert self.process.stdout is not None, "opened as a pipe"
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            what = f"was killed by signal {-status}" if status < 0 else f"ended with {status}"
            hint = "; out of memory? try a lower --memory-mb" if status == -signal.SIGKILL else ""
            raise SystemExit(f"{self.name} {what}{hint}: {' '.join(self.command)}")
        return json.loads(line)


def measure(workers: dict[str, Worker], rounds: int) -> Rows:
    """All columns of all subjects, taking turns."""
    columns = list(dict.fromkeys(c for w in workers.values() for c in w.about["columns"]))
    rows: Rows = {column: {} for column in columns}
    for turn in range(rounds):
        print(f"round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
        for column in columns:
            for name, worker in workers.items():
                if column in worker.about["columns"]:
                    rows[column].setdefault(name, []).append(worker.run(column))
    return rows


def median(rows: list[dict[str, float]], key: str) -> float:
    """Over the repetitions."""
    return statistics.median(row[key] for row in rows)


def summarise(rows: Rows, workers: dict[str, Worker], threads: int) -> dict:
    """The JSON document."""
    keys = ("wall_ms", "cpu_ms", "matmul_ms")
    medians = {
        column: {name: {key: round(median(x, key), 3) for key in keys} for name, x in each.items()}
        for column, each in rows.items()
    }
    ours, peers = workers["ours"].about, {k: w.about for k, w in workers.items() if k != "ours"}

    def speedup(column: str, peer: str, key: str) -> float:
        return round(medians[column][peer][key] / medians[column]["ours"][key], 2)

    def fastest(column: str, key: str) -> float:
        published = [
            p for p in medians[column] if p not in ("ours", "ours_float32", "torchrl_bf16")
        ]
        return min(speedup(column, peer, key) for peer in published)

    return {
        "world_model_speedup_vs_torchrl": speedup("world_model", "torchrl", "wall_ms"),
        "behavior_speedup_vs_torchrl": speedup("behavior", "torchrl", "wall_ms"),
        "world_model_ms": medians["world_model"]["ours"]["wall_ms"],
        "behavior_ms": medians["behavior"]["ours"]["wall_ms"],
        "precision": ours["precision"],
        "speedup_vs_torchrl": {c: speedup(c, "torchrl", "wall_ms") for c in COLUMNS},
        "cpu_time_speedup_vs_torchrl": {c: speedup(c, "torchrl", "cpu_ms") for c in COLUMNS},
        "speedup_vs_fastest_peer": {c: fastest(c, "wall_ms") for c in COLUMNS},
        "cpu_time_speedup_vs_fastest_peer": {c: fastest(c, "cpu_ms") for c in COLUMNS},
        "columns": medians,
        "ours": ours,
        "peers": peers,
        "threads": threads,
        "rounds": len(rows["act"]["ours"]),
        "torch": importlib.metadata.version("torch"),
        "processor": processor(),
        "matmul_ms": statistics.median(
            row["matmul_ms"] for each in rows.values() for x in each.values() for row in x
        ),
        "others_load": round(os.getloadavg()[0], 2),
    }


def processor() -> str:
    """Model name and number of CPUs."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} CPUs ({names[0].strip() if names else platform.machine()})"


def table(document: dict) -> str:
    """Markdown: wall milliseconds, CPU time in brackets."""
    columns = list(document["columns"])
    about = {"ours": document["ours"], **document["peers"]}
    lines = [
        "| system (M parameters: world model + behaviour) | " + " | ".join(columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name, facts in about.items():
        sizes = " + ".join(f"{x:.1f}" for x in facts["parameters_m"].values())
        cells = []
        for column in columns:
            cell = document["columns"][column].get(name)
            digits = 2 if column == "act" else 0
            cells.append(
                f"{cell['wall_ms']:.{digits}f} [{cell['cpu_ms']:.{digits}f}]" if cell else ""
            )
        lines.append(f"| {name} ({sizes}), {facts['precision'].split()[0]} | {' | '.join(cells)} |")
    for label, key in (
        ("faster than TorchRL", "speedup_vs_torchrl"),
        ("faster than the fastest of them", "speedup_vs_fastest_peer"),
    ):
        wall, cpu = document[key], document[f"cpu_time_{key}"]
        cells = [f"{wall[c]:.1f} [{cpu[c]:.1f}]" if c in wall else "" for c in columns]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Milliseconds, medians of {document['rounds']} rounds, {document['threads']} threads; in "
        f"brackets CPU time of all threads. {document['processor']}, torch {document['torch']}; "
        f"load {document['others_load']}, a {MATMUL}³ product before each call "
        f"{document['matmul_ms']:.2f} ms.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, help="file to write")
    parser.add_argument("--r2dreamer", type=Path, help="folder of NM512/r2dreamer")
    parser.add_argument("--dreamerv3-torch", type=Path, help="folder of NM512/dreamerv3-torch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--memory-mb", type=float, default=3000.0,
        help="a subject that holds more goes on in a new process",
    )  # fmt: skip
    parser.add_argument("--fair", action="store_true", help="also ours in float32, TorchRL in bf16")
    parser.add_argument("--write", type=Path, help="page to put the table in")
    parser.add_argument("--quick", action="store_true", help="a small workload, to try it out")
    parser.add_argument(
        "--curves", type=Path, help="compare what is learned instead; JSON to write"
    )
    arguments = parser.parse_args()
    if arguments.curves:
        from train_step_curves import compare

        compare(arguments.curves, arguments.threads, arguments.quick)
        return
    paths: dict[str, Path | None] = {"ours": None, "torchrl": None}
    if arguments.fair:
        paths |= {"ours_float32": None, "torchrl_bf16": None}
    given = {"r2dreamer": arguments.r2dreamer, "dreamerv3-torch": arguments.dreamerv3_torch}
    paths |= {name: path for name, path in given.items() if path}
    workers = {
        name: Worker(name, arguments.threads, arguments.quick, path, arguments.memory_mb)
        for name, path in paths.items()
    }
    rows = measure(workers, arguments.rounds)
    document = summarise(rows, workers, arguments.threads)
    for worker in workers.values():
        worker.close()
    text = table(document)
    print(text)
    if arguments.json:
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    if arguments.write:
        before, rest = arguments.write.read_text().split(BEGIN)
        arguments.write.write_text(before + BEGIN + text + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
