"""The scenario files: all valid over their whole ranges, and mistakes are named."""

from __future__ import annotations

import numpy as np
import pytest
from stages import Corner, stages_of

from wm_dynamics.errors import UserError
from wm_sim.blueprints import find
from wm_sim.scenarios import load_scenario, scenario_names, scenario_spec
from wm_sim.scenarios.library import LIBRARY, read_scenario
from wm_sim.world import World

PLAIN = """
description: Somebody stands in the lane.
stages: {train01: [3]}
site: {kind: straight, length_m: 50}
parameters:
  where: {default: 20, low: 15, high: 25, unit: m, meaning: where he stands}
actors:
  - name: person
    blueprint: walker.pedestrian.0001
    path: {kind: route, along_m: $where}
trigger: {within_m: 0}
success: {passed_m: 40}
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "plain"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        return path

    return write


def test_the_library_is_large_and_mostly_about_others():
    about = [scenario_spec(name).about for name in scenario_names()]
    assert about.count("road users") >= 18
    assert len(about) >= 24


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("name", scenario_names())
def test_valid_at_both_ends_of_every_range(name, share):
    spec = read_scenario(LIBRARY / f"{name}.yaml", Corner(share))
    assert all(find(actor.blueprint) for actor in spec.actors)
    assert not any(town.startswith("test") for town in spec.stages), "test towns measure"


def test_every_stage_has_a_place_for_its_scenario(towns):
    stages = sorted((town, name, r) for name in scenario_names() for town, r in stages_of(name))
    for town, name, route in stages:
        simulator = towns(town)
        suite = scenario_spec(name).route_suite
        simulator.start_route(route, suite=suite, world=World(scenario=name))
        assert simulator.scenario.site.anchor_m > 0


def test_the_seed_draws_the_parameters(write):
    path = write(PLAIN)
    drawn = [read_scenario(path, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    places = [spec.actors[0].path.along_m for spec in drawn]
    assert places[0] == places[1] != places[2]
    assert all(15 <= place <= 25 for place in places)
    assert read_scenario(path).actors[0].path.along_m == 20


@pytest.mark.parametrize(
    "old, new, complaint",
    [
        ("trigger: {within_m: 0}", "trigger: {near_m: 0}", "trigger.near_m: Extra inputs"),
        ("trigger: {within_m: 0}", "trigger: {}", "at least one condition"),
        ("$where", "$there", "no parameter there"),
        ("$where", "20", "nothing uses the parameter where"),
        ("low: 15", "low: 21", "low <= default <= high"),
        ("low: 15", "low: wet", "parameters: low"),
        ("length_m: 50", "length_m: 1.0e+9", "less than or equal to 200"),
        ("length_m: 50", "length_m: .nan", "finite"),
        ("kind: straight", "kind: sideways", "site"),
        ("{passed_m: 40}", "{within_s: 9}", "success needs"),
        ("{passed_m: 40}", "{passed_m: 40, after: [lorry]}", "no actor called lorry"),
        ("success:", "weather: plague\nsuccess:", "unknown weather 'plague'"),
        ("stages: {train01: [3]}", "stages: {}", "stages"),
        ("description:", "name: other\ndescription:", "the name inside is 'other'"),
        (PLAIN, "- just\n- a list", "is a mapping"),
        (PLAIN, "a: [", "plain.yaml"),
    ],
)
def test_a_mistake_is_named(write, old, new, complaint):
    assert old in PLAIN
    with pytest.raises(UserError, match="plain.yaml") as caught:
        read_scenario(write(PLAIN.replace(old, new)))
    assert complaint in str(caught.value)


def test_a_file_of_ones_own_is_staged_like_any_other(write, towns):
    world = World(scenario=str(write(PLAIN)))
    simulator = towns("train01")
    simulator.start_route(3, world=world)
    assert simulator.scenario.spec.description == "Somebody stands in the lane."
    assert list(simulator.scenario.actor_ids()) == ["person"]
    with pytest.raises(UserError, match="nowhere.yaml"):
        simulator.start_route(3, world=World(scenario="nowhere.yaml"))


def test_an_unknown_scenario_is_a_users_error():
    with pytest.raises(UserError, match="unknown scenario 'alien'; known: blocked_lane"):
        load_scenario("alien")
