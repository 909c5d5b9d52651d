"""Episodes in the embedded simulator: how they begin, and what a step does.

Same inputs give the same frames: (town, route, seed, traffic, world, commands, what is spawned and
moved) fix everything except the stamps, which go on counting from one episode to the next.
"""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, cast

import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.conventions import to_map
from wm_perception.frame import Command, SceneFrame
from wm_perception.route import Route
from wm_perception.scene import Scene
from wm_perception.town_map import TownMap
from wm_sim.actors import check_finite, check_speed
from wm_sim.expert import Expert
from wm_sim.lane_sensor import LaneSensor
from wm_sim.population import Population
from wm_sim.rig import Rig
from wm_sim.routes import route_list
from wm_sim.scenery import Scenery
from wm_sim.senses import Senses
from wm_sim.town_files import load_town
from wm_sim.traffic import Traffic
from wm_sim.vehicle import Vehicle, VehicleState, check_command
from wm_sim.view import WorldView
from wm_sim.weather import Weather
from wm_sim.world import World, check_count

if TYPE_CHECKING:
    from wm_sim.scenarios.engine import Scenario
    from wm_sim.simulator import Simulator

START_S_M = 3.0  # where on the route an episode starts
NS_PER_S = 1_000_000_000
_SCENARIO_STREAM = 5


class Episodes:
    """Begins episodes in a town and steps through them; see :class:`wm_sim.simulator.Simulator`.

    Args:
        town: see :func:`wm_sim.town_files.list_towns`.
        frame_dt: s per frame.
        camera: front camera to render (:class:`wm_sim.camera.CameraConfig`), or None.
        seed: of everything that is not fixed by the arguments of an episode.
        rig: sensors on the ego, for :meth:`read`; None for none.

    Attributes:
        town: the map.
        town_name: its name.
        frame_dt: s per frame.
        scene: of the current episode, None before the first.
        scenario: that is staged in this episode, or None.
        autopilot: the rule-based expert drives, whatever :meth:`step` is given.
        ego_id: id of the ego among the actors.

    Raises:
        UserError: unknown town, or ``frame_dt`` is not a multiple of 10 ms.
        wm_sim.camera.CameraUnavailable: a camera is asked for and EGL is missing.
    """

    ego_id = 1_000_000

    def __init__(
        self,
        town: str,
        frame_dt: float = 0.1,
        camera=None,
        seed: int = 0,
        rig: Rig | None = None,
    ) -> None:
        self._dt_ns = round(frame_dt * NS_PER_S) if math.isfinite(frame_dt) else 0
        if self._dt_ns <= 0 or self._dt_ns % 10_000_000:
            raise UserError(f"frame_dt must be a positive multiple of 0.01 s, not {frame_dt}")
        files = load_town(town)
        self.town_name = town
        self.town = TownMap.from_opendrive(files.xodr_text, town)
        self.frame_dt = frame_dt
        self.scene: Scene | None = None
        self.scenario: Scenario | None = None
        self.autopilot = False
        self._seed = seed
        traffic = Traffic(files.net_path, files.walk_net_path, frame_dt)
        self._population = Population(self.town, traffic)
        self._senses = Senses(self.town, self._population.scenery, rig, camera)
        self._lanes = LaneSensor(self.town.carla_map)
        self._expert = Expert()
        self._expert_scene: Scene | None = None  # on which the expert is driving
        self._vehicle = Vehicle(VehicleState(0.0, 0.0))
        self._velocity = np.zeros(2)
        self._weather = Weather()
        self._frames = 0
        self._view: WorldView | None = None
        self._frame: SceneFrame | None = None

    def start_route(
        self,
        route_index: int,
        seed: int = 0,
        traffic: int = 0,
        suite: str = "default",
        world: World = World(),  # noqa: B008  # frozen
    ) -> Scene:
        """Begin an episode on a numbered route of the town.

        Args:
            route_index: into :func:`wm_sim.routes.route_list`.
            seed, traffic, world: see :meth:`start`.
            suite: route suite.

        Raises:
            UserError: there is no such route or suite; and as :meth:`start`.
        """
        routes = route_list(self.town_name, suite)
        if not 0 <= route_index < len(routes):
            raise UserError(
                f"town '{self.town_name}' has routes 0..{len(routes) - 1}, not {route_index}"
            )
        return self.start(routes[route_index], seed, traffic, world=world)

    def start(
        self,
        route: Route,
        seed: int = 0,
        traffic: int = 0,
        start_s: float = START_S_M,
        lateral_m: float = 0.0,
        heading_error: float = 0.0,
        speed_mps: float = 0.0,
        world: World = World(),  # noqa: B008  # frozen
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
            world: who and what else there is.

        Raises:
            UserError: a value is not possible, there is no such scenario, or the town lacks what
                ``world`` asks for.
        """
        check_count("traffic", traffic)
        check_finite(start_s=start_s, lateral_m=lateral_m, heading_error=heading_error)
        check_speed(speed_mps)
        scenario = _load_scenario(world.scenario)
        index = int(np.clip(round(start_s), 0, len(route) - 1))
        heading = float(route.headings[index])
        x, y = to_map(np.array([0.0, lateral_m]), np.array([*route.points[index], heading]))
        yaw = (heading + heading_error + math.pi) % (2 * math.pi) - math.pi
        vehicle = Vehicle(VehicleState(float(x), float(y), speed=speed_mps, yaw=yaw))
        episode = zlib.crc32(f"{self.town_name}/{self._seed}/{seed}".encode())
        self._population.start(episode, traffic, world, vehicle.ego())
        self._vehicle, self._velocity = vehicle, vehicle.velocity
        self.set_weather(world.conditions)
        self._lanes.reset(vehicle.ego())
        self._senses.start(episode, self._frames * self._dt_ns)
        self.scenario = None
        scene = self.scene = self.scenery.scene(route)
        self._capture(())
        if scenario is not None:
            scenario.start(
                cast("Simulator", self), np.random.default_rng([episode, _SCENARIO_STREAM])
            )
            self.scenario = scenario
            self._frames -= 1  # the same moment once more, with the scenario's actors in it
            self._capture(())
        return scene

    def reroute(self, route: Route) -> Scene:
        """Follow another route from here on; the world stays as it is."""
        self.frame()
        self.scene = self.scenery.scene(route)
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

        Pedals and steering are clipped to their range. A collision slows the ego and what it hits;
        the caller decides whether the episode ends.

        Raises:
            RuntimeError: no episode has been started.
            ValueError: the command is not finite; nothing has changed then.
        """
        frame = self.frame()
        if self.autopilot:
            command = self._expert_command(frame)
        check_command(command)
        if self.scenario is not None:
            self.scenario.tick(cast("Simulator", self))
        self._vehicle.step(command, self.frame_dt)
        ego = self._vehicle.ego()
        self._population.advance(ego, self.frame_dt)
        return self._capture(self._lanes.update(ego))

    def _expert_command(self, frame: SceneFrame) -> Command:
        if self._expert_scene is not self.scene:
            assert self.scene is not None
            self._expert.reset(self.scene)
            self._expert_scene = self.scene
        return self._expert.drive(frame)

    def _capture(self, crossed: tuple[int, ...]) -> SceneFrame:
        objects, props = self._population.objects(), self._population.props()
        contact = self._population.meet(self._vehicle, objects, self.frame_dt)
        ego = self._vehicle.ego()
        before, self._velocity = self._velocity, self._vehicle.velocity
        self._view = WorldView(
            self._frames * self._dt_ns,
            self.frame_dt,
            ego,
            self._vehicle.in_body_axes(self._velocity - before) / self.frame_dt,
            objects,
            props,
            self._population.light_boxes,
            self._population.light_states(),
            self._weather,
            self._population.sirens,
        )
        self._frame = SceneFrame(
            self._view.stamp_ns,
            ego,
            objects,
            self._view.light_states,
            contact is not None,
            crossed,
            self._senses.picture(self._view),
            contact,
            props,
        )
        self._frames += 1
        return self._frame

    @property
    def scenery(self) -> Scenery:
        """What stands beside the roads."""
        return self._population.scenery

    @property
    def weather(self) -> Weather:
        """In force now."""
        return self._weather

    def set_weather(self, weather: Weather) -> None:
        """Change the weather from the next frame on."""
        self._weather = weather
        self._vehicle.grip = weather.grip

    def view(self) -> WorldView:
        """The current frame as sensors see it.

        Raises:
            RuntimeError: no episode has been started.
        """
        if self._view is None:
            raise RuntimeError("start a route first")
        return self._view

    def close(self) -> None:
        """Release SUMO and the cameras."""
        self._population.close()
        self._senses.close()

    def __enter__(self) -> Episodes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _load_scenario(name: str) -> Scenario | None:
    if not name:
        return None
    from wm_sim.scenarios import load_scenario

    return load_scenario(name)
