"""Suites: what they hold, that the old ones are what they were, and the curriculum."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from wm_dynamics.errors import UserError
from wm_sim.rewards import reward_config
from wm_sim.scenarios import scenario_names, scenario_spec
from wm_sim.scenarios.suites import SuitesFile, SuiteSpec, curriculum, read_suites
from wm_sim.town_files import shipped_towns
from wm_sim.weather import PRESETS
from wm_sim.world import World
from wm_training.frame_faults import frame_faults
from wm_training.scoring import OFF_ROUTE_M, TIME_LIMIT_S
from wm_training.suites import SUITES, RouteTask, scenario_task, suite_tasks

CLASSIC = {
    "test-notraffic": (("test01", "test02"), 15, 0),
    "test-traffic": (("test01", "test02"), 15, 20),
    "val-notraffic": (("val01", "val02"), 10, 0),
    "val-traffic": (("val01", "val02"), 10, 20),
    "tiny": (("tiny",), 2, 4),
}
# CARLA's own towns, which do not ship, and their suites.
CARLAS = {f"Town{n}": f"test-town{n}" for n in ("01", "02", "03", "05")}


@pytest.mark.parametrize("name", CLASSIC)
def test_the_published_suites_never_change(name):
    towns, routes, traffic = CLASSIC[name]
    expected = [RouteTask(town, r, traffic, 5) for town in towns for r in range(routes)]
    assert suite_tasks(name, 5) == expected
    assert {task.world for task in expected} == {World()}
    assert {task.off_route_m for task in expected} == {OFF_ROUTE_M}


def towns_of(name):
    suite = SUITES[name]
    of_scenarios = {t for s in suite.scenario_list for t in scenario_spec(s).stages}
    return {*suite.towns, *of_scenarios}


SHIPPED = [name for name in SUITES if towns_of(name) <= set(shipped_towns())]


def test_only_test_suites_use_test_towns():
    for name in SUITES:
        towns = towns_of(name)
        assert towns <= {*shipped_towns(), *CARLAS}, name
        tested = {town for town in towns if town.startswith("test") or town in CARLAS}
        assert tested == (towns if name.startswith("test-") else set()), name


def test_a_suite_whose_town_is_missing_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("WM_TOWNS", str(tmp_path))
    assert set(SUITES) - set(SHIPPED) == {*CARLAS.values(), "test-towns"}
    with pytest.raises(UserError, match=r"needs Town03, .*`wm town add Town03.xodr` adds it"):
        suite_tasks("test-town03", 0)
    for town in CARLAS:
        (tmp_path / f"{town}.net.xml.gz").touch()
    tasks = suite_tasks("test-towns", 0, seeds=3)
    assert Counter(task.town for task in tasks) == dict.fromkeys(CARLAS, 30)


def test_every_test_suite_gives_thirty_drives_with_three_seeds():
    for name in SUITES:
        if name.startswith("test-"):
            suite = SUITES[name]
            assert 3 * len(suite.towns) * suite.routes * len(suite.weathers) >= 30, name


def test_seeds_repeat_every_route_with_other_traffic():
    tasks = suite_tasks("val-traffic", 4, seeds=3)
    assert len(tasks) == 3 * len(suite_tasks("val-traffic", 4))
    assert Counter(task.seed for task in tasks) == {4: 20, 5: 20, 6: 20}
    assert suite_tasks("val-traffic", 4) == [task for task in tasks if task.seed == 4]
    runs = suite_tasks("scenario-blocked_lane", 0, seeds=2)
    assert [task.seed for task in runs] == list(range(6))


def test_the_faults_suite_drives_the_same_routes_with_each_fault():
    tasks = suite_tasks("faults", 0)
    by_fault = {}
    for task in tasks:
        by_fault.setdefault(task.fault, []).append(replace(task, fault=""))
    assert len({tuple(rows) for rows in by_fault.values()}) == 1
    assert "" in by_fault, "the row to compare with"
    for fault in by_fault:
        frame_faults(fault)
    delays = [f for text in by_fault for f in frame_faults(text) if f.kind == "delay"]
    assert sorted(f.value for f in delays) == [1, 2, 3, 4, 5]


def test_a_suite_of_every_weather():
    tasks = suite_tasks("test-weather", 0)
    assert {task.world.weather for task in tasks} == set(PRESETS)
    assert len(tasks) >= 30


def test_every_suite_has_tasks_that_differ_and_keep_its_limits():
    for name in SHIPPED:
        tasks = suite_tasks(name, seed=3, time_limit_s=9.0)
        assert tasks and len(tasks) == len(set(tasks)), name
        assert {task.time_limit_s for task in tasks} == {9.0}
        assert all(3 <= task.seed < 10 for task in tasks)


def test_the_scenario_suites():
    tasks = suite_tasks("scenarios", 0)
    counts = Counter(task.scenario for task in tasks)
    assert set(counts.values()) == {3}
    about = {name: scenario_spec(name).about for name in scenario_names()}
    assert set(counts) == {n for n, a in about.items() if a in ("road users", "rules")}
    hidden = {name for name, a in about.items() if a == "occlusion"}
    assert hidden and hidden <= set(SUITES["occlusion"].scenario_list)
    assert len(counts) >= 20
    one = suite_tasks("scenario-blocked_lane", 7)
    assert [task.seed for task in one] == [7, 8, 9]
    assert {task.off_route_m for task in one} == {scenario_spec("blocked_lane").off_route_m}
    assert len({(task.town, task.route) for task in one}) == 3, "its stages in turn"
    assert scenario_task(World(scenario="merge"), 4, 0, 0).route_suite == "scenarios"


def test_there_is_a_suite_for_every_weather():
    for name in PRESETS:
        assert {task.world.weather for task in suite_tasks(f"weather-{name}", 0)} == {name}


def test_the_mixed_suite_is_mixed():
    (world,) = {task.world for task in suite_tasks("test-mixed", 0)}
    assert world.pedestrians == 20 and world.cyclists > 0 and world.trucks > 0
    assert SUITES["test-mixed"].traffic == 30


def test_the_curriculum_is_the_one_that_was_asked_for():
    phases = curriculum()
    assert list(phases) == sorted(phases) and len(phases) == 10
    episodes = [phase.episodes for phase in phases.values()]
    assert episodes == [50, 100, 300, 500, 750, 250, 600, 1000, 1500, 2000]
    vehicles = [p.traffic + p.trucks + p.cyclists + p.parked for p in phases.values()]
    assert vehicles == [0, 0, 0, 0, 20, 0, 15, 25, 40, 60]
    assert [p.pedestrians for p in phases.values()] == [0, 0, 0, 0, 10, 0, 10, 15, 30, 40]
    for name, phase in phases.items():
        criteria = (phase.goal_completion, phase.collision_free, phase.sidewalk_free)
        assert criteria == (0.6, 0.8, 0.9)
        assert reward_config(phase.reward).weights
        assert suite_tasks(name, 0)


@pytest.mark.parametrize(
    "about, complaint",
    [
        ({}, "either towns and routes, or scenarios"),
        ({"towns": ["tiny"], "routes": 1, "scenarios": "all"}, "either"),
        ({"towns": ["tiny"], "routes": 1, "cars": 3}, "Extra inputs"),
        ({"towns": ["tiny"], "routes": -1}, "greater than or equal to 0"),
        ({"scenarios": "some"}, "all"),
        ({"scenarios": "all", "weather": "all"}, "one weather and no faults"),
    ],
)
def test_a_wrong_suite_is_refused(about, complaint):
    with pytest.raises(ValueError, match=complaint):
        SuiteSpec.model_validate(about)


def test_what_a_suite_names_must_exist():
    with pytest.raises(UserError, match="unknown scenario 'alien'"):
        SuiteSpec(scenarios=("alien",))
    with pytest.raises(UserError, match="unknown weather 'plague'"):
        SuiteSpec(towns=("tiny",), routes=1, weather="plague")
    with pytest.raises(UserError, match="is no fault"):
        SuiteSpec(towns=("tiny",), routes=1, faults=("bad luck",))
    with pytest.raises(UserError, match="unknown suite 'night'; known suites: test-notraffic"):
        suite_tasks("night", 0)
    with pytest.raises(UserError, match="distance from the route"):
        RouteTask("tiny", 0, 0, 0, TIME_LIMIT_S, off_route_m=0.0)


def test_a_mistake_in_the_file_is_named(tmp_path):
    path = tmp_path / "suites.yaml"
    path.write_text("suites: {a: {towns: [tiny], routes: many}}\nweather: {}\ncurriculum: {}\n")
    with pytest.raises(UserError, match=r"suites.yaml: suites.a.routes"):
        read_suites(path)
    assert isinstance(read_suites(), SuitesFile)
