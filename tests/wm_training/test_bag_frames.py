"""Frames of recorded bags: clocks, jitter, gaps, cameras, and the account of what was dropped."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from drive_recorder import MAP, ROLE, Recorder, colour, ego, steps
from rclpy.serialization import serialize_message
from rich.console import Console
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Float32

from wm_dynamics.errors import UserError
from wm_perception import sync_scene
from wm_perception.camera_stream import CameraStream
from wm_perception.frame import SceneFrame
from wm_perception.messages import stamp_ns
from wm_perception.node_tools import header
from wm_sim import bridge_messages as build
from wm_training.bag_frames import BagFrames, Sources
from wm_training.from_bag import BuildOptions, build_store, convert
from wm_training.store import Store

FRONT, SIDE = "/cameras/front", "/cameras/side/compressed"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "bags"


@pytest.fixture(autouse=True)
def _straight_town(monkeypatch, road):
    """The map of every recording here is the straight road's."""
    town = road.scene().town
    town.opendrive = MAP

    class Town:
        @staticmethod
        def from_opendrive(text: str, name: str):
            assert text == MAP
            return town

    monkeypatch.setattr(sync_scene, "TownMap", Town)


@pytest.fixture
def recorder(tmp_path, road):
    """A recording with the static topics in it, in ``tmp_path / "bag"``."""
    result = Recorder(tmp_path / "bag", road)
    result.scene()
    return result


def frames_of(path: Path, **sources):
    source = BagFrames(path, Sources(**sources))
    return list(source), source


def test_parts_of_one_stamp_are_taken_as_they_are(recorder, tmp_path):
    recorder.together(steps(40))
    recorder.close()
    moments, source = frames_of(tmp_path / "bag")
    assert source.report.role == ROLE
    assert source.report.clock == "lockstep"
    assert len(moments) == source.report.frames == 40
    for moment in moments:
        expected = ego(moment.frame.stamp_ns * 1e-9)
        assert moment.frame.ego.x == pytest.approx(expected.x)
        assert moment.frame.ego.speed_mps == pytest.approx(expected.speed_mps, abs=1e-5)
        assert moment.frame.ego.command == expected.command
    assert all(count.used == count.messages for count in source.report.topics.values())


def test_states_of_other_rates_and_with_jitter_are_interpolated(recorder, tmp_path):
    rng = np.random.default_rng(0)
    for k in range(300):
        recorder.odometry(0.02 * k + rng.uniform(-0.004, 0.004) + 0.005, delay_s=0.01)
    for k in range(130):
        recorder.status(0.05 * k + rng.uniform(-0.01, 0.01) + 0.011)
    for k in range(60):
        recorder.speed(0.1 * k + 0.037)
    for time_s in steps(50, start=0.2):
        recorder.objects(time_s + rng.uniform(-0.005, 0.005), delay_s=0.06)
    recorder.close()
    moments, source = frames_of(tmp_path / "bag")
    assert source.report.clock == "interpolated"
    assert len(moments) == source.report.interpolated == 50
    for moment in moments:
        expected, got = ego(moment.frame.stamp_ns * 1e-9), moment.frame.ego
        assert np.abs(got.pose - expected.pose).max() < 2e-3
        assert got.yaw_rate_radps == pytest.approx(expected.yaw_rate_radps, abs=1e-3)
        # Recorded 10 ms after odometry's delay, which the recorder's clock cannot tell.
        assert got.speed_mps == pytest.approx(expected.speed_mps, abs=0.02)
        assert got.accel_mps2 == pytest.approx(expected.accel_mps2, abs=0.01)
        assert got.command == expected.command
    report = convert(tmp_path / "bag", None, BuildOptions())
    assert 0.0 < report.jitter_s < 0.01
    assert (report.used, report.error) == (50, "")


def test_nothing_is_interpolated_across_a_gap_nor_extrapolated(recorder, tmp_path):
    for k in range(400):
        if not 3.0 < 0.02 * k < 4.0:  # a second without odometry
            recorder.odometry(0.02 * k + 0.007)
    for k in range(200):
        recorder.status(0.05 * k + 0.013)
        recorder.speed(0.05 * k)
    for time_s in steps(100):
        recorder.objects(time_s, delay_s=0.03)
    recorder.close()
    moments, source = frames_of(tmp_path / "bag")
    stamps = {round(moment.frame.stamp_ns / 1e8) for moment in moments}
    assert stamps == set(range(1, 30 + 1)) | set(range(41, 80))
    assert source.report.topics["/carla/objects"].dropped == {"no_odometry_near": 100 - len(stamps)}
    report = convert(tmp_path / "bag", None, BuildOptions())
    assert report.episodes == 2


def test_a_teleport_between_two_samples_is_no_path(recorder, tmp_path):
    for k in range(400):
        time_s = 0.02 * k + 0.007
        moved = ego(time_s if time_s < 4.0 else time_s + 20.0)
        message = build.odometry(round(time_s * 1e9), moved, ROLE)
        recorder.part("odometry", time_s, message)
        recorder.status(time_s)
        recorder.speed(time_s)
    for time_s in steps(70):
        recorder.objects(time_s, delay_s=0.03)
    recorder.close()
    moments, _ = frames_of(tmp_path / "bag")
    assert all(
        min(abs(m.frame.ego.x - ego(t).x) for t in (s, s + 20.0)) < 0.01
        for m in moments
        for s in [m.frame.stamp_ns * 1e-9]
    )


def test_pictures_are_the_nearest_earlier_ones(recorder, tmp_path):
    for number in range(60):
        if not 20 <= number < 25:  # the camera was away for half a second
            time_s = 0.07 + 0.1 * number
            recorder.put(FRONT, "sensor_msgs/msg/Image", time_s, colour(time_s, number), 0.02)
    ok, jpeg = cv2.imencode(".jpg", np.full((40, 60, 3), (10, 20, 200), np.uint8))
    assert ok
    for time_s in steps(60):
        side = CompressedImage(
            header=header(round(time_s * 1e9)), format="jpeg", data=jpeg.tobytes()
        )
        recorder.put(SIDE, "sensor_msgs/msg/CompressedImage", time_s, side, 0.3)
    recorder.together(steps(60))
    recorder.close()
    out = tmp_path / "store"
    sources = Sources(cameras={"front": FRONT, "side": SIDE}, image_size=(16, 32))
    report = convert(tmp_path / "bag", out, BuildOptions(sources))
    store = Store.open(out)
    front, ages = store.images["front"][0], store.ages["front"]
    assert front.shape == (60, 16, 32, 3)
    assert isinstance(front, np.memmap)
    # Frame k is at 0.1 (k + 1); the picture taken 30 ms before is number k.
    for k in range(60):
        if 20 <= k < 25:
            assert math.isnan(ages[k]) and not front[k].any()
        else:
            assert ages[k] == pytest.approx(0.03, abs=1e-3) and front[k, 8, 8, 0] == k
    assert report.without_picture == {"front": 5, "side": 0}
    assert np.abs(store.images["side"][0][5, 8, 8].astype(int) - (200, 20, 10)).max() < 6
    assert store.ages["side"].max() < 1e-6


def test_malformed_messages_are_counted_one_by_one(recorder, tmp_path):
    recorder.together(steps(40))
    nan = build.odometry(5_000_000_000, ego(5.0), ROLE)
    nan.pose.pose.position.x = math.nan
    recorder.part("speedometer", 5.0, Float32(data=5.0))
    recorder.status(5.0)
    recorder.objects(5.0, 1e-6)
    recorder.part("odometry", 5.0, nan, 2e-6)
    recorder.part("odometry", 5.2, serialize_message(nan)[:40])
    recorder.put("/carla/hero/vehicle_info", "std_msgs/msg/Float32", 5.3, Float32(data=1.0))
    short = colour(1.0, 3)
    short.data = short.data[:30]
    recorder.put(FRONT, "sensor_msgs/msg/Image", 1.0, short)
    recorder.put(SIDE, "std_msgs/msg/Float32", 1.0, Float32(data=1.0))
    recorder.close()
    out, file = tmp_path / "store", tmp_path / "account.json"
    sources = Sources(cameras={"front": FRONT, "side": SIDE})
    build_store([tmp_path / "bag"], out, BuildOptions(sources), Console(quiet=True), file)
    (account,) = json.loads(file.read_text())["bags"]
    dropped = {name: t["dropped"] for name, t in account["topics"].items() if t["dropped"]}
    assert dropped == {
        "/carla/hero/odometry": {"bad_message": 1, "undecodable": 1},
        "/carla/hero/vehicle_status": {"bad_message": 1},
        "/carla/objects": {"bad_message": 1},
        "/carla/hero/vehicle_info": {"wrong_type": 1},
        FRONT: {"malformed": 1},
        SIDE: {"wrong_type": 1},
    }
    assert account["frames"]["used"] == 40
    assert "30 bytes" in account["texts"]["camera front"]
    assert "odometry position is not finite" in account["texts"]["bad_message"]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("together", [True, False])
def test_rotten_bytes_anywhere_cost_messages_not_the_build(recorder, tmp_path, seed, together):
    rng = np.random.default_rng(seed)
    for time_s in steps(80):
        recorder.put(FRONT, "sensor_msgs/msg/Image", time_s, colour(time_s, 9))
        recorder.part("lane_invasion", time_s, build.lane_invasion(SceneFrame(0, ego(0.0)), ROLE))
    if together:
        recorder.together(steps(80))
    else:
        for time_s in steps(80):
            recorder.speed(time_s + 0.01)
            recorder.status(time_s + 0.02)
            recorder.odometry(time_s + 0.03)
            recorder.objects(time_s + 0.04)
    recorder.rot(rng, share=0.15)
    recorder.close()
    report = convert(tmp_path / "bag", tmp_path / "store", BuildOptions(Sources(
        cameras={"front": FRONT}, image_size=(8, 8)
    )))  # fmt: skip
    assert sum(count.dropped.total() for count in report.topics.values()) > 0
    for count in report.topics.values():
        assert 0 <= count.used <= count.messages
    assert report.used + report.dropped.total() == report.frames


def test_too_short_a_drive_leaves_no_store_behind(recorder, tmp_path):
    recorder.together(steps(20))
    recorder.close()
    with pytest.raises(UserError, match=r"no stretch of driving is longer than 3\.0 s"):
        build_store([tmp_path / "bag"], tmp_path / "store", BuildOptions(), Console(quiet=True))
    assert not (tmp_path / "store").exists()


def test_stretches_under_three_seconds_are_counted(recorder, tmp_path):
    recorder.together([*steps(29), *steps(30, start=4.0)])
    recorder.close()
    report = convert(tmp_path / "bag", tmp_path / "store", BuildOptions())
    assert (report.used, report.episodes, report.dropped) == (30, 1, {"short": 29})
    assert Store.open(tmp_path / "store").frames == 30


def test_one_bad_bag_does_not_cost_the_others(recorder, tmp_path, road):
    recorder.together(steps(40))
    recorder.close()
    empty = Recorder(tmp_path / "empty", road)
    empty.scene()
    empty.close()
    bags = [tmp_path / "empty", tmp_path / "bag"]
    console = Console(record=True, width=200, quiet=True)
    with pytest.raises(UserError, match="empty: it has no /carla/ego_vehicle/odometry"):
        build_store(bags, tmp_path / "store", BuildOptions(), console)
    assert Store.open(tmp_path / "store").frames == 40


def test_renamed_topics_and_thinning(recorder, tmp_path):
    times = steps(160, dt=0.05)
    for time_s in times:
        recorder.speed(time_s - 3e-6)
        recorder.status(time_s)
        recorder.objects(time_s, 2e-6)
        message = build.odometry(round(time_s * 1e9), ego(time_s), ROLE)
        recorder.put("/ego/odom", "nav_msgs/msg/Odometry", time_s, message, 3e-6)
    recorder.close()
    sources = Sources(role=ROLE, renamed={"odometry": "/ego/odom"})
    report = convert(tmp_path / "bag", tmp_path / "store", BuildOptions(sources, frame_dt=0.1))
    assert report.dropped == {"thinned": 80}
    store = Store.open(tmp_path / "store")
    assert (store.frames, store.frame_dt) == (80, 0.1)
    slow = convert(tmp_path / "bag", None, BuildOptions(sources, frame_dt=0.01))
    assert slow.error == "it has a frame every 0.05 s only"


def test_two_vehicles_must_be_told_apart(recorder, tmp_path):
    recorder.odometry(0.1)
    message = build.odometry(0, ego(0.0), "other")
    recorder.put("/carla/other/odometry", "nav_msgs/msg/Odometry", 0.2, message)
    recorder.close()
    with pytest.raises(UserError, match=r"--role-name \(found: hero, other\)"):
        BagFrames(tmp_path / "bag", Sources())


def test_time_going_back_starts_another_run(recorder, tmp_path):
    recorder.together(steps(40))
    for index, time_s in enumerate(steps(40)):
        stamp, delay_s = round(time_s * 1e9), 10.0
        recorder.part("speedometer", time_s, build.speedometer(ego(time_s)), delay_s)
        recorder.part("vehicle_status", time_s, build.vehicle_status(stamp, ego(time_s)), delay_s)
        recorder.objects(time_s, delay_s + 1e-6)
        recorder.odometry(time_s, delay_s + 2e-6)
        recorder.part("image", time_s, colour(time_s, index), delay_s)
    recorder.close()
    sources = Sources.of_model(CameraStream("camera_front", 8, 8))
    convert(tmp_path / "bag", tmp_path / "store", BuildOptions(sources))
    store = Store.open(tmp_path / "store")
    assert np.diff(store.starts).tolist() == [40, 40]
    assert np.isnan(store.ages["front"][:40]).all()
    assert store.images["front"][1][:, 0, 0, 0].tolist() == list(range(40))


@pytest.mark.parametrize("name", ["test_bag_mcap", "test_bag_sqlite3"])
def test_a_foreign_bag_with_malformed_pictures_is_judged_and_refused(name, tmp_path):
    if not (SHARED / name).is_dir():
        pytest.skip("the shared test bags are not here")
    cameras = {"raw": "/test/sensor_msgs/image", "packed": "/test/sensor_msgs/compressed_image"}
    renamed = {"odometry": "/test/nav_msgs/odometry", "waypoints": "/test/nav_msgs/path"}
    report = convert(
        SHARED / name, tmp_path / "store", BuildOptions(Sources(cameras=cameras, renamed=renamed))
    )
    assert sum(count.messages for count in report.topics.values()) == 188
    for topic_name in cameras.values():
        assert report.topics[topic_name].dropped == {"malformed": 2}
    assert "30 bytes, expected" in report.texts["camera raw"]
    assert report.error.startswith("it has no /carla/ego_vehicle/vehicle_status")
    assert not (tmp_path / "store").exists()


def test_the_stamp_is_read_from_the_bytes(recorder, tmp_path):
    recorder.together(steps(3))
    recorder.close()
    source = BagFrames(tmp_path / "bag", Sources())
    assert source.stamps_ns == [round(t * 1e9) for t in steps(3)]
    assert stamp_ns(header(source.stamps_ns[0]).stamp) == source.stamps_ns[0]
