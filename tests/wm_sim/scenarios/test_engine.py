"""Scenarios under way: who masters them, who does not, and that a seed fixes everything."""

from __future__ import annotations

import numpy as np
import pytest
from stages import CARELESS, Corner, brakes_in_time, run

from wm_dynamics.errors import UserError
from wm_perception.frame import Command
from wm_sim.scenarios import load_scenario
from wm_sim.world import World

FAST = [
    ("train01", "lead_hard_brake", 3),
    ("train01", "pedestrian_crossing", 3),
    ("train01", "oncoming_overtake", 1),
    ("stage", "right_before_left", 2),
]


@pytest.mark.parametrize("town, name, route", FAST, ids=[name for _, name, _ in FAST])
def test_the_expert_masters_it_and_the_careless_do_not(towns, town, name, route):
    scenario, _ = run(towns(town), name, route, None)
    assert scenario.status == "success", scenario.text
    scenario, frames = run(towns(town), name, route, CARELESS)
    assert scenario.status == "failure"
    assert any(frame.collided for frame in frames) or "first" in scenario.text


def test_it_can_be_avoided_by_braking(towns):
    assert brakes_in_time(towns("train01"), "lead_hard_brake", 3, 1.0)


def test_the_seed_fixes_the_run(towns):
    runs = [run(towns("train01"), "cyclist_crossing", 3, None, seed) for seed in (4, 4, 5)]
    tracks = [[f.objects.poses.tolist() for f in frames] for _, frames in runs]
    assert tracks[0] == tracks[1] != tracks[2]


def test_it_waits_then_runs_and_clears_up(towns):
    simulator = towns("train01")
    simulator.start_route(3, world=World(scenario="pedestrian_crossing"))
    scenario = simulator.scenario
    assert scenario.status == "waiting"
    assert list(scenario.actor_ids()) == ["walker"], "the place is near enough to see him stand"
    assert {actor.type for actor in simulator.actors()} >= {"walker.pedestrian.0004"}
    scenario, _ = run(simulator, "pedestrian_crossing", 3, None)
    assert scenario.status == "success"
    for _ in range(200):
        simulator.step(Command(0.0, 0.3))
    assert scenario.actor_ids() == {}, "far behind"
    assert scenario.status == "success", "what happens later is another matter"


def test_the_hit_actor_stays(towns):
    simulator = towns("train01")
    scenario, frames = run(simulator, "pedestrian_crossing", 3, CARELESS)
    assert frames[-1].collided
    walker = scenario.actor_ids()["walker"]
    places = []
    for _ in range(3):
        frame = simulator.step(Command(0.0, -1.0))
        places.append(frame.objects.poses[frame.objects.ids == walker][0].tolist())
    assert places[1] == places[2]


def test_night_falls_unless_other_weather_is_asked_for(towns):
    simulator = towns("train01")
    simulator.start_route(3, world=World(scenario="jaywalker_at_night"))
    assert simulator.weather.night
    simulator.start_route(3, world=World(scenario="jaywalker_at_night", weather="rain"))
    assert not simulator.weather.night


def test_a_route_without_a_place_is_refused_and_the_next_one_starts(towns):
    simulator = towns("train01")
    with pytest.raises(UserError, match="no place on this route of 'train01' fits"):
        simulator.start_route(3, world=World(scenario="roundabout"))
    simulator.start_route(3)
    assert simulator.step(Command(0.0, 0.5)).ego.speed_mps > 0.0


def test_an_occupied_place_is_staged_nearby(towns):
    simulator = towns("train01")

    def place_of_cyclist() -> np.ndarray:
        scenario = load_scenario("cyclist_crossing")
        scenario.start(simulator, Corner(0.5))
        (cyclist,) = scenario.actor_ids().values()
        frame = simulator.step(Command())
        return frame.objects.poses[frame.objects.ids == cyclist][0]

    simulator.start_route(3)
    meant = place_of_cyclist()
    simulator.start_route(3)
    simulator.spawn("static.prop.bin", *meant)
    found = place_of_cyclist()
    assert 0.5 < np.hypot(*(found - meant)[:2]) < 3.5


def test_traffic_and_people_may_be_there_too(towns):
    simulator = towns("train01")
    world = World(scenario="lead_hard_brake", pedestrians=5, parked=5)
    simulator.start_route(3, traffic=12, world=world)
    for _ in range(100):
        simulator.step(Command(0.0, 0.2))
    assert simulator.scenario.status in ("waiting", "running", "success", "failure")
