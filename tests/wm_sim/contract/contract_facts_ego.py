"""Facts about the ego's topics, its commands and its route."""

from __future__ import annotations

import math
from itertools import pairwise

from contract_recording import Recording, planar
from contract_table import Row


def command_acts_on_the_next_frame(record: Recording, row: Row) -> None:
    """The first frame of a phase echoes the phase's command, and no frame before does."""
    brake = record.messages("R/vehicle_status", "brake")[0].control
    assert math.isclose(brake.brake, 0.8, rel_tol=1e-5)
    assert record.messages("R/vehicle_status", "right")[-1].control.brake == 0.0


def absurd_commands_are_refused(record: Recording, row: Row) -> None:
    assert record.notes["frames_after_absurd_commands"] == 0
    last = record.messages("R/vehicle_status", "absurd")[-1].control
    assert (last.throttle, last.steer, last.brake) == (0.0, 0.0, 1.0)


def override_selects_the_topic(record: Recording, row: Row) -> None:
    assert record.notes["frames_while_overridden"] == 0
    echo = record.messages("R/vehicle_status", "overridden")[-1].control
    assert echo.throttle == 0.25


def ackermann_steers_left_positive(record: Recording, row: Row) -> None:
    echo = record.messages("R/vehicle_status", "ackermann")[-1].control
    assert echo.steer < -0.1
    assert echo.throttle > 0.0


def autopilot_drives(record: Recording, row: Row) -> None:
    """Frames came without commands, and the ego moved."""
    found = record.messages("R/odometry", "autopilot")
    assert len(found) > 10
    positions = [m.pose.pose.position for m in found]
    moved = math.dist((positions[0].x, positions[0].y), (positions[-1].x, positions[-1].y))
    assert moved > 0.5
    echoes = record.messages("R/vehicle_status", "autopilot")
    assert any(echo.control.throttle > 0.0 for echo in echoes)


def status_speed_is_a_magnitude(record: Recording, row: Row) -> None:
    for status, odometry in record.pairs("R/vehicle_status", "R/odometry"):
        assert status.velocity >= 0.0
        assert abs(status.velocity - abs(odometry.twist.twist.linear.x)) < 0.2
        assert status.acceleration.angular.z == 0.0


def status_echo_has_no_header(record: Recording, row: Row) -> None:
    for status in record.messages("R/vehicle_status"):
        assert (status.control.header.frame_id, status.control.header.stamp.sec) == ("", 0)
    for status, odometry in record.pairs("R/vehicle_status", "R/odometry", "left"):
        assert status.orientation == odometry.pose.pose.orientation


def wheels(record: Recording, row: Row) -> None:
    (info,) = record.messages("R/vehicle_info")
    assert (info.rolename, info.mass > 500.0) == (record.role, True)
    signs = [(w.position.x > 0, w.position.y > 0) for w in info.wheels]
    front_left, front_right, rear_left, rear_right = signs
    assert (front_left, front_right) == ((True, True), (True, False))
    assert (rear_left, rear_right) == ((False, True), (False, False))
    assert all(20.0 < w.radius < 60.0 for w in info.wheels), "in cm"
    assert all(0.2 < w.max_steer_angle < 1.5 for w in info.wheels[:2]), "in rad"
    assert {w.max_steer_angle for w in info.wheels[2:]} == {0.0}


def odometry_child_frame(record: Recording, row: Row) -> None:
    assert {m.child_frame_id for m in record.messages("R/odometry")} == {record.role}


def odometry_covariances_are_zero(record: Recording, row: Row) -> None:
    for message in record.messages("R/odometry"):
        assert not any(message.pose.covariance) and not any(message.twist.covariance)


def odometry_twist_is_in_body_axes(record: Recording, row: Row) -> None:
    """It agrees with how the pose changes along the heading."""
    found = record.messages("R/odometry", "straight")
    for before, after in pairwise(found):
        x0, y0, yaw = planar(before.pose.pose)
        x1, y1, _ = planar(after.pose.pose)
        forward = (x1 - x0) * math.cos(yaw) + (y1 - y0) * math.sin(yaw)
        mean = (before.twist.twist.linear.x + after.twist.twist.linear.x) / 2
        assert math.isclose(forward / 0.1, mean, abs_tol=0.2)
        angular = after.twist.twist.angular
        assert (angular.x, angular.y) == (0.0, 0.0)


def speedometer_is_signed(record: Recording, row: Row) -> None:
    for speed, odometry in record.unstamped("R/speedometer"):
        assert math.isclose(speed.data, odometry.twist.twist.linear.x, abs_tol=1e-3)


def collision_in_carla_axes(record: Recording, row: Row) -> None:
    """The impulse pushes the ego back; y is to the right there."""
    event = record.messages("R/collision", "collide")[0]
    assert event.other_actor_id == record.notes["obstacle"].id
    _, _, yaw = planar(record.messages("R/odometry", "collide")[-1].pose.pose)
    x, y = event.normal_impulse.x, -event.normal_impulse.y
    along, across = x * math.cos(yaw) + y * math.sin(yaw), -x * math.sin(yaw) + y * math.cos(yaw)
    assert along < -100.0
    assert abs(across) < 0.5 * abs(along)


def lane_markings_are_carlas(record: Recording, row: Row) -> None:
    events = record.messages("R/lane_invasion")
    assert events, "the drive crosses a line"
    for event in events:
        assert event.crossed_lane_markings
        assert all(0 <= kind <= 10 for kind in event.crossed_lane_markings)


def set_transform_moves_the_ego(record: Recording, row: Row) -> None:
    before, after = record.messages("R/odometry", "placed")[-2:]
    start, now = (planar(p) for p in (record.notes["start"], after.pose.pose))
    assert math.dist(start[:2], now[:2]) < 0.3
    assert abs(start[2] - now[2]) < 0.05
    assert math.dist(start[:2], planar(before.pose.pose)[:2]) > 2.0


def set_target_velocity_pushes(record: Recording, row: Row) -> None:
    (pushed,) = record.messages("R/speedometer", "pushed")
    assert math.isclose(pushed.data, 5.0, abs_tol=0.5)


def initialpose_moves_the_ego(record: Recording, row: Row) -> None:
    wanted = planar(record.notes["initial_pose"])
    found = planar(record.messages("R/odometry", "initial")[-1].pose.pose)
    assert math.dist(wanted[:2], found[:2]) < 0.3


def a_jump_plans_again(record: Recording, row: Row) -> None:
    """From where the ego was put, to where the route led before."""
    first = record.messages("R/waypoints")[0]
    again = record.messages("R/waypoints", "placed")[0]
    here, end = planar(record.notes["start"]), planar(first.poses[-1].pose)
    assert math.dist(planar(again.poses[0].pose)[:2], here[:2]) < 6.0
    assert math.dist(planar(again.poses[-1].pose)[:2], end[:2]) < 6.0


def goal_plans_a_route(record: Recording, row: Row) -> None:
    path = record.notes["goal_path"]
    ego = planar(record.messages("R/odometry", "initial")[-1].pose.pose)
    assert math.dist(planar(path.poses[0].pose)[:2], ego[:2]) < 6.0
    goal = planar(record.notes["goal"])
    assert math.dist(planar(path.poses[-1].pose)[:2], goal[:2]) < 6.0
    assert record.notes["paths_from_nonsense"] == 0


def path_has_metre_steps(record: Recording, row: Row) -> None:
    for message in record.messages("R/waypoints"):
        points = [planar(p.pose) for p in message.poses]
        steps = [math.dist(a[:2], b[:2]) for a, b in pairwise(points)]
        assert all(0.5 < step < 1.5 for step in steps)
        assert {p.header.frame_id for p in message.poses} == {""}
        for (x, y, yaw), (x1, y1, _) in pairwise(points):
            assert abs(math.remainder(math.atan2(y1 - y, x1 - x) - yaw, 2 * math.pi)) < 0.5
