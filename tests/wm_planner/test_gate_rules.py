"""The safety gate's rules: what is clamped, what is reported, what stops the vehicle."""

from __future__ import annotations

import numpy as np
import pytest

from wm_planner.gate_config import GateConfig, LastResortConfig, LimitsConfig
from wm_planner.gate_events import Proposal, RouteKnown, VehicleInfo
from wm_planner.gate_limits import lateral_acceleration
from wm_planner.gate_state import GateState

NAN = float("nan")


def test_a_jump_in_steering_is_slowed_down_and_counted(make_drive):
    drive = make_drive(speed=1.0).nominal()
    drive.frame()
    decision = drive.propose(steer=1.0)
    vehicle, limits = drive.gate.config.vehicle, drive.gate.config.limits
    assert decision.command.steer == pytest.approx(
        limits.steer_rate_radps * 0.1 / vehicle.max_steer_rad
    )
    assert decision.interventions == 1 and decision.state is GateState.NOMINAL


def test_steering_at_speed_is_limited_by_lateral_acceleration(make_drive):
    drive = make_drive(speed=15.0).nominal()
    for _ in range(20):
        drive.frame()
        decision = drive.propose(steer=0.8)
    limit = drive.gate.config.limits.lateral_acceleration_mps2
    given = lateral_acceleration(decision.command.steer, 15.0, drive.gate.config.vehicle)
    assert given == pytest.approx(limit, rel=1e-6)
    assert next(r for r in decision.rules if r.name == "lateral_acceleration").tripped


def test_braking_is_never_delayed_by_more_than_a_frame(make_drive):
    drive = make_drive().nominal()
    drive.frame()
    drive.propose(accel=0.2)
    drive.frame()
    drive.propose(accel=-1.0)
    drive.frame()
    assert drive.propose(accel=-1.0).command.accel == -1.0


def test_persistent_clamping_is_reported_and_stops_only_when_asked_to(make_drive):
    for stops in (False, True):
        config = GateConfig(limits=LimitsConfig(persistent_stops=stops))
        drive = make_drive(config, speed=1.0).nominal()
        for k in range(8):
            drive.frame()
            decision = drive.propose(steer=1.0 if k % 2 else -1.0)
        rule = next(r for r in decision.rules if r.name == "persistent_clamping")
        assert rule.tripped
        assert (decision.state is GateState.NOMINAL) != stops


def test_vehicle_info_changes_the_geometry_unless_it_is_nonsense(make_drive):
    drive = make_drive(speed=1.0).nominal()
    drive.take(VehicleInfo(NAN, 2.9, drive.wall))
    drive.take(VehicleInfo(1.22, 2.9, drive.wall))
    drive.frame()
    assert drive.propose(steer=1.0).command.steer == pytest.approx(0.15 / 1.22)


def test_every_rule_has_a_unit_and_a_name_of_its_own(make_drive):
    drive = make_drive().nominal()
    drive.frame()
    drive.see((30.0, 0.0, 8.0))
    rules = {rule.name: rule.unit for rule in drive.propose().rules}
    assert rules == {
        "steer": "1",
        "pedal": "1",
        "acceleration": "m/s^2",
        "steer_rate": "rad/s",
        "lateral_acceleration": "m/s^2",
        "jerk": "m/s^3",
        "persistent_clamping": "1",
        "conflicting_proposals": "1",
        "proposal_wait_s": "s",
        "odometry_age_s": "s",
        "objects_age": "s",
        "rss_same_direction": "m",
        "rss_opposite_direction": "m",
        "rss_lateral": "m",
        "last_resort": "m/s^2",
    }


def test_two_planners_that_contradict_each_other_stop_the_car_for_as_long_as_they_do(make_drive):
    drive = make_drive().nominal()
    for k in range(20):
        drive.frame()
        drive.propose(steer=0.0)
        drive.propose(steer=0.05, delay=0.001)
        assert (drive.gate.state is GateState.NOMINAL) == (k < 6)
    assert drive.rule(drive.sent[-1], "conflicting_proposals").tripped
    assert "second planner" in drive.sent[-1].reason
    for _ in range(20):
        drive.frame()
        drive.propose()
    assert drive.gate.state is GateState.NOMINAL


def test_a_proposal_that_is_only_repeated_or_late_is_no_contradiction(make_drive):
    drive = make_drive().nominal()
    for _ in range(20):
        drive.frame()
        drive.propose(steer=0.01)
        drive.propose(steer=0.01, delay=0.001)
        drive.take(Proposal(drive.stamp - 100_000_000, 0.02, 0.1, drive.wall))
    assert drive.gate.state is GateState.NOMINAL
    assert drive.rule(drive.sent[-1], "conflicting_proposals").value == 0.0


# ---------------------------------------------------------------------- room


def test_rss_is_reported_and_nothing_more(make_drive):
    drive = make_drive(speed=10.0).nominal()
    drive.frame()
    drive.see((20.0, 0.0, 10.0))
    decision = drive.propose(accel=0.3)
    rule = drive.rule(decision, "rss_same_direction")
    assert rule.tripped and (rule.value, rule.limit) == (15.5, pytest.approx(28.28125))
    assert not drive.rule(decision, "last_resort").tripped
    assert decision.command.accel == 0.3 and decision.interventions == 0


def test_the_last_resort_brakes_as_hard_as_it_takes_and_is_counted(make_drive):
    drive = make_drive(speed=8.0).nominal()
    drive.frame()
    drive.see((12.0, 0.0, 0.0))
    decision = drive.propose(steer=0.02, accel=0.5)
    rule = drive.rule(decision, "last_resort")
    assert rule.tripped and rule.limit == 6.0 < rule.value < 8.0
    assert decision.state is GateState.NOMINAL and decision.interventions == 1
    assert decision.command.accel == pytest.approx(-rule.value / 8.0)
    assert decision.command.steer == 0.02
    drive.frame()
    assert drive.propose(accel=-1.0).command.accel == -1.0  # who brakes harder may


def test_the_last_resort_is_no_reason_to_stop_for_clamping(make_drive):
    drive = make_drive(speed=8.0).nominal()
    for _ in range(12):
        drive.frame()
        drive.see((12.0, 0.0, 0.0))
        decision = drive.propose(accel=0.1)
    assert decision.state is GateState.NOMINAL
    assert drive.rule(decision, "persistent_clamping").value == 0.0


def test_a_manoeuvre_brakes_harder_where_there_is_no_room(make_drive):
    for room, hardest in ((100.0, -0.03), (11.0, -0.75)):
        drive = make_drive(speed=8.0).nominal()
        drive.frame()
        drive.see((room, 0.0, 0.0))
        decision = drive.propose(accel=NAN)
        assert decision.state is GateState.COMFORT_STOP
        assert (decision.command.accel < hardest) == (room == 11.0)


def test_a_standing_car_is_only_kept_from_starting(make_drive):
    drive = make_drive(speed=0.0).nominal()
    drive.frame()
    drive.see((6.0, 0.0, -5.0))  # somebody comes at it
    assert drive.propose(accel=0.5).command.accel == pytest.approx(-1.5 / 8.0)


@pytest.mark.parametrize("leader", [0.0, 4.0])
@pytest.mark.parametrize("start", [3.0, 8.0, 14.0])
def test_who_drives_at_a_car_with_full_throttle_is_stopped_short_of_it(make_drive, start, leader):
    """A vehicle with the configured pedals; the leader brakes to a stop at 8 m/s^2 at once."""
    drive = make_drive(speed=start).nominal()
    gap, others = 40.0, leader
    for _ in range(200):
        drive.frame()
        drive.see((gap + 4.5, 0.0, others))
        pedal = drive.propose(accel=1.0).command.accel
        drive.speed = max(0.0, drive.speed + 0.1 * pedal * (4.5 if pedal > 0.0 else 8.0))
        others = max(0.0, others - 0.8)
        gap += 0.1 * (others - drive.speed)
        assert gap > 0.3
    assert drive.speed < 0.6 and gap < 1.5
    assert drive.gate.state is GateState.NOMINAL


def test_the_last_resort_can_be_switched_off(make_drive):
    config = GateConfig(last_resort=LastResortConfig(brakes=False))
    drive = make_drive(config, speed=8.0).nominal()
    drive.frame()
    drive.see((12.0, 0.0, 0.0))
    decision = drive.propose(accel=0.3)
    assert drive.rule(decision, "last_resort").tripped and decision.command.accel == 0.3


def test_road_users_that_are_old_are_left_out_and_reported(make_drive):
    drive = make_drive(speed=8.0).nominal()
    drive.frame()
    drive.see((20.0, 0.0, 0.0))
    for k in range(7):
        decision = drive.propose(accel=0.1)
        assert drive.rule(decision, "objects_age").tripped == (k > 5)
        drive.frame()
    assert "last_resort" not in [rule.name for rule in decision.rules]


def test_on_a_route_those_on_its_bend_are_ahead(make_drive):
    angle = np.linspace(0.0, np.pi / 2, 32)
    drive = make_drive(speed=8.0).nominal()
    drive.frame()
    bend = np.stack([drive.x + 20.0 * np.sin(angle), 20.0 * (1.0 - np.cos(angle))], 1)
    drive.see((11.3, 3.5, 0.0))
    assert drive.propose(accel=0.1).command.accel == 0.1
    drive.take(RouteKnown(bend, drive.wall))
    drive.frame()
    drive.see((10.5, 3.5, 0.0))
    assert drive.propose(accel=0.1).command.accel < -0.7


def test_a_route_that_is_none_is_forgotten(make_drive):
    drive = make_drive(speed=8.0).nominal()
    drive.take(RouteKnown(np.array([[0.0, 0.0], [0.0, 100.0]]), drive.wall))
    drive.take(RouteKnown(np.array([[0.0, 0.0]]), drive.wall))
    drive.frame()
    drive.see((12.0, 0.0, 0.0))
    assert drive.propose(accel=0.5).command.accel < -0.7
