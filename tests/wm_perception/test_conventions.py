"""Signs and frames, each against a case that can be checked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wm_perception import conventions as c
from wm_perception.frame import Command

unit = st.floats(-1.0, 1.0)


def test_left_steer_is_negative_for_carla():
    throttle, steer, brake = c.to_vehicle_control(Command(steer=0.4, accel=0.5))
    assert (throttle, steer, brake) == (0.5, -0.4, 0.0)


def test_negative_accel_is_brake():
    assert c.to_vehicle_control(Command(accel=-0.7)) == (0.0, 0.0, 0.7)


@given(unit, unit)
def test_control_round_trip(steer, accel):
    back = c.from_vehicle_control(*c.to_vehicle_control(Command(steer, accel)))
    assert back.steer == pytest.approx(steer) and back.accel == pytest.approx(accel)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_command_that_is_not_finite_is_refused_not_clamped(bad):
    with pytest.raises(ValueError, match="not finite"):
        c.to_vehicle_control(Command(steer=bad))
    with pytest.raises(ValueError, match="not finite"):
        c.to_vehicle_control(Command(accel=bad))


def test_ego_frame_has_left_positive_y():
    np.testing.assert_allclose(c.to_ego(np.array([0.0, 5.0]), np.zeros(3)), [0, 5])
    np.testing.assert_allclose(
        c.to_ego(np.array([0.0, 5.0]), np.array([0, 0, np.pi / 2])), [5, 0], atol=1e-12
    )


@given(unit, unit, st.floats(-3, 3))
def test_map_and_ego_are_inverse(x, y, yaw):
    pose = np.array([3.0, -2.0, yaw])
    point = np.array([x, y])
    np.testing.assert_allclose(c.to_map(c.to_ego(point, pose), pose), point, atol=1e-9)


def test_relative_motion_forward_and_left():
    before = np.array([1.0, 1.0, np.pi / 2])
    np.testing.assert_allclose(
        c.relative_motion(before, np.array([0.0, 3.0, np.pi / 2 + 0.1])), [2, 1, 0.1], atol=1e-9
    )


def test_carla_pose_is_mirrored():
    assert c.carla_to_ros_pose(1.0, 2.0, 90.0) == pytest.approx((1.0, -2.0, -np.pi / 2))


@given(st.floats(-3.1, 3.1))
def test_yaw_survives_the_quaternion(yaw):
    assert c.yaw_from_quaternion(*c.quaternion_from_yaw(yaw)) == pytest.approx(yaw)


def test_carlas_left_handed_axes_are_mirrored():
    # CARLA: x forward, y right, z up. A push to the right is negative y in REP-103. A clockwise
    # turn, positive there, is negative here; a turn about the mirrored axis itself keeps its sign.
    assert c.mirror_vector(np.array([1.0, 2.0, 3.0])).tolist() == [1.0, -2.0, 3.0]
    assert c.mirror_rates(np.array([1.0, 2.0, 3.0])).tolist() == [-1.0, 2.0, -3.0]
    vectors = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(c.mirror_rates(c.mirror_rates(vectors)), vectors)


def test_compass_is_clockwise_from_north():
    assert c.compass_from_yaw(math.pi / 2) == pytest.approx(0.0)  # north: +y of the map
    assert c.compass_from_yaw(0.0) == pytest.approx(math.pi / 2)  # east: +x
    assert c.compass_from_yaw(math.pi) == pytest.approx(1.5 * math.pi)  # west
    assert c.yaw_from_compass(c.compass_from_yaw(-2.0)) == pytest.approx(-2.0)


def test_ackermann_sign_depends_on_the_interface():
    assert c.ackermann_steering(0.3, right_positive=False) == 0.3
    assert c.ackermann_steering(0.3, right_positive=True) == -0.3
    with pytest.raises(ValueError, match="not finite"):
        c.ackermann_steering(math.nan, right_positive=True)
