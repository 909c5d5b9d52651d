"""Named suites of episodes and the curriculum, read from ``suites.yaml``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from wm_dynamics.errors import UserError
from wm_sim.faults_spec import parse_faults
from wm_sim.rewards import reward_config
from wm_sim.scenarios.actor_spec import Strict
from wm_sim.scenarios.library import scenario_names, scenario_spec
from wm_sim.weather import PRESETS
from wm_sim.world import World

COMMON = ("road users", "rules")  # what the scenarios of "all" are about
SUITES_FILE = Path(__file__).parent / "suites.yaml"
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class SuiteSpec(Strict):
    """Towns x their first routes, or scenarios x seeds; with the same company everywhere.

    Attributes:
        towns: names; empty for scenarios, which name their own.
        routes: of each town.
        traffic, trucks, cyclists, pedestrians, parked: how many of each.
        weather: preset, or "all": the routes once in each.
        faults: of the driver's inputs or of the vehicle, in the text form of
            :mod:`wm_sim.faults_spec`: the routes once with each; the empty text is no fault.
        scenarios: names, or "all": everything but the plain manoeuvres (``about: driving``) and
            those of the suite ``occlusion``.
        seeds: runs of each scenario, on its stages in turn.
    """

    towns: tuple[str, ...] = ()
    routes: Count = 0
    traffic: Count = 0
    trucks: Count = 0
    cyclists: Count = 0
    pedestrians: Count = 0
    parked: Count = 0
    weather: str = "day"
    faults: tuple[str, ...] = ("",)
    scenarios: tuple[str, ...] | Literal["all"] = ()
    seeds: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _one_kind(self) -> SuiteSpec:
        if bool(self.scenarios) == bool(self.towns and self.routes):
            raise ValueError("a suite has either towns and routes, or scenarios")
        for name in self.scenario_list:
            scenario_spec(name)
        self.world()
        parse_faults(self.faults)
        if self.scenarios and (self.weather == "all" or self.faults != ("",)):
            raise ValueError("a suite of scenarios has one weather and no faults")
        return self

    @property
    def scenario_list(self) -> tuple[str, ...]:
        """The scenarios by name."""
        if self.scenarios == "all":
            names = scenario_names()
            return tuple(n for n in names if scenario_spec(n).about in COMMON)
        return tuple(self.scenarios)

    @property
    def weathers(self) -> tuple[str, ...]:
        """The presets by name."""
        return tuple(PRESETS) if self.weather == "all" else (self.weather,)

    def world(self, scenario: str = "", weather: str = "") -> World:
        """Who and what else is in an episode; in the suite's first weather if none is named."""
        return World(
            trucks=self.trucks, cyclists=self.cyclists, pedestrians=self.pedestrians,
            parked=self.parked, weather=weather or self.weathers[0], scenario=scenario,
        )  # fmt: skip


class Phase(SuiteSpec):
    """One phase of the curriculum: a suite with a budget, a reward and what must be reached.

    Attributes:
        title: what is learnt.
        episodes: budget.
        reward: preset or weights, see :func:`wm_sim.rewards.reward_config`.
        goal_completion: share of episodes that reach their goal, to move on.
        collision_free: share of episodes without a collision.
        sidewalk_free: share of episodes that never leave the road.
    """

    title: str
    episodes: Annotated[int, Field(ge=1)]
    reward: str | dict[str, float]
    goal_completion: Share = 0.6
    collision_free: Share = 0.8
    sidewalk_free: Share = 0.9

    @model_validator(mode="after")
    def _known_reward(self) -> Phase:
        reward_config(self.reward)
        return self


class SuitesFile(Strict):
    """The whole file."""

    suites: dict[str, SuiteSpec]
    weather: SuiteSpec
    curriculum: dict[str, Phase]


@lru_cache(maxsize=4)
def read_suites(path: Path = SUITES_FILE) -> SuitesFile:
    """The file of suites.

    Raises:
        UserError: it says something that is not allowed.
    """
    try:
        return SuitesFile.model_validate(yaml.safe_load(path.read_text()))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(f"{path.name}: {place}: {first['msg']}") from error


def curriculum() -> dict[str, Phase]:
    """The phases of the curriculum in order, by the name of their suite."""
    return dict(read_suites().curriculum)


def all_suites() -> dict[str, SuiteSpec]:
    """Every suite: those of the file, the curriculum, one per scenario, one per weather."""
    file = read_suites()
    seeds = file.suites["scenarios"].seeds
    return {
        **file.suites,
        **{
            f"scenario-{name}": SuiteSpec(scenarios=(name,), seeds=seeds)
            for name in scenario_names()
        },
        **{
            f"weather-{name}": file.weather.model_copy(update={"weather": name}) for name in PRESETS
        },
        **file.curriculum,
    }
