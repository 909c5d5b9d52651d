"""A frame source without SUMO: a car that moves as commanded, lights that change every frame."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.frame import (
    Command,
    Contact,
    EgoState,
    LightBox,
    LightState,
    ObjectClass,
    Objects,
    SceneFrame,
)
from wm_perception.route import Route
from wm_sim.actors import Actor
from wm_sim.gnss import GnssReading
from wm_sim.imu import ImuReading

DT_NS = 100_000_000
LIGHTS = (LightBox(3, (20.0, 1.0), 0.5, 4.0, 3.0),)
EGO_ID = 1_000_000
PIXELS = np.full((4, 6, 3), (10, 20, 30), np.uint8)


def light_at(stamp_ns: int) -> LightState:
    """The state of light 3 in the frame of a stamp."""
    return LightState(stamp_ns // DT_NS % 3)


class FakeSource:
    """Stands where the simulator stands; time starts again with every episode."""

    ego_id = EGO_ID

    def __init__(self, town: str = "", frame_dt: float = 0.1, rig=None):
        self.town = SimpleNamespace(name="fake", opendrive="<OpenDRIVE/>", strips=[])
        self.town_name = "fake"
        self.scenery = SimpleNamespace(
            boxes=np.array([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.5]]), tags=np.array([1], np.uint8)
        )
        self.scene = None
        self.autopilot = False
        self.commands: list[Command] = []
        self.episodes: list[tuple] = []
        self.reads: list[str] = []
        self.mounted = {spec.id: spec for spec in rig.sensors} if rig is not None else {}
        self.calls: list[tuple] = []
        self.closed = False
        self._frame: SceneFrame | None = None

    def start_route(self, route_index: int, seed: int, traffic: int, suite: str, world):
        self.episodes.append((route_index, seed, traffic, suite, world))
        y = 50.0 * route_index
        self._frame = self._at(0, EgoState(0.0, y, 0.0, 0.0))
        return self.reroute(Route(np.array([[0.0, y], [120.0, y]])))

    def reroute(self, route: Route):
        self.scene = SimpleNamespace(town=self.town, route=route, lights=LIGHTS)
        return self.scene

    def _at(self, stamp_ns: int, ego: EgoState) -> SceneFrame:
        others = Objects(
            np.array([7]),
            np.array([[30.0, 3.0, 0.1]]),
            np.array([[1.0 + stamp_ns / DT_NS, -2.0]]),
            np.array([[4.0, 2.0]]),
            np.array([ObjectClass.TRUCK], np.uint8),
            np.array([2.5]),
        )
        collided = stamp_ns == 2 * DT_NS
        return SceneFrame(
            stamp_ns=stamp_ns,
            ego=ego,
            objects=others,
            light_states={3: light_at(stamp_ns)},
            collided=collided,
            crossed_markings=(2,) if stamp_ns == 3 * DT_NS else (),
            contact=Contact(7, ObjectClass.TRUCK, (-3.0, 4.0)) if collided else None,
        )

    def frame(self) -> SceneFrame:
        return self._frame

    def step(self, command: Command) -> SceneFrame:
        self.commands.append(command)
        ego = self._frame.ego
        speed = max(0.0, ego.speed_mps + 0.3 * command.accel)
        moved = EgoState(
            ego.x + 0.1 * speed,
            ego.y,
            0.2 * command.steer,
            speed,
            yaw_rate_radps=0.5 * command.steer,
            accel_mps2=3.0 * command.accel,
            command=command,
        )
        self._frame = self._at(self._frame.stamp_ns + DT_NS, moved)
        return self._frame

    def actors(self):
        return [Actor(EGO_ID, "vehicle.tesla.model3", "ego_vehicle"), Actor(7, "vehicle.truck")]

    def read(self, sensor_id: str):
        self.reads.append(sensor_id)
        kind = self.mounted[sensor_id].type
        if kind == "sensor.camera.depth":
            return np.full((4, 6), 12.5, np.float32)
        if kind == "sensor.camera.semantic_segmentation":
            return np.full((4, 6), 7, np.uint8)
        if kind.startswith("sensor.camera"):
            return PIXELS
        if kind == "sensor.other.imu":
            return ImuReading(np.array([1.0, 2.0, 9.81]), np.array([0.1, 0.2, 0.3]), (0, 0, 0, 1))
        if kind == "sensor.other.gnss":
            return GnssReading(1.5, 2.5, 3.5)
        return np.array([[1.0, 2.0, 3.0, 0.5]], np.float32)

    def mount(self, spec) -> None:
        if spec.attributes.get("bad"):
            raise UserError("an impossible attribute")
        self.mounted[spec.id] = spec

    def unmount(self, sensor_id: str) -> None:
        del self.mounted[sensor_id]

    def spawn(self, blueprint, x, y, yaw, role="", attributes=None) -> int:
        self.calls.append(("spawn", blueprint, x, y, yaw, role))
        return 200_000

    def destroy(self, actor_id: int) -> bool:
        return actor_id == 200_000

    def walk(self, actor_id: int, direction: float, speed_mps: float) -> None:
        if not np.isfinite(direction):
            raise UserError("direction must be a finite number")
        self.calls.append(("walk", actor_id, direction, speed_mps))

    def teleport(self, x, y, yaw) -> None:
        self.calls.append(("teleport", x, y, yaw))

    def push(self, vx, vy, yaw_rate) -> None:
        self.calls.append(("push", vx, vy, yaw_rate))

    def set_weather(self, weather) -> None:
        self.calls.append(("weather", weather))

    def close(self) -> None:
        self.closed = True
