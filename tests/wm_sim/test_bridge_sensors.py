"""Sensors on their topics: computed for listeners only, added and removed at run time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from bridge_fakes import FakeOutputs, fake

from wm_dynamics.errors import UserError
from wm_perception.frame import EgoState
from wm_perception.messages import rgb_image
from wm_perception.node_tools import header
from wm_sim import bridge_sensor_messages as build
from wm_sim.bridge_complaints import Complaints
from wm_sim.bridge_config import BridgeConfig
from wm_sim.bridge_rig import bridge_rig, simulated_rig
from wm_sim.bridge_sensors import Sensors, sensor_spec
from wm_sim.rig import SensorSpec

HEAD = header(0, "hero/sensor")


def sensors_of(**parameters):
    config = BridgeConfig(role_name="hero", **parameters)
    rig = bridge_rig(config)
    source, outputs = fake.FakeSource(rig=simulated_rig(rig)), FakeOutputs()
    sensors = Sensors(source, outputs, config, Complaints(pytest.fail))
    for spec in simulated_rig(rig).sensors:
        sensors.offer(spec)
    source.start_route(0, 0, 0, "default", None)
    return sensors, source, outputs


def test_nothing_is_computed_for_nobody():
    sensors, source, outputs = sensors_of(sensors="full")
    outputs.unwanted = set(outputs.entries) - {"lidar"}
    sensors.publish(source.frame(), outputs.publish)
    assert source.reads == ["lidar"]
    assert [key for key, _ in outputs.sent] == ["lidar"]


def test_the_default_is_the_front_camera_and_false_leaves_cameras_out():
    _, _, outputs = sensors_of(camera_width=64, camera_height=32)
    assert set(outputs.entries) == {"image", "camera_info"}
    _, _, outputs = sensors_of(camera=False)
    assert not outputs.entries
    _, _, outputs = sensors_of(sensors="full", camera=False)
    assert {"lidar", "imu", "gnss", "radar_front", "semantic_lidar"} == set(outputs.entries)


def test_a_lidar_may_ride_beside_the_front_camera():
    _, _, outputs = sensors_of(sensors="front_lidar")
    assert set(outputs.entries) == {"image", "camera_info", "lidar"}


def test_a_rig_that_is_no_file_is_refused():
    with pytest.raises(UserError, match=r"nowhere\.json"):
        bridge_rig(BridgeConfig(sensors="nowhere.json"))


def test_a_front_picture_is_bgra_with_its_intrinsics():
    sensors, source, outputs = sensors_of()
    sensors.publish(source.frame(), outputs.publish)
    image, info = outputs.last("image"), outputs.last("camera_info")
    assert image.header.frame_id == "hero/rgb_front"
    assert list(image.data[:4]) == [30, 20, 10, 255]
    np.testing.assert_array_equal(rgb_image(image), fake.PIXELS)
    assert (info.k[0], info.k[2], info.k[5]) == (pytest.approx(3.0), 3.0, 2.0)


def test_spawned_sensors_get_topics_and_lose_them():
    sensors, source, outputs = sensors_of()
    identity = sensors.spawn(SensorSpec("back", "sensor.camera.depth", yaw=math.pi))
    assert {"back/image", "back/camera_info"} <= set(outputs.entries)
    sensors.publish(source.frame(), outputs.publish)
    assert outputs.last("back/image").encoding == "32FC1"
    assert [a.parent for a in sensors.actors()] == [fake.EGO_ID] * 2
    assert sensors.destroy(identity)
    assert not sensors.destroy(identity)
    assert "back" not in source.mounted
    assert "back/image" not in outputs.entries


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (SensorSpec("rgb_front", "sensor.camera.rgb"), "is published already"),
        (SensorSpec("a", "sensor.camera.optical_flow"), "no sensor of type"),
        (SensorSpec("1/2", "sensor.other.imu"), "letters, digits"),
        (SensorSpec("bad", "sensor.other.imu", attributes={"bad": "1"}), "impossible attribute"),
        (SensorSpec("odd", "sensor.camera.dvs", attributes={"log_eps": "nan"}), "log_eps"),
    ],
)
def test_impossible_sensors_are_refused_and_leave_no_topic(spec, reason):
    sensors, _, outputs = sensors_of()
    before = set(outputs.entries)
    with pytest.raises(UserError, match=reason):
        sensors.spawn(spec)
    assert set(outputs.entries) == before


def test_a_pose_that_is_not_finite_is_refused():
    with pytest.raises(UserError, match="not finite"):
        sensor_spec("sensor.other.imu", "imu", (0.0, math.nan, 0.0, 0.0, 0.0, 0.0), {})


def test_transforms_follow_the_ego_in_real_time_and_not_in_lockstep():
    ego = EgoState(10.0, 5.0, math.pi / 2, 0.0)
    sensors, _, _ = sensors_of()
    (fixed,) = sensors.transforms(0, ego)
    assert (fixed.header.frame_id, fixed.child_frame_id) == ("hero", "hero/rgb_front")
    assert fixed.transform.translation.x == pytest.approx(1.2)
    sensors, _, _ = sensors_of(synchronous=False)
    (moving,) = sensors.transforms(0, ego)
    at = moving.transform.translation
    assert moving.header.frame_id == "map"
    assert (at.x, at.y, at.z) == (pytest.approx(10.0), pytest.approx(6.2), pytest.approx(1.8))


def test_layouts():
    points = np.array([[1, 2, 3, 4, 5, 6, 7]], np.float32)
    radar = build.cloud(HEAD, points, build.RADAR)
    assert (radar.point_step, radar.row_step, radar.width, radar.height) == (32, 32, 1, 1)
    assert [f.offset for f in radar.fields] == [0, 4, 8, 12, 16, 20, 28]
    raw = np.frombuffer(radar.data, "<f4")
    assert raw.tolist() == [1, 2, 3, 4, 5, 6, 0, 7]
    lidar = build.cloud(HEAD, points[:, :4], build.LIDAR)
    assert np.frombuffer(lidar.data, "<f4").tolist() == [1, 2, 3, 4]
    assert build.cloud(HEAD, points[:0], build.RADAR).width == 0


def test_depth_and_segmentation():
    depth = build.depth_image(HEAD, np.full((2, 3), 7.5, np.float32))
    assert (depth.encoding, depth.step) == ("32FC1", 12)
    assert np.frombuffer(depth.data, "<f4").tolist() == [7.5] * 6
    road = build.semantic_image(HEAD, np.full((1, 1), 7, np.uint8))
    assert (road.encoding, list(road.data)) == ("bgra8", [128, 64, 128, 255])
    vehicle = build.semantic_image(HEAD, np.full((1, 1), 10, np.uint8))
    assert list(vehicle.data) == [142, 0, 0, 255]
