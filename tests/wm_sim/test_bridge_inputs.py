"""What clients send: what reaches the simulator, and what is refused with a reason."""

from __future__ import annotations

import math

import numpy as np
import pytest
from bridge_fakes import fake
from carla_msgs.msg import CarlaEgoVehicleControl, CarlaWeatherParameters
from geometry_msgs.msg import (
    Point,
    Pose,
    PoseStamped,
    PoseWithCovarianceStamped,
    Quaternion,
    Twist,
    Vector3,
)
from std_msgs.msg import Bool
from visualization_msgs.msg import Marker, MarkerArray

from wm_dynamics.errors import UserError
from wm_perception.frame import Command
from wm_perception.route import Route
from wm_sim.bridge_complaints import PAUSE_S, Complaints
from wm_sim.bridge_config import BridgeConfig
from wm_sim.bridge_inputs import Inputs
from wm_sim.bridge_loop import BridgeLoop
from wm_sim.bridge_publisher import BridgePublisher
from wm_sim.bridge_route import Replanner

NAN = float("nan")


class StraightRouter:
    """Plans straight lines; some goals cannot be reached."""

    def plan(self, start, goal):
        if goal[0] > 1000.0:
            raise UserError("no way leads there")
        return Route(np.array([start[:2], goal]))


class Bench:
    """Inputs over a fake source; what they say and what they publish is kept."""

    def __init__(self, start: bool = True, **parameters):
        self.sent: list[tuple[str, object]] = []
        self.said: list[str] = []
        self.now = 100.0
        self.source = fake.FakeSource()
        config = BridgeConfig(**parameters)
        out = BridgePublisher(config, self.source, self._keep, wanted=lambda key: True)
        self.loop = BridgeLoop(self.source, config, out, now=lambda: self.now)
        complain = Complaints(self.said.append, now=lambda: self.now)
        replanner = Replanner(self.source, self.loop, complain, load=lambda town: StraightRouter())
        self.handlers = Inputs(self.source, self.loop, replanner, complain).handlers()
        if start:
            self.loop.start_route(0, 0, 0, "default")
            self.loop.poll()
        self.sent.clear()

    def _keep(self, key: str, message) -> None:
        self.sent.append((key, message))

    def send(self, key: str, message) -> None:
        self.handlers[key](message)

    def paths(self) -> list:
        return [message for key, message in self.sent if key == "waypoints"]


def pose(x: float, y: float, yaw: float = 0.0) -> Pose:
    turn = Quaternion(z=math.sin(yaw / 2), w=math.cos(yaw / 2))
    return Pose(position=Point(x=x, y=y), orientation=turn)


def test_weather_is_set():
    bench = Bench()
    bench.send("weather_control", CarlaWeatherParameters(cloudiness=50.0, sun_altitude_angle=-3.0))
    ((_, weather),) = bench.source.calls
    assert (weather.cloudiness, weather.sun_altitude_angle) == (50.0, -3.0)


def test_teleport_and_a_new_route_to_the_old_end():
    bench = Bench()
    bench.send("set_transform", pose(10.0, 20.0, 0.5))
    name, x, y, yaw = bench.source.calls[0]
    assert (name, x, y, yaw) == ("teleport", 10.0, 20.0, pytest.approx(0.5))
    (path,) = bench.paths()
    assert (path.poses[0].pose.position.x, path.poses[0].pose.position.y) == (10.0, 20.0)
    assert path.poses[-1].pose.position.x == 120.0
    assert bench.source.scene.route.points[0].tolist() == [10.0, 20.0]


def test_a_small_step_keeps_the_route():
    bench = Bench()
    bench.send("set_transform", pose(1.0, 1.0))
    assert len(bench.source.calls) == 1
    assert not bench.paths()


def test_initialpose_is_a_teleport_whatever_its_height():
    bench = Bench()
    message = PoseWithCovarianceStamped()
    message.pose.pose = pose(1.0, 0.5)
    message.pose.pose.position.z = 2.0
    bench.send("initialpose", message)
    assert bench.source.calls[0][:3] == ("teleport", 1.0, 0.5)


def test_a_push_counts_unless_somebody_drives_by_hand():
    bench = Bench()
    twist = Twist()
    twist.linear.x, twist.linear.y, twist.angular.z = 3.0, 0.5, 0.1
    bench.send("set_target_velocity", twist)
    assert bench.source.calls == [("push", 3.0, 0.5, 0.1)]
    bench.send("vehicle_control_manual_override", Bool(data=True))
    bench.send("set_target_velocity", twist)
    assert len(bench.source.calls) == 1


def test_a_goal_gives_a_route_from_here():
    bench = Bench()
    goal = PoseStamped(pose=pose(50.0, 7.0))
    goal.header.frame_id = "map"
    bench.send("goal", goal)
    (path,) = bench.paths()
    assert path.poses[-1].pose.position.y == 7.0


@pytest.mark.parametrize(
    ("key", "message", "reason"),
    [
        ("goal", PoseStamped(pose=pose(NAN, 0.0)), "not finite"),
        ("goal", PoseStamped(pose=pose(2000.0, 0.0)), "no way leads there"),
        ("set_transform", pose(0.0, NAN), "not a place on the map"),
        ("set_transform", pose(1e30, 0.0), "not a place on the map"),
        ("set_transform", Pose(orientation=Quaternion(w=0.0)), "not a unit quaternion"),
        ("set_target_velocity", Twist(linear=Vector3(x=NAN)), "not finite"),
        ("weather_control", CarlaWeatherParameters(cloudiness=NAN), "cloudiness must be"),
        ("weather_control", CarlaWeatherParameters(wetness=1e30), "wetness must be"),
        ("debug_marker", MarkerArray(markers=[Marker()]), "frame 'map'"),
    ],
)
def test_nonsense_is_refused_with_a_reason(key, message, reason):
    bench = Bench()
    bench.send(key, message)
    assert reason in bench.said[0]
    assert not bench.source.calls
    assert not bench.paths()


def test_a_goal_in_another_frame_is_refused():
    bench = Bench()
    goal = PoseStamped(pose=pose(5.0, 0.0))
    goal.header.frame_id = "base_link"
    bench.send("goal", goal)
    assert "'base_link'" in bench.said[0]


def test_before_an_episode_everything_is_refused_in_words():
    bench = Bench(start=False)
    bench.send("weather_control", CarlaWeatherParameters())
    bench.send("set_transform", pose(0.0, 0.0))
    bench.send("enable_autopilot", Bool(data=True))
    bench.send("goal", PoseStamped(pose=pose(5.0, 0.0)))
    assert len(bench.said) == 4
    assert all("no episode" in text for text in bench.said)
    assert not bench.source.autopilot


@pytest.mark.parametrize("value", [NAN, math.inf, 1e30, -1e30])
def test_absurd_commands_do_not_tick(value):
    bench = Bench()
    bench.send("vehicle_control_cmd", CarlaEgoVehicleControl(throttle=value))
    bench.send("vehicle_control_cmd", CarlaEgoVehicleControl(steer=value))
    bench.send("vehicle_control_cmd", CarlaEgoVehicleControl(brake=value))
    bench.loop.poll()
    assert (bench.loop.rejected, bench.loop.ticks) == (3, 0)


def test_reverse_is_passed_on():
    bench = Bench()
    bench.send("vehicle_control_cmd", CarlaEgoVehicleControl(throttle=0.5, reverse=True))
    bench.loop.poll()
    assert bench.source.commands == [Command(0.0, 0.5, True)]


def test_the_autopilot_needs_no_commands_in_lockstep():
    bench = Bench()
    bench.send("enable_autopilot", Bool(data=True))
    for _ in range(10):
        bench.now += 0.11
        bench.loop.poll()
    assert bench.loop.ticks == 10
    assert bench.loop.timeouts == bench.loop.braked == 0
    bench.send("enable_autopilot", Bool(data=False))
    bench.now += 0.5
    bench.loop.poll()
    assert bench.loop.ticks == 10
    bench.loop.start_route(1, 0, 0, "default")
    assert not bench.source.autopilot


def test_complaints_are_said_once_in_a_while():
    said, now = [], [0.0]
    complain = Complaints(said.append, now=lambda: now[0])
    for _ in range(50):
        complain("goal", "not finite")
    complain("weather", "too hot")
    assert said == ["goal: not finite", "weather: too hot"]
    now[0] = PAUSE_S
    complain("goal", "not finite")
    assert said[-1] == "goal: not finite (and 49 more before)"
