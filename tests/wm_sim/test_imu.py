"""IMU: signs under braking and turning, mounting, attitude, noise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_perception.conventions import (
    euler_from_rotation,
    quaternion_from_euler,
    rotation_from_euler,
    yaw_from_quaternion,
)
from wm_perception.frame import EgoState
from wm_sim.imu import Imu
from wm_sim.sensor_clock import Tick
from wm_sim.sensor_spec import SensorSpec
from wm_sim.view import WorldView


def measure(accel=(0.0, 0.0), yaw=0.0, yaw_rate=0.0, seed=0, attributes=None, **pose):
    spec = SensorSpec("imu", "sensor.other.imu", attributes=attributes or {}, **pose)
    view = WorldView(0, 0.1, EgoState(0.0, 0.0, yaw, 5.0, yaw_rate), np.array(accel))
    return Imu(spec).measure(view, Tick(0.0, 0.1, np.random.default_rng(seed)))


def test_at_rest_it_feels_gravity_upwards():
    reading = measure()
    assert reading.accel.tolist() == pytest.approx([0.0, 0.0, 9.81])
    assert reading.gyro.tolist() == [0.0, 0.0, 0.0]


def test_braking_and_a_left_turn():
    reading = measure(accel=(-3.0, 1.5), yaw_rate=0.3)
    assert reading.accel.tolist() == pytest.approx([-3.0, 1.5, 9.81])
    assert reading.gyro.tolist() == pytest.approx([0.0, 0.0, 0.3])


def test_away_from_the_centre_a_turn_pulls_inwards():
    reading = measure(yaw_rate=0.5, x=2.0, y=-1.0)
    assert reading.accel[:2].tolist() == pytest.approx([-0.5, 0.25])


def test_readings_are_in_the_axes_of_the_sensor():
    turned = measure(accel=(2.0, 0.0), yaw_rate=0.3, yaw=math.radians(90), pitch=0.0)
    assert turned.accel.tolist() == pytest.approx(
        [2.0, 0.0, 9.81]
    )  # the ego's heading is no matter
    nose_down = measure(pitch=math.radians(30.0), yaw_rate=0.2)
    assert nose_down.accel.tolist() == pytest.approx([-9.81 / 2, 0.0, 9.81 * math.cos(math.pi / 6)])
    assert np.linalg.norm(nose_down.gyro) == pytest.approx(0.2)


def test_attitude_is_that_of_the_sensor_in_the_map():
    spec = SensorSpec("imu", "sensor.other.imu", yaw=0.4)
    view = WorldView(0, 0.1, EgoState(0.0, 0.0, 1.0, 0.0))
    reading = Imu(spec).measure(view, Tick(0.0, 0.1, np.random.default_rng(0)))
    assert yaw_from_quaternion(*reading.orientation) == pytest.approx(1.4)


def test_noise_is_seeded_and_has_the_asked_size():
    attributes = {"noise_accel_stddev_x": "0.5", "noise_gyro_stddev_z": "0.1"}
    many = [measure(seed=seed, attributes=attributes) for seed in range(400)]
    accel, gyro = (np.array([getattr(r, name) for r in many]) for name in ("accel", "gyro"))
    assert accel.std(0).tolist() == pytest.approx([0.5, 0.0, 0.0], abs=0.06)
    assert gyro.std(0).tolist() == pytest.approx([0.0, 0.0, 0.1], abs=0.012)
    again = measure(seed=3, attributes=attributes)
    np.testing.assert_array_equal(again.accel, many[3].accel)


def test_the_bias_is_given_in_the_left_handed_axes_of_carla():
    bias = {f"noise_gyro_bias_{axis}": "0.1" for axis in "xyz"}
    assert measure(attributes=bias).gyro.tolist() == pytest.approx([-0.1, 0.1, -0.1])


def test_a_negative_deviation_is_refused():
    with pytest.raises(UserError, match="noise_accel_stddev_y"):
        measure(attributes={"noise_accel_stddev_y": "-1"})


@pytest.mark.parametrize("angles", [(0.1, -0.4, 2.0), (-3.0, 1.2, -1.0), (0.0, 0.0, 0.5)])
def test_angles_rotation_and_quaternion_agree(angles):
    rotation = rotation_from_euler(*angles)
    assert euler_from_rotation(rotation) == pytest.approx(angles)
    x, y, z, w = quaternion_from_euler(*angles)
    assert x * x + y * y + z * z + w * w == pytest.approx(1.0)
    by_quaternion = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    np.testing.assert_allclose(rotation, by_quaternion, atol=1e-12)
