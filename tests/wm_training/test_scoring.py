"""The judge: completion, penalties and endings on drives that can be checked by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from wm_perception.frame import EgoState, LightBox, LightState, SceneFrame
from wm_perception.route import Route
from wm_perception.scene import Scene
from wm_training.scoring import RouteScorer, summarise

DT_NS = 100_000_000


def make_scene(off_road=lambda ego: False):
    town = SimpleNamespace(is_off_road=off_road)
    route = Route(np.array([[0.0, 0.0], [105.0, 0.0]]))
    return Scene(town, route, (LightBox(1, (48.0, 0.0), 0.0, 4.0, 3.0),))


def drive(scene, stations, lateral=0.0, speed=5.0, collided_at=None, light=LightState.GREEN):
    scorer = RouteScorer(scene)
    for i, s in enumerate(stations):
        ego = EgoState(float(s), lateral, 0.0, speed)
        frame = SceneFrame(i * DT_NS, ego, light_states={1: light}, collided=i == collided_at)
        if scorer.update(frame):
            break
    return scorer.result("t", 0)


def test_a_clean_drive_scores_100():
    result = drive(make_scene(), np.arange(0, 106, 0.5))
    assert (result.outcome, result.route_completion, result.driving_score) == (
        "completed", 100.0, 100.0,
    )  # fmt: skip


def test_half_the_way_is_half_the_completion():
    result = drive(make_scene(), np.arange(0, 50.5, 0.5))
    assert result.outcome == "stopped"
    assert result.route_completion == pytest.approx(50.0, abs=1.0)


def test_a_collision_ends_the_route_and_costs_forty_percent():
    result = drive(make_scene(), np.arange(0, 106, 0.5), collided_at=100)
    assert result.outcome == "collision"
    assert result.driving_score == pytest.approx(0.6 * result.route_completion)


def test_a_red_light_costs_thirty_percent():
    result = drive(make_scene(), np.arange(0, 106, 0.5), light=LightState.RED)
    assert result.red_lights == 1
    assert result.driving_score == pytest.approx(70.0)


def test_off_road_share_is_lost():
    scene = make_scene(lambda ego: ego.x > 50.0)
    result = drive(scene, np.arange(0, 106, 0.5))
    assert result.offroad_fraction == pytest.approx(0.5, abs=0.02)
    assert result.driving_score == pytest.approx(50.0, abs=2.0)


def test_leaving_the_route_ends_it():
    assert drive(make_scene(), np.arange(0, 106, 0.5), lateral=3.3).outcome == "off_route"
    assert drive(make_scene(), np.arange(0, 106, 0.5), lateral=2.7).outcome == "completed"


def test_standing_still_is_blocked_after_ninety_seconds():
    result = drive(make_scene(), np.full(1000, 10.0), speed=0.0)
    assert result.outcome == "blocked"
    assert result.duration_s == pytest.approx(90.1, abs=0.2)


def test_summary_has_the_stable_keys():
    results = [drive(make_scene(), np.arange(0, 106, 0.5)) for _ in range(2)]
    report = summarise(
        results, [10.0, 30.0, 200.0], 100.0, seed=0, model="m", suite="s", driver="d"
    )
    expected = {
        "route_completion", "driving_score", "collisions_per_km", "red_lights_per_km",
        "offroad_fraction", "plan_ms_p50", "plan_ms_p99", "deadline_miss_rate", "routes", "seed",
        "model", "suite",
    }  # fmt: skip
    assert expected <= set(report["summary"])
    assert report["summary"]["deadline_miss_rate"] == pytest.approx(1 / 3)
    assert len(report["routes"]) == report["summary"]["routes"] == 2
