"""What the bridge needs of a simulator; :class:`wm_sim.simulator.Simulator` has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from wm_perception.frame import Command, SceneFrame
from wm_perception.route import Route
from wm_perception.scene import Scene
from wm_perception.town_map import TownMap
from wm_sim.actors import Actor
from wm_sim.rig import SensorSpec
from wm_sim.scenery import Scenery
from wm_sim.weather import Weather
from wm_sim.world import World


class BridgeSource(Protocol):
    """A simulator as the bridge uses it; its methods raise UserError for what cannot be.

    Attributes:
        town, town_name: the loaded town.
        scene: of the running episode.
        scenery: what stands beside the road.
        ego_id: actor id of the ego.
        autopilot: the rule-based expert drives, commands are ignored.
    """

    town: TownMap
    town_name: str
    scene: Scene | None
    scenery: Scenery
    ego_id: int
    autopilot: bool

    def start_route(
        self, route_index: int, seed: int, traffic: int, suite: str, world: World
    ) -> Scene:
        """Begin an episode."""

    def frame(self) -> SceneFrame:
        """The current frame."""

    def step(self, command: Command) -> SceneFrame:
        """Advance one frame."""

    def reroute(self, route: Route) -> Scene:
        """Follow another route from now on."""

    def teleport(self, x: float, y: float, yaw: float) -> None:
        """Put the ego elsewhere in the next frame."""

    def push(self, vx: float, vy: float, yaw_rate: float) -> None:
        """Give the ego a velocity, in body axes."""

    def set_weather(self, weather: Weather) -> None:
        """Change the weather."""

    def actors(self) -> Iterable[Actor]:
        """Everything alive."""

    def spawn(
        self,
        blueprint: str,
        x: float,
        y: float,
        yaw: float,
        role: str = "",
        attributes: Mapping[str, str] = ...,
    ) -> int:
        """Put an actor into the world and return its id."""

    def destroy(self, actor_id: int) -> bool:
        """Take a spawned actor out of the world."""

    def walk(self, actor_id: int, direction: float, speed_mps: float) -> None:
        """Let a spawned walker go on in a direction (rad, map frame)."""

    def read(self, sensor_id: str) -> Any:
        """A measurement of the current frame, or None when the sensor takes none in it."""

    def mount(self, spec: SensorSpec) -> None:
        """Put a sensor on the ego."""

    def unmount(self, sensor_id: str) -> None:
        """Take a sensor off the ego."""

    def close(self) -> None:
        """Release everything."""
