"""A frame source without SUMO: a car that moves as commanded, lights that change every frame."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from wm_perception.frame import Command, EgoState, LightBox, LightState, Objects, SceneFrame
from wm_perception.route import Route

DT_NS = 100_000_000
LIGHTS = (LightBox(3, (20.0, 1.0), 0.5, 4.0, 3.0),)


def light_at(stamp_ns: int) -> LightState:
    """The state of light 3 in the frame of a stamp."""
    return LightState(stamp_ns // DT_NS % 3)


class FakeSource:
    """Stands where the simulator stands; time starts again with every episode."""

    def __init__(self, town: str = "", frame_dt: float = 0.1, camera=None, image: bool = False):
        self.commands: list[Command] = []
        self.episodes: list[tuple] = []
        self.closed = False
        self._image = np.full((4, 6, 3), (10, 20, 30), np.uint8) if image else None
        self._frame: SceneFrame | None = None

    def start_route(self, route_index: int, seed: int, traffic: int, suite: str):
        self.episodes.append((route_index, seed, traffic, suite))
        y = 50.0 * route_index
        self._frame = self._at(0, EgoState(0.0, y, 0.0, 0.0))
        return SimpleNamespace(
            town=SimpleNamespace(name="fake", opendrive="<OpenDRIVE/>"),
            route=Route(np.array([[0.0, y], [120.0, y]])),
            lights=LIGHTS,
        )

    def _at(self, stamp_ns: int, ego: EgoState) -> SceneFrame:
        others = Objects(
            np.array([7]),
            np.array([[30.0, 3.0, 0.1]]),
            np.array([[1.0, -2.0]]),
            np.array([[4.0, 2.0]]),
        )
        return SceneFrame(
            stamp_ns=stamp_ns,
            ego=ego,
            objects=others,
            light_states={3: light_at(stamp_ns)},
            collided=stamp_ns == 2 * DT_NS,
            crossed_markings=(2,) if stamp_ns == 3 * DT_NS else (),
            image=self._image,
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

    def close(self) -> None:
        self.closed = True
