"""Speed of the built-in simulator: ``python benchmarks/sim.py [--json F] [--peers]``.

Each part is measured in a process of its own, on one thread. Rates are simulator steps of 0.1 s per
second of CPU time of the whole process but the driver, so that other load distorts little: medians
over episodes of up to 400 steps. The drive over ROS is wall time. 40 cars, the expert drives.
``--peers`` measures MetaDrive and
highway-env in the same run; it makes an environment for them in ``runs/peers``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
import venv
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PEERS = ("metadrive-simulator==0.4.3", "highway-env==1.12.1")
TOWN, CARS, ROUTES = "train01", 40, 6
ROS_SECONDS = 15.0


def _drive(camera_px: int, steps: int) -> dict[str, float]:
    """Steps per CPU second with a 64 px BEV painted at every step, and the resets in between."""
    from wm_perception.bev import BevPainter
    from wm_perception.route import RouteTracker
    from wm_sim.camera import CameraConfig
    from wm_sim.expert import Expert
    from wm_sim.simulator import Simulator

    camera = CameraConfig(camera_px, camera_px, samples=0) if camera_px else None
    simulator = Simulator(TOWN, camera=camera)
    expert = Expert()
    resets: list[float] = []
    alone: list[float] = []  # steps per CPU second of each episode, without and with the driver
    together: list[float] = []
    done = route = 0
    while done < steps:
        start = time.perf_counter()
        scene = simulator.start_route(route % ROUTES, seed=route, traffic=CARS)
        resets.append(1e3 * (time.perf_counter() - start))
        route += 1
        expert.reset(scene)
        painter, tracker = BevPainter(scene), RouteTracker(scene.route)
        frame = simulator.frame()
        simulated = driven = 0.0
        first = done
        for _ in range(min(400, steps - done)):
            before = time.process_time()
            command = expert.drive(frame)
            between = time.process_time()
            frame = simulator.step(command)
            s = tracker.update(frame.ego.pose).s
            painter.paint(frame, s)
            simulated += time.process_time() - between
            driven += between - before
            done += 1
            if frame.collided or s > scene.route.length_m - 10.0:
                break
        alone.append((done - first) / simulated)
        together.append((done - first) / (simulated + driven))
    simulator.close()
    return {
        "steps_per_cpu_s": round(float(np.median(alone)), 1),
        "with_expert_steps_per_cpu_s": round(float(np.median(together)), 1),
        "slowest_episode": round(min(alone), 1),
        "fastest_episode": round(max(alone), 1),
        "reset_ms": round(float(np.median(resets[1:])), 1),  # the first one starts SUMO
        "first_reset_ms": round(resets[0], 1),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _over_ros() -> dict[str, float]:
    """Frames a wall second in lockstep: bridge with camera, expert node, and a node that looks."""
    import rclpy
    from rclpy.qos import qos_profile_sensor_data

    from wm_perception.topics import topic

    rclpy.init()
    node = rclpy.create_node("sim_benchmark")
    frames, images = [], []
    odometry, image = topic("odometry"), topic("image")
    node.create_subscription(
        odometry.message_type(),
        odometry.name(),
        lambda message: frames.append(time.monotonic()),
        odometry.subscriber_qos(),
    )
    node.create_subscription(
        image.message_type(),
        image.name(),
        lambda message: images.append(len(message.data)),
        qos_profile_sensor_data,
    )
    bridge = ["-p", f"town:={TOWN}", "-p", f"traffic:={CARS}", "-p", "camera_width:=128",
              "-p", "camera_height:=128"]  # fmt: skip
    nodes = [
        subprocess.Popen(
            [sys.executable, "-m", f"wm_sim.{module}", "--ros-args", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for module, arguments in (("bridge_node", bridge), ("expert_node", []))
    ]
    try:
        deadline = time.monotonic() + 60.0
        while len(images) < 20 and time.monotonic() < deadline:
            rclpy.spin_once(node, timeout_sec=0.1)
        first, seen = len(frames), len(images)
        end = time.monotonic() + ROS_SECONDS
        while time.monotonic() < end:
            rclpy.spin_once(node, timeout_sec=0.1)
    finally:
        for process in nodes:
            process.terminate()
        for process in nodes:
            process.wait(20.0)
        node.destroy_node()
        rclpy.shutdown()
    periods = np.diff(frames[first:])
    return {
        "fps": round(len(periods) / ROS_SECONDS, 1),
        "images_per_s": round((len(images) - seen) / ROS_SECONDS, 1),
        "frame_ms_p50": round(1e3 * float(np.median(periods)), 2),
        "frame_ms_p99": round(1e3 * float(np.percentile(periods, 99)), 2),
    }


PARTS = {
    "bev64": lambda: _drive(0, 4000),
    "camera128": lambda: _drive(128, 1200),
    "ros": _over_ros,
}


def _measure(part: str) -> dict[str, float]:
    """Run one part in a process of its own."""
    environment = {
        **os.environ,
        **{"OMP_NUM_THREADS": "1", "LP_NUM_THREADS": "1", "AMENT_PREFIX_PATH": sys.prefix},
        "ROS_DOMAIN_ID": str(100 + os.getpid() % 100),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }
    done = subprocess.run(
        [sys.executable, __file__, "--part", part], env=environment, stdout=subprocess.PIPE,
        text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def _peers() -> dict:
    """The peers, in their own environment (made once)."""
    folder = ROOT / "runs" / "peers"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    installed = subprocess.run(
        [python, "-m", "pip", "install", "-q", *PEERS], capture_output=True, text=True
    )
    if installed.returncode:
        return {"error": installed.stderr.strip().splitlines()[-1]}
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in ("LD_LIBRARY_PATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE")
    }
    done = subprocess.run(
        [python, ROOT / "benchmarks" / "sim_peers.py"], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, env={**environment, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, help="write the report here too")
    parser.add_argument("--peers", action="store_true", help="measure MetaDrive and highway-env")
    parser.add_argument("--part", choices=PARTS, help="measure only this, in this process")
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps(PARTS[arguments.part]()))
        return
    parts = {part: _measure(part) for part in PARTS}
    report = {
        "bev64_steps_per_cpu_s": parts["bev64"]["steps_per_cpu_s"],
        "camera128_steps_per_cpu_s": parts["camera128"]["steps_per_cpu_s"],
        "reset_ms": parts["bev64"]["reset_ms"],
        "ros_camera_fps": parts["ros"]["fps"],
        "rss_mb": parts["camera128"]["rss_mb"],
        "parts": parts,
        "cars": CARS,
        "town": TOWN,
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
    }
    if arguments.peers:
        report["peers"] = _peers()
    text = json.dumps(report, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
