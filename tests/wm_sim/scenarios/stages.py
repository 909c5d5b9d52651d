"""Scenario runs that several tests make, with drivers good and bad."""

from __future__ import annotations

from dataclasses import dataclass

from wm_perception.frame import Command, SceneFrame
from wm_perception.scene import Scene
from wm_sim.expert import Expert, ExpertStyle
from wm_sim.scenarios import Scenario, load_scenario, scenario_spec
from wm_sim.simulator import Simulator
from wm_sim.world import World

CARELESS = ExpertStyle(heeds_traffic=False, heeds_lights=False)
LOOKS_AT_LIGHTS = ExpertStyle(heeds_traffic=False)
MAX_STEPS = 2500
REACTION_FRAMES = 5  # 0.5 s from the trigger to the brake
BRAKE_PEDAL = 6.0 / 8.0  # 6 m/s^2 of the 8 that a full brake gives
AFTER_TRIGGER_FRAMES = 90


class Towns:
    """One simulator at a time."""

    def __init__(self) -> None:
        self._now: Simulator | None = None

    def __call__(self, town: str) -> Simulator:
        if self._now is None or self._now.town_name != town:
            self.close()
            self._now = Simulator(town)
        return self._now

    def close(self) -> None:
        if self._now is not None:
            self._now.close()
        self._now = None


@dataclass(frozen=True)
class Corner:
    """A generator that draws every parameter at the same place of its range, 0 low to 1 high."""

    share: float

    def uniform(self, low: float, high: float) -> float:
        return low + self.share * (high - low)


class LateBraker:
    """Heeds nobody until the trigger; then brakes with 6 m/s^2 after half a second, and stands."""

    def __init__(self, scenario: Scenario) -> None:
        self._expert, self._scenario = Expert(LOOKS_AT_LIGHTS), scenario
        self.since = 0

    def reset(self, scene: Scene) -> None:
        self._expert.reset(scene)

    def drive(self, frame: SceneFrame) -> Command:
        command = self._expert.drive(frame)
        self.since += self._scenario.status != "waiting"
        if self.since <= REACTION_FRAMES:
            return command
        moving = frame.ego.speed_mps > 0.05
        return Command(command.steer, -BRAKE_PEDAL if moving else -1.0)


def stages_of(name: str) -> list[tuple[str, int]]:
    """(town, route) of every stage of a scenario."""
    return [(town, r) for town, routes in scenario_spec(name).stages.items() for r in routes]


def run(simulator: Simulator, name: str, route: int, style: ExpertStyle | None, seed: int = 0):
    """Drive until the scenario is decided; the scenario and the frames."""
    suite = scenario_spec(name).route_suite
    world = World(scenario=name)
    scene = simulator.start_route(route, seed, suite=suite, world=world)
    driver = Expert(style)
    driver.reset(scene)
    frames = [simulator.frame()]
    for _ in range(MAX_STEPS):
        frames.append(simulator.step(driver.drive(frames[-1])))
        ended = scene.route.nearest_index(*frames[-1].ego.pose[:2]) > len(scene.route) - 6
        if simulator.scenario.status not in ("waiting", "running") or ended:
            break
    return simulator.scenario, frames


def brakes_in_time(simulator: Simulator, name: str, route: int, share: float) -> bool:
    """Whether braking with 6 m/s^2, half a second after the trigger, avoids every contact."""
    scene = simulator.start_route(route, suite=scenario_spec(name).route_suite)
    scenario = load_scenario(name)
    scenario.start(simulator, Corner(share))  # type: ignore[arg-type]
    simulator.scenario = scenario
    driver = LateBraker(scenario)
    driver.reset(scene)
    frame = simulator.frame()
    for _ in range(MAX_STEPS):
        frame = simulator.step(driver.drive(frame))
        if frame.collided:
            return False
        if driver.since > AFTER_TRIGGER_FRAMES:
            return True
    raise AssertionError(f"{name} was never triggered")
