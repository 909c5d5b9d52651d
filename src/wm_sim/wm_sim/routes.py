"""The route suites of the towns: fixed lists of routes, the same for everybody."""

from __future__ import annotations

import zlib
from functools import lru_cache

import carla
import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.route import Route
from wm_sim.router import Router
from wm_sim.town_files import load_town

SUITES = ("default", "scenarios")
ROUTES_PER_TOWN = 24
_APART_M = 15.0  # no two routes both start and end closer together than this
_ATTEMPTS = 1000


@lru_cache(maxsize=16)
def load_router(town: str) -> Router:
    """The router of a town.

    Raises:
        UserError: there is no such town.
    """
    files = load_town(town)
    return Router(carla.Map(town, files.xodr_text), files.closed_roads)


@lru_cache(maxsize=32)
def route_list(town: str, suite: str = "default") -> tuple[Route, ...]:
    """The fixed routes of a town: 24 of 300-400 m; route i is always the same.

    The suite ``scenarios`` holds ways that are made for single scenarios, in few towns.

    Raises:
        UserError: there is no such town or suite.
    """
    if suite not in SUITES:
        raise UserError(f"unknown route suite '{suite}'; known suites: {', '.join(SUITES)}")
    if suite == "scenarios":
        from wm_sim.scenarios.ways import scenario_routes

        return scenario_routes(town)
    return tuple(fixed_routes(load_router(town), zlib.crc32(f"{town}/{suite}".encode())))


def fixed_routes(router: Router, seed: int) -> list[Route]:
    """Routes through a town that differ from each other; the same for the same seed.

    Raises:
        UserError: the town is too small for so many.
    """
    rng = np.random.default_rng(seed)
    routes: list[Route] = []
    for _ in range(_ATTEMPTS):
        route = router.random_route(rng)
        ends = route.points[[0, -1]]
        if all(np.hypot(*(ends - r.points[[0, -1]]).T).max() > _APART_M for r in routes):
            routes.append(route)
        if len(routes) == ROUTES_PER_TOWN:
            return routes
    raise UserError(f"this town has only {len(routes)} different routes, not {ROUTES_PER_TOWN}")
