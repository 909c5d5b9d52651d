"""RSS distances by Intel's ad-rss library (LGPL-2.1), against which ours are checked."""

from __future__ import annotations

from ad_rss import physics, rss

from wm_planner.gate_config import RssConfig


def vehicle(parameters: RssConfig, along_mps: float, across_mps: float, response_s: float):
    """A vehicle's state: speeds along its lane and across it (right is positive)."""
    state = rss.core.RelativeObjectState()
    state.object_type = rss.world.ObjectType.OtherVehicle
    state.dynamics = _dynamics(parameters, response_s)
    lane = state.structured_object_state
    lane.is_in_correct_lane = True
    lane.distance_to_enter_intersection = physics.Distance(1000.0)
    lane.distance_to_leave_intersection = physics.Distance(1000.0)
    lane.velocity.speed_lon_min = lane.velocity.speed_lon_max = physics.Speed(along_mps)
    lane.velocity.speed_lat_min = lane.velocity.speed_lat_max = physics.Speed(across_mps)
    _fill_unstructured(state.unstructured_object_state)
    return state


def distance(name: str, first, second) -> float:
    """``calculateSafe<name>`` of two vehicles, m."""
    result = physics.Distance(0.0)
    assert getattr(rss.structured, f"calculateSafe{name}")(first, second, result)
    return result / physics.Distance(1.0)


def _dynamics(parameters: RssConfig, response_s: float):
    dynamics = rss.world.RssDynamics()
    dynamics.response_time = physics.Duration(response_s)
    dynamics.lateral_fluctuation_margin = physics.Distance(parameters.lateral_margin_m)
    along, across = dynamics.alpha_lon, dynamics.alpha_lat
    along.accel_max = physics.Acceleration(parameters.accel_mps2)
    along.brake_min = physics.Acceleration(-parameters.brake_min_mps2)
    along.brake_max = physics.Acceleration(-parameters.brake_max_mps2)
    along.brake_min_correct = physics.Acceleration(-parameters.brake_correct_mps2)
    across.accel_max = physics.Acceleration(parameters.lateral_accel_mps2)
    across.brake_min = physics.Acceleration(-parameters.lateral_brake_mps2)
    # The library refuses a vehicle without these, though the distances do not depend on them.
    settings = dynamics.unstructured_settings
    settings.pedestrian_turning_radius = physics.Distance(2.0)
    settings.drive_away_max_angle = physics.Angle(2.4)
    settings.vehicle_yaw_rate_change = physics.AngularAcceleration(0.3)
    settings.vehicle_min_radius = physics.Distance(3.5)
    settings.vehicle_trajectory_calculation_step = physics.Duration(0.2)
    return dynamics


def _fill_unstructured(state) -> None:
    """The same: refused if absent, without effect."""
    state.yaw = state.steering_angle = physics.Angle(0.0)
    state.yaw_rate = physics.AngularVelocity(0.0)
    state.center_point.x = state.center_point.y = physics.Distance(0.0)
    state.dimension.length = physics.Distance(4.5)
    state.dimension.width = physics.Distance(1.85)
    state.speed_range.minimum = state.speed_range.maximum = physics.Speed(0.0)
