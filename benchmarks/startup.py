"""What perception, planner and gate weigh, and how soon they drive.

    python benchmarks/startup.py --json runs/startup.json

The embedded simulator is up and paused. Then the nodes and the manager are started, and as soon as
all are active a route begins, as ``wm drive`` does it. Measured are the wall time from their start
until all are active, and from the first frame until the first command that follows a proposal; what
the simulator takes to make town and traffic lies between the two and is given apart. And the
resident memory of each process: after a while of driving, and the most there ever was (VmRSS and
VmHWM of /proc).
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
from wm_training.live import wait_until_active
from wm_training.suites import RouteTask

PATIENCE_S = 60.0
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

    from wm_perception.node_tools import subscription
    from wm_training.route_runner import RouteRunner

    options = drive_options(
        {"model": model, "town": town, "synchronous": False, "wait_for_start": True}
    )
    specs = node_table(options, resolve_model(options, work))
    source = [spec for spec in specs if spec.key == "bridge"]
    stack = [spec for spec in specs if spec.key in (*NODES, "manager")]
    first: dict[str, float] = {}
    spent: dict[str, float] = {}

    def on_odometry(message) -> None:
        first.setdefault("frame", time.monotonic())

    def on_proposal(message) -> None:
        first.setdefault("proposal", time.monotonic())

    def on_command(message) -> None:
        if "proposal" in first and "command" not in first:
            first["command"] = time.monotonic()
            spent.update({key: memory_mb(nodes.processes[key].pid)["cpu_s"] for key in NODES})

    rclpy.init(args=[])
    runner = RouteRunner(options.role_name, plans=True)
    subscription(runner.node, "odometry", options.role_name, on_odometry)
    subscription(runner.node, "control_proposal", options.role_name, on_proposal)
    subscription(runner.node, "vehicle_control_cmd", options.role_name, on_command)
    with Launcher(source, work / "source") as world, Launcher(stack, work / "stack") as nodes:
        world.start()
        runner.wait_for_simulator(PATIENCE_S, world.check)
        begin = time.monotonic()
        nodes.start()
        wait_until_active(runner, nodes.check)
        active = time.monotonic()
        runner.run(RouteTask(town, 0, 20, 0, RUN_S), nodes.check, lambda percent: None)
        weights = {key: memory_mb(nodes.processes[key].pid) for key in NODES}
    runner.close()
    answered = first["command"] - first["frame"]
    return {
        "start_to_active_s": round(active - begin, 2),
        "first_frame_to_command_s": round(answered, 3),
        "start_to_first_command_s": round(active - begin + answered, 2),
        "simulator_makes_route_s": round(first["frame"] - active, 2),
        "cpu_s_until_first_command": spent,
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
