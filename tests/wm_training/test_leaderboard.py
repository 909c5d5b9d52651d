"""Driving scores against figures worked out by hand from the Leaderboard's formulae."""

from __future__ import annotations

import pytest

from wm_perception.frame import Contact, ObjectClass
from wm_training.infractions import Infraction, collision_kind, count_kinds
from wm_training.leaderboard import score_20, score_21
from wm_training.nocrash import time_limit_s


@pytest.mark.parametrize(
    "counts, newer, older",
    [
        ({}, 100.0, 100.0),
        ({"collision_person": 1}, 100 / 2.0, 50.0),
        ({"collision_vehicle": 1}, 100 / 1.7, 60.0),
        ({"collision_static": 1}, 100 / 1.6, 65.0),
        ({"red_light": 1}, 100 / 1.4, 70.0),
        ({"red_light": 3}, 100 / 2.2, 34.3),
        ({"collision_vehicle": 1, "red_light": 2}, 100 / 2.5, 29.4),
        ({"off_road": 2, "timeout": 1}, 100.0, 100.0),
    ],
)
def test_the_price_of_each_infraction(counts, newer, older):
    assert score_20(100.0, 0.0, counts) == pytest.approx(older)
    assert score_21(100.0, 0.0, counts) == pytest.approx(newer)


def test_completion_and_the_way_outside_the_lanes_count_in_both():
    assert score_20(80.0, 0.25, {}) == pytest.approx(60.0)
    assert score_21(80.0, 0.25, {}) == pytest.approx(60.0)


def test_minimum_speed():
    assert score_20(100.0, 0.0, {}, [100.0, 250.0, 50.0]) == pytest.approx(100 * 0.85)
    assert score_21(100.0, 0.0, {}, [100.0, 250.0, 50.0]) == pytest.approx(100 / 1.2)
    assert score_21(100.0, 0.0, {}, [0.0] * 4) == pytest.approx(100 / 2.6)


def test_kinds_of_collision():
    hit = {
        kind: collision_kind(Contact(1, kind, (0.0, 0.0)))
        for kind in (ObjectClass.PEDESTRIAN, ObjectClass.BIKE, ObjectClass.TRUCK,
                     ObjectClass.BARRIER, ObjectClass.UNKNOWN)
    }  # fmt: skip
    assert list(hit.values()) == [
        "collision_person", "collision_vehicle", "collision_vehicle", "collision_static",
        "collision_static",
    ]  # fmt: skip
    assert collision_kind(None) == "collision_vehicle", "a source that does not say"
    twice = [Infraction("red_light", 0.0, 0.0, 0.0, 0.0)] * 2
    assert count_kinds(twice)["red_light"] == 2
    assert count_kinds(twice)["timeout"] == 0


def test_nocrash_gives_five_kilometres_an_hour_and_twenty_seconds():
    assert time_limit_s(1000.0) == pytest.approx(740.0)
