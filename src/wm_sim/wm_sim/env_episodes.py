"""Which episode an environment plays next: drawn, or as its options say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from wm_dynamics.errors import UserError
from wm_sim.env_config import EnvConfig, ResetOptions
from wm_sim.routes import SUITES as ROUTE_SUITES
from wm_sim.routes import route_list
from wm_sim.scenarios.library import scenario_spec
from wm_sim.scenarios.suites import Phase, SuiteSpec, all_suites
from wm_sim.world import World

MAX_SEED = 2**31


@dataclass(frozen=True)
class Episode:
    """One episode.

    Attributes:
        town: where.
        suite: whose routes those of the town are, see :func:`wm_sim.routes.route_list`.
        route: number of the route; None is still to be drawn.
        traffic: number of other cars.
        world: who and what else there is.
        seed: of the traffic, the lights and the scenario.
    """

    town: str
    suite: str
    route: int | None
    traffic: int
    world: World
    seed: int


@lru_cache(maxsize=64)
def named_suite(name: str) -> SuiteSpec | None:
    """The suite of episodes of that name; None for a mere suite of routes.

    Raises:
        UserError: there is no such suite.
    """
    if name in ROUTE_SUITES:
        return None
    suites = all_suites()
    if name not in suites:
        known = ", ".join((*ROUTE_SUITES, *suites))
        raise UserError(f"unknown suite '{name}'; known: {known}")
    return suites[name]


def reward_of(config: EnvConfig) -> str | dict[str, float]:
    """The reward that is asked for, or else the curriculum phase's, or else the default."""
    suite = named_suite(config.suite)
    if config.reward is not None:
        return config.reward
    return suite.reward if isinstance(suite, Phase) else "default"


def draw_episode(config: EnvConfig, options: ResetOptions, rng: np.random.Generator) -> Episode:
    """The next episode: of the configuration, of its suite, and above both the options.

    The same numbers are drawn whatever is given, so that an option leaves later episodes alone.

    Raises:
        UserError: there is no such suite, town, route or scenario.
    """
    which, where, seed = rng.random(), rng.random(), int(rng.integers(MAX_SEED))
    name = options.suite or config.suite
    episode = Episode(config.town, name, config.route, config.traffic, config.world, seed)
    suite = named_suite(name)
    if suite is not None:
        episode = _of_suite(suite, which, where, seed)
    given = {key: getattr(options, key) for key in ("town", "route", "traffic", "world", "seed")}
    episode = replace(episode, **{k: v for k, v in given.items() if v is not None})
    if episode.world.scenario:
        return _on_stage(episode, where)
    if episode.route is None:
        count = len(route_list(episode.town, episode.suite))
        episode = replace(episode, route=int(where * count))
    return episode


def _of_suite(suite: SuiteSpec, which: float, where: float, seed: int) -> Episode:
    """An episode of a suite: a scenario on one of its stages, or a route of one of its towns."""
    if suite.scenario_list:
        scenario = _pick(suite.scenario_list, which)
        town = _pick(tuple(scenario_spec(scenario).stages), where)
        return Episode(town, "default", None, suite.traffic, suite.world(scenario), seed)
    town, route = _pick(suite.towns, which), int(where * suite.routes)
    weather = suite.weathers[seed % len(suite.weathers)]
    return Episode(town, "default", route, suite.traffic, suite.world(weather=weather), seed)


def _on_stage(episode: Episode, where: float) -> Episode:
    """The episode on a route where its scenario fits, if that is still to be chosen."""
    spec = scenario_spec(episode.world.scenario)
    stages = spec.stages.get(episode.town)
    if episode.route is not None:
        return replace(episode, suite=spec.route_suite)
    if stages is None:
        raise UserError(
            f"scenario '{spec.name}' has no stage in '{episode.town}': choose a route, or one of "
            f"its towns: {', '.join(spec.stages)}"
        )
    return replace(episode, suite=spec.route_suite, route=_pick(stages, where))


def _pick(choices: tuple, share: float):
    """The choice at a share in [0, 1) of the list."""
    return choices[int(share * len(choices))]
