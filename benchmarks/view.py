"""What the live view costs: updates a second, the server's CPU, the planner's time beside it.

python benchmarks/view.py --seconds 20                 # simulator and server
python benchmarks/view.py --seconds 20 --planner       # the whole graph; with and without a watcher

Prints JSON. CPU is that of the server's process, from /proc. Planning times are compared in turns
of one and the same run, because they depend on what else the machine does.
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

TURNS = 3
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


def beside_the_planner(seconds: float) -> dict[str, Any]:
    """The whole graph in lockstep; planning times in turns with and without a watcher."""
    from wm_msgs.msg import PlanStatistics
    from wm_perception.topics import topic
    from wm_training.live import checked_options, live_graph

    times: dict[bool, list[float]] = {False: [], True: []}
    watched, found = threading.Event(), []
    options = checked_options({"town": "test01", "traffic": 30})
    with tempfile.TemporaryDirectory() as folder, live_graph(options, Path(folder)) as graph:
        entry = topic("plan_statistics")

        def note(message: PlanStatistics) -> None:
            times[watched.is_set()].append(float(message.plan_ms))

        graph._runner.node.create_subscription(
            PlanStatistics, entry.name(), note, entry.subscriber_qos(200)
        )
        with server() as (pid, address):
            for _ in range(TURNS):
                graph.wait(seconds)
                watched.set()
                turn = threading.Thread(
                    target=lambda: found.append(asyncio.run(watch(address, seconds, pid)))
                )
                turn.start()
                while turn.is_alive():
                    graph.wait(0.2)
                watched.clear()
    medians = {name: float(np.median(times[name == "watched"])) for name in ("alone", "watched")}
    return {
        **{key: float(np.mean([turn[key] for turn in found])) for key in found[0]},
        "plan_ms_median": medians,
        "plan_ms_ratio": medians["watched"] / medians["alone"],
        "plans": {name: len(times[name == "watched"]) for name in ("alone", "watched")},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of a turn")
    parser.add_argument("--planner", action="store_true", help="the whole graph")
    arguments = parser.parse_args()
    measure = beside_the_planner if arguments.planner else server_alone
    print(json.dumps(measure(arguments.seconds), indent=1))


if __name__ == "__main__":
    main()
