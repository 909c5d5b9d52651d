"""Frames from messages: complete, in order, with the right lights, or counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from carla_msgs.msg import CarlaCollisionEvent, CarlaStatus

from wm_perception import sync_scene
from wm_perception.frame import Command, EgoState, LightBox, LightState, Objects, SceneFrame
from wm_perception.node_tools import header
from wm_perception.route import Route
from wm_perception.sync import FrameAssembler
from wm_sim import bridge_messages as build
from wm_sim.bridge_objects import object_arrays
from wm_sim.bridge_sensor_messages import rgb_image

DT_NS = 100_000_000
ROLE = "ego_vehicle"
LIGHTS = (LightBox(1, (20.0, 0.0), 0.0, 4.0, 3.0),)


class FakeTown:
    """A town without rasters."""

    opendrive = "<OpenDRIVE/>"

    @classmethod
    def from_opendrive(cls, text: str, name: str) -> FakeTown:
        if text != cls.opendrive:
            raise ValueError(f"map {name!r} is not readable OpenDRIVE")
        return cls()


@pytest.fixture(autouse=True)
def _fake_town(monkeypatch):
    monkeypatch.setattr(sync_scene, "TownMap", FakeTown)


def frame(k: int, x: float | None = None, light: LightState = LightState.GREEN) -> SceneFrame:
    """Frame k of a drive along +x at 5 m/s past one parked car."""
    ego = EgoState(0.5 * k if x is None else x, 0.0, 0.0, 5.0, command=Command(0.1, 0.2))
    others = Objects(
        np.array([7]), np.array([[30.0, 3.0, 0.0]]), np.zeros((1, 2)), np.array([[4.0, 2.0]])
    )
    return SceneFrame(k * DT_NS, ego, others, {1: light})


def scene_messages(stamp_ns: int = 0, y: float = 0.0) -> dict:
    route = Route(np.array([[0.0, y], [100.0, y]]))
    return {
        "map": build.map_text(FakeTown.opendrive),
        "traffic_lights_info": build.light_info(LIGHTS),
        "waypoints": build.path(route, stamp_ns),
    }


def frame_messages(item: SceneFrame) -> dict:
    return {
        "traffic_lights_status": build.light_status(item.light_states),
        "speedometer": build.speedometer(item.ego),
        "vehicle_status": build.vehicle_status(item.stamp_ns, item.ego),
        "objects": object_arrays(item, 99, 1, np.zeros((len(item.objects), 2)), item.stamp_ns)[0],
        "odometry": build.odometry(item.stamp_ns, item.ego, ROLE),
    }


def feed(assembler: FrameAssembler, parts: dict, now_s: float = 0.0) -> list[SceneFrame]:
    """Feed in the order given; the frames that came out."""
    out = [assembler.feed(key, message, now_s) for key, message in parts.items()]
    return [item for item in out if item is not None]


@pytest.fixture
def assembler() -> FrameAssembler:
    result = FrameAssembler()
    assert feed(result, scene_messages()) == []
    return result


def test_a_frame_comes_out_as_it_went_in(assembler):
    expected = frame(3, light=LightState.RED)
    (got,) = feed(assembler, frame_messages(expected))
    assert got.ego == expected.ego
    assert got.stamp_ns == expected.stamp_ns
    assert got.light_states == {1: LightState.RED}
    np.testing.assert_array_equal(got.objects.ids, [7])
    np.testing.assert_allclose(got.objects.poses, expected.objects.poses)
    assert assembler.scene.lights == LIGHTS
    assert not assembler.health.problems


def test_lights_of_the_same_frame_are_in_it(assembler):
    for k in range(10):
        light = LightState.RED if k % 2 else LightState.GREEN
        (got,) = feed(assembler, frame_messages(frame(k, light=light)))
        assert got.light_states == {1: light}


@pytest.mark.parametrize("last", ["speedometer", "vehicle_status", "objects", "odometry"])
def test_any_order_within_a_frame(assembler, last):
    parts = frame_messages(frame(0))
    parts[last] = parts.pop(last)
    assert [f.stamp_ns for f in feed(assembler, parts)] == [0]


def test_stamps_may_be_a_nanosecond_low(assembler):
    parts = frame_messages(frame(1))
    parts["objects"].header.stamp.nanosec -= 1
    assert len(feed(assembler, parts)) == 1


def test_parts_of_two_frames_interleaved(assembler):
    first, second = frame_messages(frame(0)), frame_messages(frame(1))
    assert feed(assembler, {"objects": first["objects"], "speedometer": first["speedometer"]}) == []
    assert feed(assembler, {"objects": second["objects"]}) == []
    del first["objects"], first["speedometer"], second["objects"]
    stamps = [f.stamp_ns for f in feed(assembler, first) + feed(assembler, second)]
    assert stamps == [0, DT_NS]


def test_a_frame_with_a_missing_part_is_dropped_and_counted(assembler):
    parts = frame_messages(frame(0))
    del parts["objects"]
    assert feed(assembler, parts) == []
    assert [f.stamp_ns for f in feed(assembler, frame_messages(frame(1)))] == [DT_NS]
    assert assembler.health.problems["incomplete"] == 1
    assert "without objects" in assembler.health.texts["incomplete"]
    assert feed(assembler, {"objects": frame_messages(frame(0))["objects"]}) == []


def test_a_lost_speedometer_sample_costs_one_frame_at_most(assembler):
    def at_speed(k: int) -> dict:
        base = frame(k)
        moving = EgoState(base.ego.x, 0.0, 0.0, 5.0 + 0.3 * k)
        return frame_messages(SceneFrame(base.stamp_ns, moving, base.objects, base.light_states))

    speeds = {}
    for k in range(6):
        parts = at_speed(k)
        if k == 2:
            del parts["speedometer"]
        speeds.update({f.stamp_ns // DT_NS: f.ego.speed_mps for f in feed(assembler, parts)})
    for k in (0, 1, 3, 4, 5):
        assert speeds[k] == pytest.approx(5.0 + 0.3 * k)


def test_nan_is_refused_and_said(assembler):
    parts = frame_messages(frame(0))
    parts["odometry"].pose.pose.position.x = float("nan")
    assert feed(assembler, parts) == []
    assert assembler.health.problems == {"bad_message": 1}
    assert "odometry position is not finite" in assembler.health.texts["bad_message"]
    assert len(feed(assembler, frame_messages(frame(1)))) == 1


def test_time_going_back_flushes(assembler):
    for k in (50, 51):
        feed(assembler, frame_messages(frame(k, x=0.0)))
    assert len(feed(assembler, scene_messages(stamp_ns=0) | frame_messages(frame(0)))) == 1
    assert assembler.health.problems["backwards"] >= 1
    assert "restarted" in assembler.health.texts["backwards"]
    assert len(feed(assembler, frame_messages(frame(1)))) == 1


def test_a_clock_that_was_set_back_on_the_way_changes_nothing_else(assembler):
    feed(assembler, {"waypoints": scene_messages(stamp_ns=40 * DT_NS)["waypoints"]})
    for k in (50, 51):
        feed(assembler, frame_messages(frame(k, x=0.1 * k)))
    later = [f for k in (2, 3) for f in feed(assembler, frame_messages(frame(k, x=5.2 + 0.1 * k)))]
    assert [f.stamp_ns // DT_NS for f in later] == [2, 3]


def test_a_clock_that_was_set_back_elsewhere_needs_a_new_route(assembler):
    feed(assembler, {"waypoints": scene_messages(stamp_ns=40 * DT_NS)["waypoints"]})
    for k in (50, 51):
        feed(assembler, frame_messages(frame(k, x=0.1 * k)))
    assert feed(assembler, frame_messages(frame(2, x=50.0))) == []
    assert "a new route" in assembler.health.waiting_for
    assert len(feed(assembler, {"waypoints": scene_messages(stamp_ns=DT_NS)["waypoints"]})) == 1


@pytest.mark.parametrize("offset", [-10, 20])
def test_one_stamp_of_another_time_costs_a_frame_or_two(assembler, offset):
    feed(assembler, {"waypoints": scene_messages(stamp_ns=38 * DT_NS)["waypoints"]})
    seen = []
    for k in range(40, 50):
        parts = frame_messages(frame(k))
        if k == 45:
            odometry = parts["odometry"].header.stamp
            total = odometry.sec * 10**9 + odometry.nanosec + offset * DT_NS
            odometry.sec, odometry.nanosec = divmod(total, 10**9)
        seen += feed(assembler, parts, now_s=float(k))
        made = assembler.give_up(k + 0.5, wait_s=0.1)
        assert made is None or abs(made.stamp_ns - k * DT_NS) < 2 * DT_NS
    stamps = [f.stamp_ns // DT_NS for f in seen]
    assert stamps == sorted(set(stamps)) and set(range(40, 50)) - set(stamps) <= {45, 46}


def test_nothing_comes_out_before_map_route_and_lights_are_known():
    assembler = FrameAssembler()
    parts = frame_messages(frame(0))
    status = parts.pop("traffic_lights_status")
    assert feed(assembler, parts) == []
    assert assembler.health.waiting_for == "the map, traffic_lights/info, a route"
    assert feed(assembler, scene_messages()) == []
    assert assembler.health.waiting_for == "traffic_lights/status"
    (got,) = feed(assembler, {"traffic_lights_status": status})
    assert got.stamp_ns == 0
    assert got.light_states == {1: LightState.GREEN}


def test_a_jump_waits_for_the_route_of_the_new_episode(assembler):
    feed(assembler, frame_messages(frame(1)))
    old = assembler.scene
    assert feed(assembler, frame_messages(frame(2, x=60.0))) == []
    assert "a new route" in assembler.health.waiting_for
    stale = {"waypoints": scene_messages(stamp_ns=DT_NS, y=1.0)["waypoints"]}
    assert feed(assembler, stale) == []
    fresh = {"waypoints": scene_messages(stamp_ns=2 * DT_NS)["waypoints"]}
    (got,) = feed(assembler, fresh)
    assert got.ego.x == 60.0
    assert assembler.scene is not old


def test_a_pose_that_jumps_there_and_back_keeps_its_route(assembler):
    seen = []
    for k in range(8):
        x = 60.0 if k in (3, 4) else None
        seen += feed(assembler, frame_messages(frame(k, x=x)))
    assert [round(f.stamp_ns / DT_NS) for f in seen] == [0, 1, 2, 5, 6, 7]
    assert assembler.health.problems == {"jump": 1, "held": 2}
    assert assembler.breaks == 2


def test_a_pose_that_stays_after_a_jump_keeps_the_route_it_is_still_on(assembler):
    def drive(away: float) -> list[SceneFrame]:
        found = []
        for k in range(20):
            moved = frame(k)
            if k > 3:
                ego = replace(moved.ego, x=moved.ego.x + 3.0, y=away)
                moved = replace(moved, ego=ego)
            found += feed(assembler, frame_messages(moved))
        return found

    assert [round(f.stamp_ns / DT_NS) for f in drive(2.0)] == [0, 1, 2, 3, *range(9, 20)]
    feed(assembler, scene_messages(stamp_ns=0))
    assert len(drive(30.0)) < 6, "another place needs another route"


def test_a_frame_that_waits_in_vain_is_made_without(assembler):
    feed(assembler, frame_messages(frame(0)), now_s=1.0)
    parts = frame_messages(frame(1))
    del parts["objects"], parts["speedometer"]
    parts["odometry"].twist.twist.linear.x = 4.5
    assert feed(assembler, parts, now_s=2.0) == []
    assert assembler.give_up(2.09, wait_s=0.1) is None
    got = assembler.give_up(2.11, wait_s=0.1)
    assert got.stamp_ns == DT_NS and got.missing == ("objects", "speedometer")
    assert got.ego.speed_mps == 4.5 and got.ego.x == 0.5
    np.testing.assert_allclose(got.objects.poses, frame(0).objects.poses)
    assert "without objects, speedometer" in assembler.health.texts["incomplete"]
    assert assembler.give_up(9.0, wait_s=0.1) is None
    assert feed(assembler, {"objects": frame_messages(frame(1))["objects"]}) == [], "too late"
    (after,) = feed(assembler, frame_messages(frame(2)), now_s=2.2)
    assert after.missing == ()


@pytest.mark.parametrize("lost", ["odometry", "everything before"])
def test_nothing_is_made_from_nothing(assembler, lost):
    parts = frame_messages(frame(1))
    del parts["objects"]
    if lost == "odometry":
        feed(assembler, frame_messages(frame(0)))
        del parts["odometry"]
    feed(assembler, parts)
    assert assembler.give_up(99.0, wait_s=0.1) is None


def test_a_frame_without_a_part_may_still_be_refused(assembler):
    feed(assembler, frame_messages(frame(0)))
    parts = frame_messages(frame(1))
    del parts["objects"]
    parts["odometry"].pose.pose.position.x = float("nan")
    feed(assembler, parts)
    assert assembler.give_up(99.0, wait_s=0.1) is None
    assert assembler.health.problems["bad_message"] == 1


def test_a_route_holds_from_its_stamp_on(assembler):
    feed(assembler, frame_messages(frame(0)))
    old = assembler.scene
    feed(assembler, {"waypoints": scene_messages(stamp_ns=2 * DT_NS, y=1.0)["waypoints"]})
    feed(assembler, frame_messages(frame(1)))
    assert assembler.scene is old
    feed(assembler, frame_messages(frame(2)))
    assert assembler.scene is not old


def test_collisions_belong_to_the_frame_they_are_stamped_with(assembler):
    feed(assembler, frame_messages(frame(0)))
    event = build.collision(frame(2), ROLE)
    assert isinstance(event, CarlaCollisionEvent)
    crossing = build.lane_invasion(SceneFrame(DT_NS, frame(1).ego, crossed_markings=(2, 10)), ROLE)
    feed(assembler, {"collision": event, "lane_invasion": crossing})
    got = [feed(assembler, frame_messages(frame(k)))[0] for k in (1, 2, 3)]
    assert [f.collided for f in got] == [False, True, False]
    assert [f.crossed_markings for f in got] == [(2, 10), (), ()]


def test_missing_topics_are_named_unless_paused(assembler):
    health = assembler.health
    assert health.missing(0.0) == []
    feed(assembler, frame_messages(frame(0)), now_s=0.5)
    assert health.missing(1.0) == []
    parts = frame_messages(frame(1))
    del parts["odometry"]
    feed(assembler, parts, now_s=2.0)
    (text,) = health.missing(2.0)
    assert text.startswith("no /carla/ego_vehicle/odometry for 1.5 s: is the role name")
    assembler.feed("status", CarlaStatus(synchronous_mode_running=False), 2.0)
    assert assembler.paused
    assert health.missing(9.0) == []
    assembler.feed("status", CarlaStatus(synchronous_mode_running=True), 9.1)
    assert health.missing(9.5) == []
    assert len(health.missing(11.0)) == 4


def test_an_unreadable_map_is_said(assembler):
    fresh = FrameAssembler()
    fresh.feed("map", build.map_text("not a map"))
    assert "not readable OpenDRIVE" in fresh.health.texts["bad_message"]


def test_the_image_belongs_to_its_frame():
    assembler = FrameAssembler(want_image=True, want_scene=False)
    pixels = np.full((4, 6, 3), 9, np.uint8)
    parts = frame_messages(frame(0))
    assert feed(assembler, parts) == []
    (got,) = feed(assembler, {"image": rgb_image(header(0, f"{ROLE}/rgb_front"), pixels)})
    assert got.image.shape == (4, 6, 3)
