"""The judge: completion, penalties and endings on drives that can be checked by hand."""

import json
from dataclasses import MISSING, asdict, fields, replace
from types import SimpleNamespace

import numpy as np
import pytest

from wm_perception.frame import (
    Contact,
    EgoState,
    LightBox,
    LightState,
    ObjectClass,
    Objects,
    SceneFrame,
)  # fmt: skip
from wm_perception.route import Route
from wm_perception.scene import Scene
from wm_training.intervals import bootstrap_mean, poisson_rate, wilson
from wm_training.scoring import RouteScorer
from wm_training.summary import read_result, summarise

DT_NS = 100_000_000
NOBODY = Objects()
OTHER = 10_007


def car_at(x: float, y: float = 0.0) -> Objects:
    return Objects(
        np.array([OTHER]), np.array([[x, y, 0.0]]), np.zeros((1, 2)), np.array([[4.5, 1.85]])
    )


def contact_with(kind: ObjectClass, other: int = OTHER) -> Contact:
    return Contact(other, kind, (-1000.0, 0.0))


def make_scene(off_road=lambda ego: False):
    town = SimpleNamespace(is_off_road=off_road)
    route = Route(np.array([[0.0, 0.0], [105.0, 0.0]]))
    return Scene(town, route, (LightBox(1, (48.0, 0.0), 0.0, 4.0, 3.0),))


def drive(
    scene, stations, lateral=0.0, speed=5.0, collided_at=None, light=LightState.GREEN,
    contact=None, objects=NOBODY, off_route_m=3.0,
):  # fmt: skip
    scorer = RouteScorer(scene, off_route_m=off_route_m)
    for i, s in enumerate(stations):
        ego = EgoState(float(s), lateral, 0.0, speed)
        hit = i == collided_at
        frame = SceneFrame(
            i * DT_NS, ego, objects, {1: light}, hit, contact=contact if hit else None
        )
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


@pytest.mark.parametrize(
    "kind, factor",
    [(ObjectClass.PEDESTRIAN, 0.50), (ObjectClass.CAR, 0.60), (ObjectClass.TRUCK, 0.60),
     (ObjectClass.BIKE, 0.60), (ObjectClass.BARRIER, 0.65)],
)  # fmt: skip
def test_what_is_hit_sets_the_price(kind, factor):
    contact = contact_with(kind)
    result = drive(make_scene(), np.arange(0, 106, 0.5), collided_at=100, contact=contact)
    assert result.driving_score == pytest.approx(factor * result.route_completion)


@pytest.mark.parametrize(
    "about, at_fault",
    [
        ({"objects": car_at(54.4)}, 1),  # ran into the car ahead
        ({"objects": car_at(45.6)}, 0),  # hit from behind
        ({"objects": car_at(45.6), "lateral": 1.5}, 1),  # ... half in the other lane
        ({"objects": car_at(54.4), "speed": 0.0}, 0),  # standing
        ({"objects": car_at(45.6), "light": LightState.RED}, 1),  # after a red light
        ({"objects": NOBODY}, 1),  # somebody who is nowhere to be seen: benefit to nobody
    ],
)
def test_whose_fault_it_was(about, at_fault):
    contact = contact_with(ObjectClass.CAR)
    result = drive(make_scene(), np.arange(0, 106, 0.5), collided_at=100, contact=contact, **about)
    assert result.collisions == 1
    assert result.at_fault_collisions == at_fault


def test_a_building_is_never_at_fault():
    contact = contact_with(ObjectClass.BARRIER, other=0)
    result = drive(make_scene(), np.arange(0, 106, 0.5), collided_at=100, contact=contact)
    assert result.at_fault_collisions == 1


def test_a_task_may_allow_more_distance_from_the_route():
    stations = np.arange(0, 106, 0.5)
    assert drive(make_scene(), stations, lateral=4.0, off_route_m=5.0).outcome == "completed"


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
    assert report["summary"]["km"] == pytest.approx(0.2, abs=0.01)
    assert report["summary"]["scenario_success"] is None
    assert report["summary"]["deadline_miss_rate"] == pytest.approx(1 / 3)
    assert len(report["routes"]) == report["summary"]["routes"] == 2


def test_rates_come_with_intervals():
    stations = np.arange(0, 106, 0.5)
    bad = drive(make_scene(), stations, collided_at=100, contact=contact_with(ObjectClass.CAR))
    results = [drive(make_scene(), stations) for _ in range(9)] + [bad]
    staged = [
        replace(r, route=i, scenario="cut_in", scenario_success=r is not bad)
        for i, r in enumerate(results)
    ]
    summary = summarise(staged, [], 100.0)["summary"]
    for name in ("collisions_per_km", "at_fault_collisions_per_km", "driving_score",
                 "route_completion", "scenario_success"):  # fmt: skip
        low, high = summary[f"{name}_95"]
        assert low < summary[name] < high, name
    assert summary["at_fault_collisions_per_km"] == pytest.approx(1 / summary["km"])
    assert summary["scenarios"] == {"cut_in": [9, 10]}


def test_intervals_are_the_published_ones():
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-3)
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-3)
    assert wilson(0, 0) == (0.0, 1.0)
    # Garwood's exact limits: 0 events 0 - 3.69, 5 events 1.62 - 11.67
    assert poisson_rate(0, 1.0) == pytest.approx((0.0, 3.689), abs=1e-3)
    assert poisson_rate(5, 2.0) == pytest.approx((1.623 / 2, 11.668 / 2), abs=1e-3)
    low, high = bootstrap_mean([0.0] * 50 + [100.0] * 50)
    assert 38 < low < 45 and 55 < high < 62
    assert bootstrap_mean([7.0, 7.0]) == (7.0, 7.0)


def test_a_route_says_what_happened_where():
    contact = contact_with(ObjectClass.PEDESTRIAN)
    result = drive(
        make_scene(lambda ego: 20.0 < ego.x < 25.0 or ego.x > 70.0), np.arange(0, 106, 0.5),
        collided_at=150, contact=contact, light=LightState.RED,
    )  # fmt: skip
    kinds = [event.kind for event in result.infractions]
    assert kinds == ["off_road", "red_light", "off_road", "collision_person"]
    assert [event.station_m for event in result.infractions] == pytest.approx(
        [20.5, 48.0, 70.5, 75.0], abs=2.5
    )
    assert result.infractions[-1].time_s == pytest.approx(15.0)
    assert (result.infractions[-1].x, result.infractions[-1].y) == (75.0, 0.0)
    stuck = drive(make_scene(), np.full(1000, 10.0), speed=0.0)
    assert [event.kind for event in stuck.infractions] == ["blocked"]


def test_both_leaderboards_are_given_side_by_side():
    result = drive(make_scene(), np.arange(0, 106, 0.5), light=LightState.RED)
    assert (result.driving_score, result.driving_score_21) == pytest.approx((70.0, 100 / 1.4))
    assert (result.leaderboard_20, result.leaderboard_21) == pytest.approx((70.0, 100 / 1.4))
    slow = drive(make_scene(), np.arange(0, 106, 0.5), objects=fast_car())
    assert slow.driving_score == slow.driving_score_21 == 100.0
    assert slow.leaderboard_20 == pytest.approx(100 * 0.85**4)
    assert slow.leaderboard_21 == pytest.approx(100 / (1 + 4 * 0.2))
    assert slow.driving_efficiency == pytest.approx(50.0)


def fast_car() -> Objects:
    """Somebody else, who is twice as fast, far away."""
    return replace(car_at(900.0), velocities=np.array([[10.0, 0.0]]))


def test_success_is_judged_as_in_bench2drive_and_nocrash():
    clean = drive(make_scene(), np.arange(0, 106, 0.5))
    assert clean.bench2drive_success and clean.nocrash_success
    red = drive(make_scene(), np.arange(0, 106, 0.5), light=LightState.RED)
    assert (red.bench2drive_success, red.nocrash_success) == (False, True)
    # 105 m at 5 km/h and 20 s are 95.6 s; this one takes 105 s.
    late = drive(make_scene(), np.arange(0, 106, 0.1))
    assert (late.bench2drive_success, late.nocrash_success) == (True, False)
    hit = drive(make_scene(), np.arange(0, 106, 0.5), collided_at=100)
    assert (hit.bench2drive_success, hit.nocrash_success) == (False, False)


def test_a_result_survives_json_and_older_files_are_read():
    result = drive(make_scene(), np.arange(0, 106, 0.5), light=LightState.RED)
    row = json.loads(json.dumps(asdict(result)))
    assert read_result(row) == result
    added = [f.name for f in fields(result) if f.default is not MISSING][3:]
    old = {name: value for name, value in row.items() if name not in added}
    assert read_result(old).driving_score_21 is None
    assert read_result(old).infractions == ()
    summary = summarise([read_result(old)], [], 100.0)["summary"]
    assert summary["driving_score_21"] is None
    assert summary["driving_score"] == pytest.approx(70.0)


def test_rates_by_kind_and_scores_by_town():
    stations = np.arange(0, 106, 0.5)
    red = drive(make_scene(), stations, light=LightState.RED)
    clean = drive(make_scene(), stations)
    results = [replace(red, town="a"), replace(clean, town="b"), replace(clean, town="b", route=1)]
    summary = summarise(results, [], 100.0)["summary"]
    rate = summary["infractions_per_km"]["red_light"]
    low, high = summary["infractions_per_km_95"]["red_light"]
    assert rate == summary["red_lights_per_km"] == pytest.approx(1 / summary["km"])
    assert low < rate < high
    assert summary["infractions_per_km"]["collision_person"] == 0.0
    assert summary["groups"]["town"]["a"]["driving_score"] == pytest.approx(70.0)
    assert summary["groups"]["town"]["b"]["routes"] == 2
    assert "weather" not in summary["groups"], "there was but one"
    assert summary["bench2drive_success"] == pytest.approx(2 / 3)
    assert summary["seeds"] == 1
