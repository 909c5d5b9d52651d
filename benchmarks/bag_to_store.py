"""Frames a second from a recorded bag to a training store: ``python benchmarks/bag_to_store.py``.

Drives the embedded simulator, writes what its bridge would publish into a bag, with a camera of
``--pixels`` raw or as JPEG, and turns that into a store. Prints one JSON object. CPU time of one
process, so that other load on the machine distorts little; wall time beside it.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage

from wm_perception.frame import SceneFrame
from wm_perception.node_tools import header
from wm_perception.topics import topic
from wm_sim import bridge_messages as build
from wm_sim.bridge_objects import object_arrays
from wm_sim.bridge_sensor_messages import rgb_image
from wm_sim.expert import Expert
from wm_sim.simulator import Simulator
from wm_training.bag_frames import Sources
from wm_training.bag_writer import BagWriter
from wm_training.from_bag import BuildOptions, convert

ROLE = "hero"
FRAMES = 450  # of a drive; no route of the town ends earlier
CAMERA_TOPICS = {
    "raw": ("/camera/image", "sensor_msgs/msg/Image"),
    "jpeg": ("/camera/image/compressed", "sensor_msgs/msg/CompressedImage"),
}


class Recorder:
    """Writes drives into one bag, one after the other."""

    def __init__(self, path: Path, camera: str, pixels: int):
        self._writer, self._camera, self._now_ns = BagWriter(path), camera, 0
        small = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        self._picture = cv2.resize(small, (pixels, pixels), interpolation=cv2.INTER_CUBIC)
        self._jpeg = cv2.imencode(".jpg", self._picture)[1].tobytes()

    def _put(self, name: str, kind: str, message) -> None:
        if name not in self._writer.counts:
            self._writer.add_topic(name, kind)
        self._writer.write(name, self._now_ns, serialize_message(message))

    def _part(self, key: str, message) -> None:
        self._put(topic(key).name(ROLE), topic(key).type_name, message)

    def drive(self, simulator: Simulator, route: int, traffic: int) -> None:
        """One route, as the bridge publishes it."""
        scene = simulator.start_route(route, seed=route, traffic=traffic)
        expert = Expert()
        expert.reset(scene, seed=route)
        frame = simulator.frame()
        self._part("map", build.map_text(scene.town.opendrive))
        self._part("traffic_lights_info", build.light_info(scene.lights))
        self._part("waypoints", build.path(scene.route, self._now_ns))
        for _ in range(FRAMES):
            self._frame(replace(frame, stamp_ns=self._now_ns), simulator.ego_id)
            frame = simulator.step(expert.drive(frame))
            self._now_ns += round(simulator.frame_dt * 1e9)

    def _frame(self, frame: SceneFrame, ego_id: int) -> None:
        stamp = frame.stamp_ns
        self._part("traffic_lights_status", build.light_status(frame.light_states))
        self._part("speedometer", build.speedometer(frame.ego))
        self._part("vehicle_status", build.vehicle_status(stamp, frame.ego))
        still = np.zeros((len(frame.objects), 2))
        self._part("objects", object_arrays(frame, ego_id, 1, still, stamp)[0])
        if self._camera == "raw":
            self._put(*CAMERA_TOPICS["raw"], rgb_image(header(stamp), self._picture))
        elif self._camera == "jpeg":
            message = CompressedImage(header=header(stamp), format="jpeg", data=self._jpeg)
            self._put(*CAMERA_TOPICS["jpeg"], message)
        self._part("odometry", build.odometry(stamp, frame.ego, ROLE))

    def close(self) -> None:
        """Finish the bag."""
        self._writer.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--routes", type=int, default=6)
    parser.add_argument("--traffic", type=int, default=20)
    parser.add_argument("--camera", choices=("none", "raw", "jpeg"), default="raw")
    parser.add_argument("--pixels", type=int, default=128)
    arguments = parser.parse_args()
    cameras = {}
    if arguments.camera != "none":
        cameras["front"] = CAMERA_TOPICS[arguments.camera][0]
    simulator = Simulator("val01")
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(Path(folder, "bag"), arguments.camera, arguments.pixels)
        for route in range(arguments.routes):
            recorder.drive(simulator, route, arguments.traffic)
        recorder.close()
        options = BuildOptions(
            Sources(cameras=cameras, image_size=(arguments.pixels, arguments.pixels))
        )
        cpu, wall = time.process_time(), time.perf_counter()
        report = convert(Path(folder, "bag"), Path(folder, "store"), options)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    simulator.close()
    result = {
        "frames": report.frames,
        "used": report.used,
        "camera": f"{arguments.camera} {arguments.pixels} px",
        "traffic": arguments.traffic,
        "frames_per_cpu_s": round(report.frames / cpu),
        "frames_per_s": round(report.frames / wall),
        "machine": platform.processor() or platform.machine(),
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
