"""Routes: resampling, projection with signs, the reference in the ego frame."""

import numpy as np
import pytest

from wm_perception.route import Route, RouteTracker


def straight(length=100.0):
    return Route(np.array([[0.0, 0.0], [length, 0.0]]))


def test_resamples_to_one_metre():
    route = Route(np.array([[0, 0], [10, 0], [10, 10]], float))
    assert len(route) == 21
    assert route.length_m == pytest.approx(20.0)
    np.testing.assert_allclose(np.hypot(*np.diff(route.points, axis=0).T), 1.0, atol=0.35)


def test_resampling_twice_keeps_the_length():
    angle = np.linspace(0, 2.3, 200)
    route = Route(np.stack([77.7 * np.sin(angle), 77.7 * np.cos(angle)], 1))
    assert len(Route(route.points)) == len(route)


def test_left_of_the_route_is_positive():
    on_route = straight().project(np.array([20.3, 1.5, 0.2]), 20)
    assert on_route.s == pytest.approx(20.3)
    assert on_route.lateral == pytest.approx(1.5)
    assert on_route.heading_error == pytest.approx(0.2)


def test_reference_starts_behind_and_runs_ahead():
    reference = straight().reference(np.array([20.0, 1.0, 0.0]), 20.0)
    assert reference.shape == (51, 2)
    np.testing.assert_allclose(reference[0], [-5.0, -1.0], atol=1e-9)
    np.testing.assert_allclose(reference[-1], [45.0, -1.0], atol=1e-9)


def test_reference_turns_with_the_ego():
    reference = straight().reference(np.array([20.0, 0.0, np.pi / 2]), 20.0)
    np.testing.assert_allclose(reference[-1], [0.0, -45.0], atol=1e-9)  # route goes to our right


def test_extrapolates_past_both_ends():
    route = straight(10.0)
    np.testing.assert_allclose(route.sample(np.array([-3.0, 13.0])), [[-3, 0], [13, 0]], atol=1e-9)


def test_tracker_does_not_jump_where_the_route_meets_itself():
    angle = np.linspace(0, 2 * np.pi, 200)
    loop = np.stack([30 * np.sin(angle), 30 - 30 * np.cos(angle)], 1)
    route = Route(np.concatenate([loop, loop[:20] + [0.0, 0.2]]))
    tracker = RouteTracker(route)
    stations = [tracker.update(np.array([*p, 0.0])).s for p in route.points]
    assert np.all(np.diff(stations) > 0)


@pytest.mark.parametrize("points", [[[0, 0]], [[0, 0], [0, 0]], [[0, 0], [np.nan, 1]]])
def test_refuses_what_is_no_route(points):
    with pytest.raises(ValueError):
        Route(np.array(points, float))
