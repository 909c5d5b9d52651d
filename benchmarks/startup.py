"""What perception, planner and gate weigh, and how soon they drive.

    python benchmarks/startup.py --json runs/startup.json

The embedded simulator is up and runs by the wall clock, as a vehicle does. Then the nodes and the
manager are started, and what is measured is the wall time until the first proposal and until the
first command after it, and the resident memory of each process: now, and the most there ever was
(VmRSS and VmHWM of /proc).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from wm_planner.launcher import Launcher
from wm_planner.node_table import drive_options, node_table, resolve_model
from wm_planner.process import node_environment

PATIENCE_S = 60.0
AHEAD_S = 8.0  # frames that the simulator has published before anybody listens
RUN_S = 20.0  # driven before memory is read
BOUND_MB, BOUND_S = 250.0, 3.0
NODES = ("perception", "planner", "gate")


def memory_mb(process: int) -> dict[str, float]:
    """Resident memory of a process now and at most, MB; its CPU time so far, s."""
    status = Path(f"/proc/{process}/status").read_text()
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    ticks = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return {
        "now_mb": round(int(lines["VmRSS"].split()[0]) / 1024, 1),
        "most_mb": round(int(lines["VmHWM"].split()[0]) / 1024, 1),
        "cpu_s": round(sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"), 2),
    }


def measure(model: str, town: str, work: Path) -> dict:
    """Start everything once."""
    os.environ.update(node_environment(work / "ros"))
    import rclpy

    from wm_perception.node_tools import create_node, subscription

    options = drive_options({"model": model, "town": town, "synchronous": False})
    specs = node_table(options, resolve_model(options, work))
    source = [spec for spec in specs if spec.key == "bridge"]
    stack = [spec for spec in specs if spec.key in (*NODES, "manager")]
    first: dict[str, float] = {}

    def note(key: str):
        def take(message) -> None:
            if key == "control_proposal" or "control_proposal" in first:
                first.setdefault(key, time.monotonic())

        return take

    rclpy.init(args=[])
    node = create_node("wm_startup_benchmark")
    for key in ("odometry", "control_proposal", "vehicle_control_cmd"):
        subscription(node, key, options.role_name, note(key))
    frames = []
    subscription(node, "odometry", options.role_name, lambda message: frames.append(1))

    def spin_for(seconds: float, done=lambda: False) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not done():
            rclpy.spin_once(node, timeout_sec=0.02)

    with Launcher(source, work / "source") as world, Launcher(stack, work / "stack") as nodes:
        world.start()
        spin_for(PATIENCE_S, lambda: bool(frames))
        spin_for(AHEAD_S)
        begin = time.monotonic()
        nodes.start()
        spin_for(PATIENCE_S, lambda: "vehicle_control_cmd" in first)
        started = {key: memory_mb(nodes.processes[key].pid)["cpu_s"] for key in NODES}
        spin_for(RUN_S)
        nodes.check()
        weights = {key: memory_mb(nodes.processes[key].pid) for key in NODES}
    node.destroy_node()
    rclpy.shutdown()
    return {
        "start_to_first_proposal_s": round(first["control_proposal"] - begin, 2),
        "start_to_first_command_s": round(first["vehicle_control_cmd"] - begin, 2),
        "cpu_s_until_first_command": started,
        "memory": weights,
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["driving-bev", "driving-camera"])
    parser.add_argument("--town", default="val01")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    found = {"load_before": round(os.getloadavg()[0], 2)}
    for model in arguments.models:
        with tempfile.TemporaryDirectory() as work:
            found[model] = facts = measure(model, arguments.town, Path(work))
        most = max(weight["most_mb"] for weight in facts["memory"].values())
        print(f"{model}: first command after {facts['start_to_first_command_s']} s (bound "
              f"{BOUND_S:g}), most memory {most} MB (bound {BOUND_MB:g})")  # fmt: skip
        print(f"  {facts}")
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
