"""Named sets of routes. Test towns and their routes are used for nothing but their suites."""

from __future__ import annotations

from dataclasses import dataclass, field

from wm_dynamics.errors import UserError
from wm_sim.scenarios import scenario_spec
from wm_sim.scenarios.suites import SuiteSpec, all_suites
from wm_sim.town_files import list_towns
from wm_sim.world import World
from wm_training.scoring import OFF_ROUTE_M, TIME_LIMIT_S, RouteResult, RouteScorer

SUITES: dict[str, SuiteSpec] = all_suites()


@dataclass(frozen=True)
class RouteTask:
    """One route to drive.

    Attributes:
        town, route: which route.
        traffic: number of other cars.
        seed: of traffic and planner.
        time_limit_s: simulated seconds after which it ends as "timeout".
        world: who and what else there is.
        off_route_m: distance from the route at which it ends as "off_route".
        route_suite: which of the town's sets of routes ``route`` counts in.
        fault: what goes wrong, see :mod:`wm_training.frame_faults`; empty for nothing.
    """

    town: str
    route: int
    traffic: int
    seed: int
    time_limit_s: float = TIME_LIMIT_S
    world: World = field(default_factory=World)
    off_route_m: float = OFF_ROUTE_M
    route_suite: str = "default"
    fault: str = ""

    def __post_init__(self) -> None:
        if not self.time_limit_s > 0:
            raise UserError(f"the time limit must be more than 0 s, not {self.time_limit_s}")
        if not self.off_route_m > 0:
            raise UserError(f"the distance from the route must be > 0 m, not {self.off_route_m}")

    @property
    def scenario(self) -> str:
        """The scenario on the route, empty for none."""
        return self.world.scenario

    def judged(self, scorer: RouteScorer, mastered: bool | None = None) -> RouteResult:
        """What the judge says of this route.

        Args:
            scorer: has seen its frames.
            mastered: whether the scenario was; None without one, or where nobody can tell.
        """
        weather = self.world.weather if isinstance(self.world.weather, str) else "custom"
        return scorer.result(
            self.town, self.route, self.scenario, mastered, self.seed, weather, self.fault
        )


def scenario_task(
    world: World, traffic: int, seed: int, run: int, time_limit_s: float = TIME_LIMIT_S
) -> RouteTask:
    """A run of the world's scenario; runs take its stages in turn, each with its own seed.

    Raises:
        UserError: there is no such scenario.
    """
    spec = scenario_spec(world.scenario)
    stages = [(town, route) for town, routes in spec.stages.items() for route in routes]
    town, route = stages[run % len(stages)]
    limit_s = min(time_limit_s, spec.time_limit_s)
    return RouteTask(
        town, route, traffic, seed + run, limit_s, world, spec.off_route_m, spec.route_suite
    )


def suite_tasks(
    name: str, seed: int, time_limit_s: float = TIME_LIMIT_S, seeds: int = 1
) -> list[RouteTask]:
    """The tasks of a named suite.

    Args:
        name: of the suite.
        seed: the first.
        time_limit_s: of each route.
        seeds: how often everything is driven, each time with the next seed.

    Raises:
        UserError: there is no such suite, or a town of it is not there.
    """
    if name not in SUITES:
        raise UserError(f"unknown suite '{name}'; known suites: {', '.join(SUITES)}")
    suite = SUITES[name]
    _check_towns(name, suite)
    if suite.scenarios:
        return [
            scenario_task(suite.world(scenario), suite.traffic, seed, run, time_limit_s)
            for scenario in suite.scenario_list
            for run in range(suite.seeds * seeds)
        ]
    return [
        RouteTask(
            town, route, suite.traffic, seed + number, time_limit_s, suite.world(weather=weather),
            fault=fault,
        )
        for fault in suite.faults
        for weather in suite.weathers
        for town in suite.towns
        for route in range(suite.routes)
        for number in range(seeds)
    ]  # fmt: skip


def _check_towns(name: str, suite: SuiteSpec) -> None:
    """Say how to get a town that a suite needs."""
    missing = [town for town in suite.towns if town not in list_towns()]
    if missing:
        raise UserError(
            f"suite '{name}' needs {', '.join(missing)}, which is not among the towns. "
            + " ".join(f"`wm town add {town}.xodr`" for town in missing)
            + " adds it; CARLA has the file under CarlaUE4/Content/Carla/Maps/OpenDrive"
        )
