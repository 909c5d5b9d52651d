"""Writes recordings of a made-up drive, every topic at its own times."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from wm_perception.frame import Command, EgoState, LightState, SceneFrame
from wm_perception.node_tools import header
from wm_perception.topics import topic
from wm_sim import bridge_messages as build
from wm_sim.bridge_objects import object_arrays
from wm_training.bag_writer import BagWriter

ROLE = "hero"
WALL_NS = 1_700_000_000_000_000_000  # when the recording began
MAP = "<OpenDRIVE/>"


def ego(time_s: float) -> EgoState:
    """Where the vehicle is: it speeds up and slows down, and weaves."""
    return EgoState(
        5.0 + 5.0 * time_s - math.cos(time_s),
        0.3 * math.sin(time_s),
        0.1 * math.sin(time_s),
        5.0 + math.sin(time_s),
        yaw_rate_radps=0.1 * math.cos(time_s),
        accel_mps2=math.cos(time_s),
        command=Command(0.25, 0.5),
    )


class Recorder:
    """Writes a drive; every topic at its own times."""

    def __init__(self, path: Path, road):
        self._path, self._road = path, road
        self._messages: list[tuple[int, int, str, str, bytes]] = []

    def put(self, name: str, kind: str, time_s: float, message, delay_s: float = 0.0) -> None:
        raw = message if isinstance(message, bytes) else serialize_message(message)
        log_ns = WALL_NS + round((time_s + delay_s) * 1e9)
        self._messages.append((log_ns, len(self._messages), name, kind, raw))

    def rot(self, rng: np.random.Generator, share: float) -> None:
        """Change two bytes of a share of the messages, the map's left out."""
        for index, (log_ns, number, name, kind, raw) in enumerate(self._messages):
            if name == "/carla/map" or rng.uniform() > share:
                continue
            bad = bytearray(raw)
            for position in rng.integers(0, len(bad), 2):
                bad[position] = int(rng.integers(256))
            self._messages[index] = (log_ns, number, name, kind, bytes(bad))

    def close(self) -> None:
        """Write everything in the order in which it would have been recorded."""
        writer = BagWriter(self._path)
        for log_ns, _, name, kind, raw in sorted(self._messages):
            if name not in writer.counts:
                writer.add_topic(name, kind)
            writer.write(name, log_ns, raw)
        writer.close()

    def part(self, key: str, time_s: float, message, delay_s: float = 0.0) -> None:
        entry = topic(key)
        self.put(entry.name(ROLE), entry.type_name, time_s, message, delay_s)

    def scene(self) -> None:
        route = self._road.scene().route
        lights = self._road.scene().lights
        self.part("map", 0.0, build.map_text(MAP))
        self.part("traffic_lights_info", 0.0, build.light_info(lights))
        self.part("waypoints", 0.0, build.path(route, 0))
        green = {self._road.light: LightState.GREEN}
        self.part("traffic_lights_status", 0.0, build.light_status(green))

    def objects(self, time_s: float, delay_s: float = 0.0) -> None:
        stamp = round(time_s * 1e9)
        frame = SceneFrame(stamp, ego(time_s))
        array = object_arrays(frame, 9, 1, np.zeros((0, 2)), stamp)[0]
        self.part("objects", time_s, array, delay_s)

    def odometry(self, time_s: float, delay_s: float = 0.0) -> None:
        stamp = round(time_s * 1e9)
        self.part("odometry", time_s, build.odometry(stamp, ego(time_s), ROLE), delay_s)

    def status(self, time_s: float) -> None:
        message = build.vehicle_status(round(time_s * 1e9), ego(time_s))
        self.part("vehicle_status", time_s, message)

    def speed(self, time_s: float) -> None:
        self.part("speedometer", time_s, build.speedometer(ego(time_s)))

    def together(self, times) -> None:
        """As the bridge does it: one stamp for all, odometry last."""
        for time_s in times:
            self.speed(time_s - 3e-6)
            self.status(time_s - 0.0)
            self.objects(time_s, 2e-6)
            self.odometry(time_s, 3e-6)


def steps(count: int, dt: float = 0.1, start: float = 0.1) -> list[float]:
    return [start + dt * k for k in range(count)]


def colour(time_s: float, level: int) -> Image:
    """A 4 x 6 picture of one grey level."""
    message = Image(height=4, width=6, encoding="rgb8", step=18, data=[level] * 72)
    message.header = header(round(time_s * 1e9))
    return message
