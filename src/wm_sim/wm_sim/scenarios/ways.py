"""Routes made for scenarios, where the planner's own never lead: the suite ``scenarios`` of a town.

``ways.yaml`` lists for each town the ways as legs. A leg follows the lanes from place to place;
between two legs the way changes lanes.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import carla
import numpy as np
import yaml
from pydantic import Field, RootModel

from wm_perception.route import Route
from wm_sim.scenarios.actor_spec import Strict
from wm_sim.scenarios.lanes import lane_way
from wm_sim.town_files import load_town

WAYS_FILE = Path(__file__).parent / "ways.yaml"
Place = tuple[float, float]


class Way(Strict):
    """One route: what it is for, and its legs, each a list of places (map frame, m)."""

    about: str
    legs: tuple[Annotated[tuple[Place, ...], Field(min_length=2)], ...]


class Ways(RootModel[dict[str, tuple[Way, ...]]]):
    """Town -> ways."""


@lru_cache(maxsize=1)
def _ways() -> dict[str, tuple[Way, ...]]:
    return Ways.model_validate(yaml.safe_load(WAYS_FILE.read_text())).root


@lru_cache(maxsize=16)
def scenario_routes(town: str) -> tuple[Route, ...]:
    """The routes of a town that are made for scenarios, in the order of the file."""
    carla_map = carla.Map(town, load_town(town).xodr_text)
    return tuple(
        Route(
            np.concatenate(
                [lane_way(carla_map, *pair) for leg in way.legs for pair in pairwise(leg)]
            )
        )
        for way in _ways().get(town, ())
    )
