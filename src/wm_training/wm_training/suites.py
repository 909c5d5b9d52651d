"""Named sets of routes. Test towns and their routes are used for nothing but these suites."""

from __future__ import annotations

from dataclasses import dataclass

from wm_dynamics.errors import UserError
from wm_training.scoring import TIME_LIMIT_S


@dataclass(frozen=True)
class RouteTask:
    """One route to drive.

    Attributes:
        town, route: which route.
        traffic: number of other cars.
        seed: of traffic and planner.
        time_limit_s: simulated seconds after which it ends as "timeout".
    """

    town: str
    route: int
    traffic: int
    seed: int
    time_limit_s: float = TIME_LIMIT_S

    def __post_init__(self) -> None:
        if not self.time_limit_s > 0:
            raise UserError(f"the time limit must be more than 0 s, not {self.time_limit_s}")


@dataclass(frozen=True)
class Suite:
    """Towns x the first ``routes`` routes of each, with ``traffic`` other cars."""

    towns: tuple[str, ...]
    routes: int
    traffic: int


SUITES: dict[str, Suite] = {
    "test-notraffic": Suite(("test01", "test02"), 15, 0),
    "test-traffic": Suite(("test01", "test02"), 15, 20),
    "val-notraffic": Suite(("val01", "val02"), 10, 0),
    "val-traffic": Suite(("val01", "val02"), 10, 20),
    "tiny": Suite(("tiny",), 2, 4),
}


def suite_tasks(name: str, seed: int, time_limit_s: float = TIME_LIMIT_S) -> list[RouteTask]:
    """The tasks of a named suite.

    Raises:
        UserError: there is no such suite.
    """
    if name not in SUITES:
        raise UserError(f"unknown suite '{name}'; known suites: {', '.join(SUITES)}")
    suite = SUITES[name]
    return [
        RouteTask(town, route, suite.traffic, seed, time_limit_s)
        for town in suite.towns
        for route in range(suite.routes)
    ]
