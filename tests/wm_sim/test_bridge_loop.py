"""Who ticks when: lockstep, pacing, pauses, the watchdog; and what is published."""

from __future__ import annotations

import pytest
from bridge_fakes import fake
from carla_msgs.msg import CarlaEgoVehicleControl

from wm_dynamics.errors import UserError
from wm_perception.frame import Command
from wm_perception.messages import stamp_ns
from wm_perception.node_tools import time_message
from wm_sim.bridge_config import BridgeConfig
from wm_sim.bridge_loop import FULL_BRAKE, PAUSE, PLAY, STEP_ONCE, BridgeLoop
from wm_sim.bridge_publisher import BridgePublisher
from wm_sim.world import World


class Bench:
    """A loop over the fake source, with a clock set by hand and everything published kept."""

    def __init__(self, start: bool = True, **parameters):
        self.now = 100.0
        self.sent: list[tuple[str, object]] = []
        self.source = fake.FakeSource()
        config = BridgeConfig(**parameters)
        out = BridgePublisher(
            config,
            self.source,
            lambda key, message: self.sent.append((key, message)),
            wanted=lambda key: True,
        )
        self.loop = BridgeLoop(self.source, config, out, now=lambda: self.now)
        if start:
            self.loop.start_route(0, 0, 0, "default")
            self.loop.poll()

    def command(self, steer=0.0, throttle=0.0, brake=0.0, at_ns: int | None = None, **more):
        message = CarlaEgoVehicleControl(throttle=throttle, steer=steer, brake=brake)
        message.header.stamp = time_message(self.loop.stamp_ns if at_ns is None else at_ns)
        self.loop.on_command(message, **more)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.loop.poll()

    def topics(self) -> list[str]:
        return [key for key, _ in self.sent]

    def last(self, key: str):
        return next(message for k, message in reversed(self.sent) if k == key)


def test_one_tick_per_command_and_none_without():
    bench = Bench()
    for expected in range(1, 6):
        for _ in range(3):
            bench.loop.poll()
        assert bench.loop.ticks == expected - 1
        bench.command(throttle=0.5)
        bench.loop.poll()
        assert bench.loop.ticks == expected
    assert bench.source.commands == [Command(0.0, 0.5)] * 5
    assert bench.loop.unexpected == bench.loop.timeouts == 0


def test_steer_is_right_positive_on_the_topics_and_left_positive_inside():
    bench = Bench()
    bench.command(steer=-0.5, throttle=0.25)
    bench.loop.poll()
    assert bench.source.commands == [Command(0.5, 0.25)]
    status = bench.last("vehicle_status")
    assert status.control.steer == -0.5
    odometry = bench.last("odometry")
    assert odometry.twist.twist.angular.z > 0
    assert odometry.pose.pose.orientation.z > 0


def test_after_a_second_without_a_command_the_last_one_is_held_then_the_watchdog_brakes():
    bench = Bench()
    bench.command(throttle=0.5)
    bench.loop.poll()
    bench.wait(0.9)
    assert bench.loop.ticks == 1
    for _ in range(8):
        bench.wait(1.01)
    assert bench.source.commands == [Command(0.0, 0.5)] * 5 + [FULL_BRAKE] * 4
    assert bench.loop.timeouts == 8
    assert bench.loop.braked == 4


def test_without_watchdog_commands_are_held_as_in_carla():
    bench = Bench(watchdog_s=0.0)
    bench.command(throttle=0.5)
    for _ in range(12):
        bench.wait(1.01)
    assert set(bench.source.commands) == {Command(0.0, 0.5)}


def test_a_late_command_acts_but_leaves_time_for_the_right_one():
    bench = Bench()
    bench.command()
    bench.loop.poll()
    bench.wait(1.01)
    bench.command(throttle=0.1, at_ns=fake.DT_NS)
    bench.loop.poll()
    assert bench.loop.ticks == 2
    bench.command(throttle=0.9)
    bench.loop.poll()
    assert bench.source.commands[2:] == [Command(0.0, pytest.approx(0.9))]
    bench.command(throttle=0.3, at_ns=fake.DT_NS)
    bench.wait(0.11)
    assert bench.source.commands[3:] == [Command(0.0, pytest.approx(0.3))]


def test_a_second_command_is_counted_and_a_nan_refused():
    bench = Bench()
    bench.command(throttle=float("nan"))
    bench.loop.poll()
    assert (bench.loop.rejected, bench.loop.ticks) == (1, 0)
    bench.command(throttle=0.1)
    bench.command(throttle=0.2)
    bench.loop.poll()
    assert (bench.loop.unexpected, bench.loop.ticks) == (1, 1)


def test_hand_brake_brakes():
    bench = Bench()
    message = CarlaEgoVehicleControl(throttle=0.5, hand_brake=True)
    bench.loop.on_command(message)
    bench.loop.poll()
    assert bench.source.commands == [FULL_BRAKE]


def test_the_override_flag_switches_between_the_two_command_topics():
    bench = Bench()
    bench.command(throttle=0.5, manual=True)
    bench.loop.poll()
    assert bench.loop.ticks == 0
    bench.loop.on_override(True)
    bench.command(throttle=0.1)
    bench.loop.poll()
    assert bench.loop.ticks == 0
    bench.command(throttle=0.5, manual=True)
    bench.loop.poll()
    assert bench.source.commands == [Command(0.0, 0.5)]


def test_pause_step_play():
    bench = Bench()
    bench.loop.on_control(PAUSE)
    assert not bench.last("status").synchronous_mode_running
    bench.wait(5.0)
    assert bench.loop.ticks == 0
    bench.loop.on_control(STEP_ONCE)
    bench.wait(0.0)
    bench.wait(5.0)
    assert bench.loop.ticks == 1
    assert not bench.last("status").synchronous_mode_running
    bench.loop.on_control(PLAY)
    assert bench.last("status").synchronous_mode_running
    bench.command()
    bench.loop.poll()
    assert bench.loop.ticks == 2


def test_real_time_is_paced_and_takes_the_newest_command():
    bench = Bench(synchronous=False, realtime_factor=2.0)
    bench.command(throttle=0.1)
    bench.command(throttle=0.2)
    bench.wait(0.04)
    assert bench.loop.ticks == 0
    bench.wait(0.01)
    assert bench.loop.ticks == 1
    assert bench.source.commands == [Command(0.0, pytest.approx(0.2))]
    assert bench.loop.poll() == pytest.approx(0.05)
    bench.wait(1.0)
    assert (bench.loop.ticks, bench.loop.overruns) == (2, 1)
    assert bench.loop.unexpected == 0


def test_real_time_brakes_half_a_second_after_the_last_command():
    bench = Bench(synchronous=False)
    bench.command(throttle=0.5)
    for _ in range(7):
        bench.wait(0.1)
    assert bench.source.commands == [Command(0.0, 0.5)] * 5 + [FULL_BRAKE] * 2


def test_what_is_published_and_in_which_order():
    bench = Bench()
    keys = bench.topics()
    assert keys[:6] == [
        "status",
        "world_info",
        "map",
        "vehicle_info",
        "traffic_lights_info",
        "waypoints",
    ]
    first_frame = keys[6:]
    assert first_frame[:3] == ["status", "clock", "traffic_lights_status"]
    assert first_frame[-1] == "odometry"
    assert {"speedometer", "vehicle_status", "objects", "ego_objects", "tf"} <= set(first_frame)
    assert {"actor_list", "carla_markers", "carla_markers_static"} <= set(first_frame)
    bench.sent.clear()
    for _ in range(3):
        bench.command()
        bench.loop.poll()
    assert bench.topics().count("collision") == bench.topics().count("lane_invasion") == 1
    assert stamp_ns(bench.last("collision").header.stamp) == 2 * fake.DT_NS
    assert "map" not in bench.topics()
    assert "carla_markers_static" not in bench.topics()


def test_contents():
    bench = Bench()
    bench.command(throttle=1.0)
    bench.loop.poll()
    stamp = fake.DT_NS
    for key in ("odometry", "vehicle_status", "objects"):
        assert stamp_ns(bench.last(key).header.stamp) == stamp
    assert stamp_ns(bench.last("clock").clock) == stamp
    frames = {k: bench.last(k).header.frame_id for k in ("odometry", "vehicle_status", "objects")}
    assert set(frames.values()) == {"map"}
    assert bench.last("odometry").child_frame_id == "ego_vehicle"
    assert bench.last("speedometer").data == pytest.approx(0.3)
    assert bench.last("vehicle_status").velocity == pytest.approx(0.3)
    assert bench.last("vehicle_status").acceleration.linear.x == pytest.approx(3.0)
    assert [o.id for o in bench.last("objects").objects] == [fake.EGO_ID, 7]
    assert [o.id for o in bench.last("ego_objects").objects] == [7]
    assert bench.last("vehicle_info").id == fake.EGO_ID
    assert len(bench.last("vehicle_info").wheels) == 4
    assert bench.last("vehicle_info").wheels[0].position.y > 0  # front left, y left
    route = bench.last("waypoints")
    assert route.header.frame_id == "map"
    assert len(route.poses) == 121
    assert route.poses[5].pose.position.x == pytest.approx(5.0)


def test_time_goes_on_from_episode_to_episode():
    bench = Bench()
    bench.command(throttle=1.0)
    bench.loop.poll()
    before = bench.loop.stamp_ns
    bench.command(throttle=1.0)
    started = bench.loop.start_route(1, 5, 2, "other")
    assert bench.source.episodes[-1] == (1, 5, 2, "other", World())
    assert started.stamp_ns == before + fake.DT_NS
    assert started.length_m == 120.0
    bench.command(throttle=1.0, at_ns=before)  # an answer to the old episode
    bench.loop.poll()
    bench.loop.poll()
    assert stamp_ns(bench.last("waypoints").header.stamp) == started.stamp_ns
    assert stamp_ns(bench.last("odometry").header.stamp) == started.stamp_ns
    assert bench.loop.ticks == 1
    running = [m.synchronous_mode_running for k, m in bench.sent if k == "status"]
    assert running[-2:] == [False, True]


def test_a_patient_start_sends_the_first_frame_again_until_it_is_answered():
    bench = Bench(start=False)
    bench.loop.start_route(0, 0, 0, "default", patient=True)
    bench.loop.poll()
    for _ in range(4):
        bench.wait(1.01)
    assert bench.loop.ticks == bench.loop.timeouts == 0
    assert bench.topics().count("odometry") == 5
    assert stamp_ns(bench.last("odometry").header.stamp) == 0
    bench.command()
    bench.loop.poll()
    assert bench.loop.ticks == 1
    bench.wait(1.01)
    assert (bench.loop.ticks, bench.loop.timeouts) == (2, 1)


def test_a_refused_start_leaves_the_running_episode_alone():
    bench = Bench()
    bench.source.start_route = lambda *_: (_ for _ in ()).throw(UserError("no such route"))
    with pytest.raises(UserError):
        bench.loop.start_route(99, 0, 0, "default")
    assert bench.loop.running
    bench.command()
    bench.loop.poll()
    assert bench.loop.ticks == 1


def test_patience_ends():
    bench = Bench(start=False)
    bench.loop.start_route(0, 0, 0, "default", patient=True)
    for _ in range(13):
        bench.wait(1.01)
    assert bench.loop.ticks >= 1


def test_before_the_start_only_the_paused_status_is_heard():
    bench = Bench(start=False)
    for _ in range(5):
        bench.wait(0.3)
    assert set(bench.topics()) == {"status"}
    assert not bench.last("status").synchronous_mode_running
    bench.command(at_ns=0)
    bench.loop.on_control(PLAY)
    bench.wait(0.3)
    assert set(bench.topics()) == {"status"}
