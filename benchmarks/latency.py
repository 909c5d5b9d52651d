"""How long it takes from a camera picture to the command that answers it, over ROS.

    python benchmarks/latency.py --json runs/latency.json

Starts the nodes of ``wm drive`` with the camera model, the embedded simulator paced by the wall
clock at 20 pictures a second, and follows every frame by the middleware's own stamps, see
``wm_perception/latency.py``. Simulator, renderer and nodes share this machine's cores. Other load
on the machine is measured with it: the JSON says how much there was.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import tempfile
from pathlib import Path

from wm_perception.latency import summary
from wm_planner.config_files import read_parameters, write_parameters
from wm_planner.node_table import drive_options
from wm_planner.paths import shared_dir
from wm_training.live import live_graph
from wm_training.suites import RouteTask

RATED = ("bridge.yaml", "perception.yaml", "planner.yaml")  # that know the frame rate
WANTED_MS = 80.0


def config_at(folder: Path, rate_hz: float) -> Path:
    """The shipped parameter files at another frame rate, in ``folder``."""
    shutil.copytree(shared_dir("config"), folder)
    for name in RATED:
        values = read_parameters(folder / name)
        write_parameters(folder / name, {**values, "frame_dt": 1.0 / rate_hz})
    return folder


def main() -> None:
    """Drive for a while, print and write what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="driving-camera", help="name or directory")
    parser.add_argument("--town", default="val01")
    parser.add_argument("--traffic", type=int, default=20)
    parser.add_argument("--rate", type=float, default=20.0, help="pictures a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="at most, simulated and real")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as work:
        folder = config_at(Path(work) / "config", arguments.rate)
        options = drive_options(
            {
                "model": arguments.model,
                "town": arguments.town,
                "traffic": arguments.traffic,
                "synchronous": False,
                "wait_for_start": True,
                "config_dir": str(folder),
            }
        )
        task = RouteTask(arguments.town, 0, arguments.traffic, 0, arguments.seconds)
        with live_graph(options, Path(work) / "run") as graph:
            drive = graph.drive(task, lambda percent: None)
    stages = summary(drive.stages_ms)
    found = {
        "camera_to_command_ms_p50": round(stages["camera_to_command"]["p50"], 2),
        "camera_to_command_ms_p99": round(stages["camera_to_command"]["p99"], 2),
        "frames": stages["camera_to_command"]["frames"],
        "frames_driven": round(arguments.rate * drive.result.duration_s),
        "model": arguments.model,
        "rate_hz": arguments.rate,
        "stages": stages,
        "cores": len(os.sched_getaffinity(0)),
        "machine": platform.processor() or platform.machine(),
        "priority": os.getpriority(os.PRIO_PROCESS, 0),
        "load_before": round(load_before, 2),
    }
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    for name, stage in stages.items():
        print(f"{name:22} p50 {stage['p50']:6.1f}  p99 {stage['p99']:6.1f} ms, "
              f"{stage['frames']} frames")  # fmt: skip
    met = found["camera_to_command_ms_p99"] <= WANTED_MS
    print(f"p99 {'within' if met else 'beyond'} {WANTED_MS:g} ms; load before {load_before:.1f}")


if __name__ == "__main__":
    main()
