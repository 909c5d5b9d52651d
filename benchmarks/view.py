"""What the live view costs: updates a second, the server's CPU, the planner's time beside it.

python benchmarks/view.py --seconds 20                 # simulator and server
python benchmarks/view.py --seconds 20 --planner       # the whole graph; with and without a watcher

Prints JSON. CPU is that of the server's process, from /proc. Planning is compared in turns of one
and the same run, alone and watched by turns, because it depends on what else the machine does: by
the time that a plan took (of all, and of the quickest tenth, which nothing held up), and by the CPU
time that the planner's process spent on it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

TURNS = 6
NAMED = (("alone", False), ("watched", True))
TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def server() -> Iterator[tuple[int, str]]:
    """``wm view`` as a process: its id and address."""
    command = [sys.executable, "-m", "wm_training.cli", "view", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        found = next(m for line in process.stdout if (m := re.search(r"http://\S+", line)))
        # What it logs later must not fill the pipe.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield process.pid, found[0]
    finally:
        process.terminate()
        process.wait(30)


def cpu_s(pid: int) -> float:
    """CPU time of a process, s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def watch(address: str, seconds: float, pid: int) -> dict[str, float]:
    """Watch as a page does; the first update does not count: it brings the town."""
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{address}live") as socket:
        updates = size = 0
        begin = cpu = 0.0
        while not begin or time.monotonic() < begin + seconds:
            message = await socket.receive(60.0)
            if message.type != aiohttp.WSMsgType.BINARY:
                continue
            await socket.send_str('{"got":1}')
            if not begin and b'"bev"' in message.data[:2000]:
                begin, cpu = time.monotonic(), cpu_s(pid)
            elif begin:
                updates += 1
                size += len(message.data)
        wall, used = time.monotonic() - begin, cpu_s(pid) - cpu
    return {
        "updates_per_s": updates / wall,
        "cpu_share_of_one_core": used / wall,
        "cpu_ms_per_update": 1e3 * used / max(1, updates),
        "kB_per_update": size / 1e3 / max(1, updates),
    }


def server_alone(seconds: float) -> dict[str, Any]:
    """Simulator in real time with traffic and camera, and the server."""
    values = {"town": "test01", "traffic": 30, "synchronous": "false", "camera": "true"}
    options = [part for k, v in values.items() for part in ("-p", f"{k}:={v}")]
    command = [sys.executable, "-m", "wm_sim.bridge_node", "--ros-args", *options]
    bridge = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        with server() as (pid, address):
            return asyncio.run(watch(address, seconds, pid))
    finally:
        bridge.terminate()
        bridge.wait(30)


def beside_the_planner(seconds: float, turns: int) -> dict[str, Any]:
    """The whole graph in lockstep; planning in turns with and without a watcher."""
    from wm_msgs.msg import PlanStatistics
    from wm_perception.topics import topic
    from wm_training.live import checked_options, live_graph

    times: list[float] = []
    pooled: dict[bool, list[float]] = {False: [], True: []}
    measured: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    found: list[dict[str, float]] = []
    options = checked_options({"town": "test01", "traffic": 30})
    with tempfile.TemporaryDirectory() as folder, live_graph(options, Path(folder)) as graph:
        entry = topic("plan_statistics")

        def note(message: PlanStatistics) -> None:
            times.append(float(message.plan_ms))

        graph._runner.node.create_subscription(
            PlanStatistics, entry.name(), note, entry.subscriber_qos(200)
        )
        planner = graph._launcher.processes["planner"].pid

        @contextmanager
        def turn(watched: bool) -> Iterator[None]:
            times.clear()
            cpu = cpu_s(planner)
            yield
            pooled[watched] += times
            measured[watched].append(
                {
                    "plan_ms": float(np.median(times)),
                    "cpu_ms_per_plan": 1e3 * (cpu_s(planner) - cpu) / len(times),
                }
            )

        with server() as (pid, address):
            graph.wait(seconds)  # warm
            for number in range(turns):
                # Which comes first changes, so that a slow drift of the machine cancels out.
                for watched in (number % 2 == 0, number % 2 == 1):
                    with turn(watched):
                        if watched:
                            found.append(_watch_beside(graph, address, seconds, pid))
                        else:
                            graph.wait(seconds)
    return {
        **{key: float(np.median([turn[key] for turn in found])) for key in found[0]},
        **{key: _compared(measured, key) for key in ("plan_ms", "cpu_ms_per_plan")},
        "plan_ms_quickest_tenth": {n: float(np.percentile(pooled[w], 10)) for n, w in NAMED},
        "plans": {n: len(pooled[w]) for n, w in NAMED},
    }


def _watch_beside(graph: Any, address: str, seconds: float, pid: int) -> dict[str, float]:
    """Watch in a thread while the graph's messages are taken here."""
    found: list[dict[str, float]] = []
    watching = threading.Thread(
        target=lambda: found.append(asyncio.run(watch(address, seconds, pid)))
    )
    watching.start()
    while watching.is_alive():
        graph.wait(0.2)
    return found[0]


def _compared(measured: dict[bool, list[dict[str, float]]], key: str) -> dict[str, Any]:
    """Medians over the turns, and the ratio watched to alone of each pair of turns."""
    alone, watched = (np.array([turn[key] for turn in measured[w]]) for w in (False, True))
    ratios = np.sort(watched / alone)
    return {
        **{name: float(np.median([t[key] for t in measured[w]])) for name, w in NAMED},
        "ratio_median": float(np.median(ratios)),
        "ratios": [round(float(r), 3) for r in ratios],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of a turn")
    parser.add_argument("--planner", action="store_true", help="the whole graph")
    parser.add_argument("--turns", type=int, default=TURNS, help="pairs, with --planner")
    arguments = parser.parse_args()
    if arguments.planner:
        found = beside_the_planner(arguments.seconds, arguments.turns)
    else:
        found = server_alone(arguments.seconds)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
