"""Radar: cone, angles in CARLA's signs, radial velocity, what hides what."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_perception.frame import EgoState, Objects
from wm_perception.town_map import TownMap
from wm_sim.radar import Radar
from wm_sim.rig import default_rig
from wm_sim.scenery import Scenery
from wm_sim.sensor_clock import Tick
from wm_sim.sensor_spec import SensorSpec
from wm_sim.town_files import load_town
from wm_sim.view import WorldView

FIELD = -900.0  # x and y of a place far outside the town, where nothing stands


@pytest.fixture(scope="module")
def scenery():
    return Scenery(TownMap.from_opendrive(load_town("tiny").xodr_text, "tiny"))


def measure(scenery, objects=None, speed=0.0, yaw=0.0, yaw_rate=0.0, **attributes):
    spec = default_rig().sensor("radar_front")
    spec = SensorSpec(
        spec.id, spec.type, spec.x, spec.y, spec.z, attributes={**spec.attributes, **attributes}
    )
    view = WorldView(
        0, 0.1, EgoState(FIELD, FIELD, yaw, speed, yaw_rate), objects=objects or Objects()
    )
    return Radar(spec).measure(scenery, view, Tick(0.0, 0.1, np.random.default_rng(0)))


def car(ahead, left=0.0, velocity=(0.0, 0.0), size=(4.5, 1.85), height=1.5):
    return Objects(
        np.array([1]),
        np.array([[FIELD + 2.0 + ahead + size[0] / 2, FIELD + left, 0.0]]),
        np.array([velocity]),
        np.array([size]),
        heights=np.array([height]),
    )


def test_rays_fill_a_cone_of_30_by_10_degrees(scenery):
    wall = car(80.0, size=(1.0, 200.0), height=80.0)
    points = measure(scenery, wall, points_per_second="20000")
    assert len(points) == 2000
    assert np.degrees(np.abs(points["AzimuthAngle"])).max() == pytest.approx(15.0, abs=0.3)
    assert np.degrees(np.abs(points["ElevationAngle"])).max() == pytest.approx(5.0, abs=0.2)
    np.testing.assert_allclose(points["x"][points["z"] > -1.9], 80.0, atol=1e-3)
    distance = np.sqrt(points["x"] ** 2 + points["y"] ** 2 + points["z"] ** 2)
    np.testing.assert_allclose(points["Range"], distance, rtol=1e-5)


def test_azimuth_is_right_positive_and_y_left_positive(scenery):
    points = measure(scenery, car(20.0, left=3.0), points_per_second="20000")
    on_car = points[points["x"] < 20.01]
    assert len(on_car) > 10
    assert (on_car["y"] > 0).all() and (on_car["AzimuthAngle"] < 0).all()
    np.testing.assert_allclose(
        on_car["y"],
        on_car["Range"] * np.sin(-on_car["AzimuthAngle"]) * np.cos(on_car["ElevationAngle"]),
        atol=1e-4,
    )


def test_velocity_is_the_rate_of_the_range(scenery):
    def nearest(ego_speed, other_speed):
        points = measure(scenery, car(30.0, velocity=(other_speed, 0.0)), speed=ego_speed)
        return points[(points["x"] < 30.01) & (points["z"] > -1.9)]  # not the ground

    assert nearest(10.0, 4.0)["Velocity"] == pytest.approx(-6.0, abs=0.1)  # closing in
    assert nearest(4.0, 10.0)["Velocity"] == pytest.approx(6.0, abs=0.1)
    assert nearest(7.0, 7.0)["Velocity"] == pytest.approx(0.0, abs=0.1)
    ground = measure(scenery, speed=10.0)
    cosine = ground["x"] / ground["Range"]
    np.testing.assert_allclose(ground["Velocity"], -10.0 * cosine, rtol=1e-4)


def test_turning_sweeps_the_sensor_sideways(scenery):
    """The radar sits 2 m ahead of the centre, so a left turn carries it to the left."""
    points = measure(scenery, yaw=0.7, yaw_rate=0.5, points_per_second="9000")
    np.testing.assert_allclose(
        points["Velocity"], -1.0 * points["y"] / points["Range"], rtol=1e-3, atol=1e-4
    )


def test_nothing_behind_a_car_or_beyond_the_range(scenery):
    hidden = measure(scenery, car(10.0, size=(1.0, 60.0), height=30.0) + car(40.0))
    assert hidden["x"].max() < 10.01
    assert len(measure(scenery, car(30.0, size=(1.0, 200.0), height=40.0), range="25")) == 0


def test_the_same_draws_the_same_rays(scenery):
    first, second = (measure(scenery, car(15.0)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_impossible_attributes_are_refused(scenery):
    with pytest.raises(UserError, match="horizontal_fov"):
        measure(scenery, horizontal_fov="180")
    with pytest.raises(UserError, match="points_per_second"):
        measure(scenery, points_per_second=str(math.inf))
