"""GNSS: north is +y, metres become degrees, noise, maps with and without a reference."""

from __future__ import annotations

import math
import re

import carla
import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_perception.frame import EgoState
from wm_sim.gnss import EARTH_RADIUS_M, Gnss
from wm_sim.sensor_clock import Tick
from wm_sim.sensor_spec import SensorSpec
from wm_sim.town_files import load_town
from wm_sim.view import WorldView


@pytest.fixture(scope="module")
def carla_map():
    return carla.Map("tiny", load_town("tiny").xodr_text)


def measure(carla_map, x=0.0, y=0.0, yaw=0.0, seed=0, attributes=None, **pose):
    spec = SensorSpec("gnss", "sensor.other.gnss", attributes=attributes or {}, **pose)
    view = WorldView(0, 0.1, EgoState(x, y, yaw, 0.0))
    return Gnss(spec, carla_map).measure(view, Tick(0.0, 0.1, np.random.default_rng(seed)))


def test_north_is_y_and_east_is_x(carla_map):
    degree_m = math.radians(1.0) * EARTH_RADIUS_M
    north, east = measure(carla_map, y=1000.0), measure(carla_map, x=1000.0)
    assert (north.latitude, north.longitude) == pytest.approx((1000.0 / degree_m, 0.0), rel=1e-6)
    assert (east.latitude, east.longitude) == pytest.approx((0.0, 1000.0 / degree_m), abs=1e-9)


def test_the_mounting_counts(carla_map):
    reading = measure(carla_map, yaw=math.pi / 2, x=0.0, z=2.0)
    assert reading.altitude == pytest.approx(2.0)
    spec = SensorSpec("gnss", "sensor.other.gnss", x=1.0)
    view = WorldView(0, 0.1, EgoState(0.0, 0.0, math.pi / 2, 0.0))
    tick = Tick(0.0, 0.1, np.random.default_rng(0))
    assert Gnss(spec, carla_map).measure(view, tick).latitude > 8e-6  # 1 m ahead is north


@pytest.mark.parametrize("reference, origin", [("+lat_0=49 +lon_0=8", (49, 8)), (None, (42, 2))])
def test_the_reference_of_the_map_is_the_origin(reference, origin):
    text = load_town("tiny").xodr_text
    tag = f"<geoReference><![CDATA[+proj=tmerc {reference}]]></geoReference>" if reference else ""
    text = re.sub("<geoReference>.*</geoReference>", tag, text)
    reading = measure(carla.Map("moved", text), x=100.0, y=100.0)
    degree_m = math.radians(1.0) * EARTH_RADIUS_M
    east = 100.0 / degree_m / math.cos(math.radians(origin[0]))
    expected = (origin[0] + 100.0 / degree_m, origin[1] + east)
    assert (reading.latitude, reading.longitude) == pytest.approx(expected, abs=1e-8)


def test_noise_and_bias_are_in_degrees_and_metres(carla_map):
    attributes = {"noise_lat_bias": "1e-5", "noise_alt_stddev": "0.5"}
    many = [measure(carla_map, seed=seed, attributes=attributes) for seed in range(300)]
    assert many[0].latitude == pytest.approx(1e-5) and many[0].longitude == 0.0
    assert np.std([r.altitude for r in many]) == pytest.approx(0.5, abs=0.06)
    assert many[5] == measure(carla_map, seed=5, attributes=attributes)
    with pytest.raises(UserError, match="noise_lon_stddev"):
        measure(carla_map, attributes={"noise_lon_stddev": "-1"})
