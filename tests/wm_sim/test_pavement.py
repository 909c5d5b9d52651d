"""Where people on foot are shown."""

from __future__ import annotations

import numpy as np
import pytest

from wm_perception.conventions import to_ego
from wm_perception.frame import Objects
from wm_sim.pavement import CLEAR_M, keep_clear

POSE = np.array([20.0, 5.0, 0.7])
SIZE = np.array([4.5, 1.85])
CAR = Objects(np.zeros(1, np.int64), POSE[None], np.zeros((1, 2)), SIZE[None])


def gap(points: np.ndarray) -> np.ndarray:
    """Distance from the car's body along its nearest axis, m; negative inside."""
    return (np.abs(to_ego(points, POSE)) - SIZE / 2).max(1)


def test_people_keep_clear_of_a_standing_car():
    points = POSE[:2] + np.random.default_rng(0).uniform(-4.0, 4.0, (500, 2))
    moved = keep_clear(points, CAR)
    assert gap(points).min() < 0.0
    assert gap(moved).min() >= CLEAR_M - 1e-9
    far = gap(points) >= CLEAR_M
    np.testing.assert_array_equal(moved[far], points[far])
    assert np.hypot(*(moved - points).T).max() <= SIZE[1] / 2 + CLEAR_M + 1e-9


def test_nobody_stands_there_nobody_moves():
    points = np.ones((3, 2))
    np.testing.assert_array_equal(keep_clear(points, Objects()), points)


@pytest.mark.parametrize("heading", [0.0, 0.7])
def test_a_person_does_not_walk_through_a_standing_ego(heading):
    """Straight at the middle of its side; SUMO's person goes on, the one that is seen does not."""
    from wm_sim.pavement import Pavement
    from wm_sim.simulator import Simulator

    with Simulator("tiny") as simulator:
        town = simulator.town
    pavement = Pavement(town)
    x, y = town.origin + 60.0
    pose = np.array([x, y, heading])
    car = Objects(np.zeros(1, np.int64), pose[None], np.zeros((1, 2)), SIZE[None])
    across = np.array([-np.sin(heading), np.cos(heading)])
    shown, before = [], None
    for metres in np.arange(4.0, -4.0, -0.13):
        person = Objects(
            np.array([7]), np.array([[*(pose[:2] + metres * across), 0.0]]), np.zeros((1, 2)),
            np.full((1, 2), 0.5),
        )  # fmt: skip
        seen = pavement.show(person, np.array([True]), Objects(), car, 0.1).poses[0, :2]
        local = np.abs(to_ego(seen, pose)) - SIZE / 2
        shown.append(float(local.max()))
        if before is not None:
            assert np.hypot(*(seen - before)) <= 0.26
        before = seen
    assert min(shown) >= CLEAR_M - 1e-6
