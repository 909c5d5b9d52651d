"""Drives on which situations are met: who drives, among whom, and what is staged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.route import Route
from wm_perception.scene import Scene
from wm_sim.episodes import START_S_M
from wm_sim.expert import Expert
from wm_sim.routes import load_router
from wm_sim.scenarios.library import scenario_spec
from wm_sim.scenarios.sites import find_site
from wm_sim.simulator import Simulator
from wm_sim.world import World
from wm_training.perturbed import HABITS, PerturbedDriver
from wm_training.situations import STAGED

MAX_FRAMES, STAGED_FRAMES = 600, 250  # what is staged is soon over
START_BEFORE_M = 45.0  # the place of what is staged
# Situations must be met at speed as well as at a standstill: not everybody sees them coming.
DRIVERS = {"clean": 0.35, "noisy": 0.2, "reckless": 0.2, "distracted": 0.25}
TRAFFIC, STAGED_TRAFFIC = (15, 25, 40), (0, 8, 15)  # who stages needs room
PEDESTRIANS = (0, 15, 30)
TRUCKS, CYCLISTS, PARKED = 4, 5, 10  # at most
MAX_START_MPS, STAGED_START_MPS = 7.0, 4.0
STAGING = {"cut_in": 0.9, "crossing": 0.4, "queue": 0.25}  # how often, when the kind is missing
ROUTES_TRIED = 6
DRY = "day"


def begin_drive(
    simulator: Simulator,
    missing: Sequence[str],
    expert: Expert,
    rng: np.random.Generator,
    frame_dt: float,
    weather: str = DRY,
) -> tuple[PerturbedDriver, dict]:
    """Begin an episode on a random route.

    Args:
        simulator: to begin it in.
        missing: kinds of situations that are wanted, the most wanted first.
        expert: who drives, perturbed.
        rng: draws everything.
        frame_dt: s per frame.
        weather: name of a preset.

    Returns:
        The driver, and facts for the store.
    """
    route, scenario, place_m = _route(simulator, missing, rng)
    traffic = int(rng.choice(STAGED_TRAFFIC if scenario else TRAFFIC))
    world = World(
        trucks=int(rng.integers(TRUCKS)),
        cyclists=int(rng.integers(CYCLISTS)),
        pedestrians=int(rng.choice(PEDESTRIANS)),
        parked=int(rng.integers(PARKED)),
        weather=weather,
        scenario=scenario,
    )
    scene = simulator.start(
        route,
        seed=int(rng.integers(1 << 30)),
        traffic=traffic,
        start_s=max(START_S_M, place_m - START_BEFORE_M),
        speed_mps=float(rng.uniform(STAGED_START_MPS if scenario else 0.0, MAX_START_MPS)),
        world=world,
    )
    habit = str(rng.choice(list(DRIVERS), p=list(DRIVERS.values())))
    driver = PerturbedDriver(HABITS[habit], rng, frame_dt, expert)
    driver.reset(scene)
    return driver, {"habit": habit, "traffic": traffic, "weather": weather}


def _route(
    simulator: Simulator, missing: Sequence[str], rng: np.random.Generator
) -> tuple[Route, str, float]:
    """A route, what is to be staged on it ("" for nothing), and where (m along the route)."""
    router = load_router(simulator.town_name)
    kind = missing[0] if missing else ""
    if rng.random() >= STAGING.get(kind, 0.0):
        return router.random_route(rng), "", 0.0
    scenario = str(rng.choice(STAGED[kind]))
    site = scenario_spec(scenario).site
    for _ in range(ROUTES_TRIED):
        route = router.random_route(rng)
        try:
            place = find_site(site, Scene(simulator.town, route))
        except UserError:
            continue
        return route, scenario, place.anchor_m
    return route, "", 0.0


def longest(simulator: Simulator) -> int:
    """Frames after which the present drive has nothing more to offer."""
    return MAX_FRAMES if simulator.scenario is None else STAGED_FRAMES
