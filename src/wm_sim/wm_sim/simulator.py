"""The embedded simulator: one ego vehicle in a town with SUMO traffic, lights and a camera.

Same inputs give the same frames: (town, route, seed, traffic, commands) fix everything except the
stamps, which go on counting from one episode to the next.
"""

from __future__ import annotations

import math
import zlib

import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.conventions import to_map
from wm_perception.frame import Command, SceneFrame
from wm_perception.route import Route
from wm_perception.scene import Scene, touches
from wm_perception.town_map import TownMap
from wm_sim.lane_sensor import LaneSensor
from wm_sim.routes import route_list
from wm_sim.town_files import load_town
from wm_sim.traffic import Traffic
from wm_sim.vehicle import Vehicle, VehicleState

START_S_M = 3.0  # where on the route an episode starts
NS_PER_S = 1_000_000_000


class Simulator:
    """Simulates a town. ``libsumo`` allows one instance at a time in a process.

    Args:
        town: a shipped town, see :func:`wm_sim.town_files.list_towns`.
        frame_dt: s per frame.
        camera: front camera to render (:class:`wm_sim.camera.CameraConfig`), or None.
        seed: of everything that is not fixed by the arguments of an episode.

    Raises:
        UserError: unknown town, or ``frame_dt`` is not a multiple of 10 ms.
        wm_sim.camera.CameraUnavailable: a camera is asked for and EGL is missing.
    """

    def __init__(self, town: str, frame_dt: float = 0.1, camera=None, seed: int = 0) -> None:
        self._dt_ns = round(frame_dt * NS_PER_S)
        if self._dt_ns <= 0 or self._dt_ns % 10_000_000:
            raise UserError(f"frame_dt must be a positive multiple of 0.01 s, not {frame_dt}")
        files = load_town(town)
        self.town_name = town
        self.town = TownMap.from_opendrive(files.xodr_text, town)
        self.frame_dt = frame_dt
        self.scene: Scene | None = None
        self._seed = seed
        self._traffic = Traffic(files.net_path, frame_dt)
        self._lanes = LaneSensor(self.town.carla_map)
        self._vehicle = Vehicle(VehicleState(0.0, 0.0))
        self._frames = 0
        self._frame: SceneFrame | None = None
        self._camera = None
        if camera is not None:
            from wm_sim.camera import Camera

            self._camera = Camera(self.town, camera)

    def start_route(
        self, route_index: int, seed: int = 0, traffic: int = 0, suite: str = "default"
    ) -> Scene:
        """Begin an episode on a numbered route of the town.

        Args:
            route_index: into :func:`wm_sim.routes.route_list`.
            seed: of the traffic and of the phase of the lights.
            traffic: number of other cars.
            suite: route suite.

        Raises:
            UserError: there is no such route or suite.
        """
        routes = route_list(self.town_name, suite)
        if not 0 <= route_index < len(routes):
            raise UserError(
                f"town '{self.town_name}' has routes 0..{len(routes) - 1}, not {route_index}"
            )
        return self.start(routes[route_index], seed, traffic)

    def start(
        self,
        route: Route,
        seed: int = 0,
        traffic: int = 0,
        start_s: float = START_S_M,
        lateral_m: float = 0.0,
        heading_error: float = 0.0,
        speed_mps: float = 0.0,
    ) -> Scene:
        """Begin an episode on any route, from a state given relative to the route.

        Args:
            route: to follow.
            seed: of the traffic and of the phase of the lights.
            traffic: number of other cars.
            start_s: arc length of the start, m.
            lateral_m: start this far left of the route, m.
            heading_error: start turned left by this angle, rad.
            speed_mps: initial speed, m/s.
        """
        if traffic < 0:
            raise UserError(f"traffic must be 0 or more cars, not {traffic}")
        index = int(np.clip(round(start_s), 0, len(route) - 1))
        heading = float(route.headings[index])
        x, y = to_map(np.array([0.0, lateral_m]), np.array([*route.points[index], heading]))
        yaw = (heading + heading_error + math.pi) % (2 * math.pi) - math.pi
        self._vehicle = Vehicle(VehicleState(float(x), float(y), speed=speed_mps, yaw=yaw))
        episode = zlib.crc32(f"{self.town_name}/{self._seed}/{seed}".encode())
        self._traffic.start(episode, traffic)
        self._traffic.insert_ego(self._vehicle.ego())
        self._traffic.step()
        self._lanes.reset(self._vehicle.ego())
        self.scene = Scene(self.town, route, self._traffic.boxes)
        self._capture(())
        return self.scene

    def frame(self) -> SceneFrame:
        """The current frame.

        Raises:
            RuntimeError: no episode has been started.
        """
        if self._frame is None:
            raise RuntimeError("start a route first")
        return self._frame

    def step(self, command: Command) -> SceneFrame:
        """Hold a command for one frame and return what comes out.

        A collision stops the ego; the caller decides whether the episode ends.

        Raises:
            RuntimeError: no episode has been started.
            ValueError: the command is not finite.
        """
        self.frame()
        self._vehicle.step(command, self.frame_dt)
        ego = self._vehicle.ego()
        self._traffic.move_ego(ego)
        self._traffic.step()
        return self._capture(self._lanes.update(ego))

    def _capture(self, crossed: tuple[int, ...]) -> SceneFrame:
        ego, objects = self._vehicle.ego(), self._traffic.objects()
        lights = self._traffic.light_states()
        collided = touches(ego, objects)
        if collided:
            self._vehicle.halt()
            ego = self._vehicle.ego()
        image = None
        if self._camera is not None:
            image = self._camera.render(ego, objects, self._traffic.boxes, lights)
        self._frame = SceneFrame(
            self._frames * self._dt_ns, ego, objects, lights, collided, crossed, image
        )
        self._frames += 1
        return self._frame

    def close(self) -> None:
        """Release SUMO and the camera."""
        self._traffic.close()
        if self._camera is not None:
            self._camera.close()

    def __enter__(self) -> Simulator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
