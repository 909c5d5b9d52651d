"""Occluded situations: who matters is really hidden, from line of sight only, and shows up late."""

from __future__ import annotations

import pytest
from stages import CARELESS, Towns, stages_of

from wm_perception.sight import visible
from wm_sim.expert import Expert
from wm_sim.scenarios import scenario_spec
from wm_sim.scenarios.suites import all_suites
from wm_sim.world import World

HIDDEN = {
    "occluded_right_turn": "first",
    "occluded_crossing": "other",
    "occluded_pedestrian": "child",
    "occluded_walker_left": "runner",
    "occluded_pull_out": "car",
    "cut_out": "stopped",
    "double_parked": "oncoming",
}
FAST = ["occluded_walker_left", "occluded_right_turn"]
MAX_STEPS = 600


def share_hidden(simulator, name: str, route: int) -> float:
    """Share of the last 4 s before the trigger and the first 1 s after in which it is hidden."""
    spec = scenario_spec(name)
    world = World(scenario=name)
    scene = simulator.start_route(route, suite=spec.route_suite, world=world)
    driver = Expert(CARELESS)
    driver.reset(scene)
    frame, seen, after = simulator.frame(), [], 0
    for _ in range(MAX_STEPS):
        actor = simulator.scenario.actor_ids().get(HIDDEN[name])
        if actor is not None and actor in frame.objects.ids:
            seen.append(bool(visible(frame, scene.walls)[frame.objects.ids == actor][0]))
        after += simulator.scenario.status == "running"
        if after == 10 or simulator.scenario.status in ("success", "failure"):
            break
        frame = simulator.step(driver.drive(frame))
    assert seen and after, f"{name} was never staged or never triggered"
    last = seen[-50:]
    return 1.0 - sum(last) / len(last)


def test_the_suite_is_of_situations_that_hide_somebody():
    suite = all_suites()["occlusion"]
    assert set(suite.scenario_list) == set(HIDDEN)
    assert suite.seeds >= 5
    apart = [n for n in HIDDEN if scenario_spec(n).about == "occlusion"]
    assert not set(apart) & set(all_suites()["scenarios"].scenario_list)


@pytest.mark.parametrize("name", FAST)
def test_who_matters_is_hidden(towns: Towns, name):
    town, route = stages_of(name)[0]
    assert share_hidden(towns(town), name, route) > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in HIDDEN if n.startswith("occluded")])
def test_who_matters_is_hidden_on_every_stage(towns: Towns, name):
    for town, route in stages_of(name):
        assert share_hidden(towns(town), name, route) > 0.5, (town, route)
