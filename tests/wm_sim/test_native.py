"""The bridge with CARLA's native interface: held against a table, and read by our own client."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ackermann_msgs.msg import AckermannDriveStamped
from bridge_process import running_bridge
from carla_msgs.msg import CarlaCollisionEvent, CarlaEgoVehicleControl
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from sensor_msgs.msg import PointField
from std_msgs.msg import Header

from wm_msgs.srv import StartRoute
from wm_perception.native import cloud, depth_image, imu_sample, semantic_tags
from wm_perception.semantics import SemanticTag
from wm_sim import native
from wm_sim.imu import ImuReading
from wm_sim.interfaces import NATIVE

sys.path.insert(0, str(Path(__file__).with_name("contract")))

from contract_client import Client
from contract_table import Row

ROLE = "hero"
ROWS = [
    Row(**values)
    for values in yaml.safe_load(Path(__file__).with_name("native_endpoints.yaml").read_text())[
        "rows"
    ]
]
PUBLISHED = [row for row in ROWS if row.direction == "publish" and row.offered]
READ = [row for row in ROWS if row.direction == "subscribe"]
ABSENT = [row for row in ROWS if not row.offered]
EVENTS = ("/carla/hero/collision",)
WARM_UP_FRAMES = 3  # of a phase: steering and body need them


# ------------------------------------------------------------------ converters


def test_depth_goes_to_bytes_and_back():
    depth = np.array([[0.0, 0.3, 12.3456], [399.99, 1000.0, np.inf]], np.float32)
    message = native.depth_image(Header(), depth)
    assert (message.encoding, message.step) == ("bgra8", 12)
    np.testing.assert_allclose(depth_image(message), np.minimum(depth, 1000.0), atol=1e-4)


@pytest.mark.parametrize("bad", [-0.1, math.nan])
def test_what_is_no_depth_is_refused(bad):
    with pytest.raises(ValueError, match="negative or not a number"):
        native.depth_image(Header(), np.array([[1.0, bad]], np.float32))


def test_tags_are_in_the_red_channel():
    message = native.semantic_image(Header(), np.array([[7, 22]], np.uint8))
    assert list(message.data) == [0, 0, 7, 255, 0, 0, 22, 255]


@pytest.mark.parametrize("heading", [-2.0, 0.0, 1.0, 3.0])
def test_imu_is_mirrored_and_comes_back(heading):
    turn = (0.0, 0.0, math.sin(heading / 2), math.cos(heading / 2))
    reading = ImuReading(np.array([1.0, 2.0, 9.81]), np.array([0.1, 0.2, 0.3]), turn)
    message = native.imu(Header(), reading)
    assert message.linear_acceleration.y == -2.0
    assert (message.angular_velocity.x, message.angular_velocity.z) == (-0.1, -0.3)
    sample = imu_sample(message, native=True)
    np.testing.assert_allclose(sample.accel, reading.accel)
    np.testing.assert_allclose(sample.gyro, reading.gyro)
    assert sample.yaw == pytest.approx(heading)
    published = 2 * math.atan2(message.orientation.z, message.orientation.w)
    assert math.remainder(published - heading + math.pi / 4, math.tau) == pytest.approx(0.0)


def test_a_collision_names_its_sensor_alone():
    event = CarlaCollisionEvent(header=Header(frame_id="hero/collision"))
    (sent,) = NATIVE.outgoing("collision", event, ROLE)
    assert sent.header.frame_id == "collision"


# ------------------------------------------------------------------ the whole interface


class NativeClient(Client):
    """Drives by the clock, which is all that tells of time here."""

    @property
    def frames(self) -> int:
        return len(self.heard["/clock"])

    def answer(self, name: str, message: Any) -> None:
        before = self.frames
        self.send(f"/carla/{ROLE}/{name}", message)
        self.until(lambda: self.frames > before)

    def drive(self, phase: str, frames: int, **control: Any) -> None:
        self.phase = phase
        for _ in range(frames):
            self.answer("vehicle_control_cmd", CarlaEgoVehicleControl(**control))

    def messages(self, name: str, *phases: str) -> list[Any]:
        name = f"/carla/{ROLE}/{name[2:]}" if name.startswith("R/") else name
        return [m for phase, m in self.heard[name] if not phases or phase in phases]


def play(client: NativeClient) -> None:
    """Stand, drive, turn both ways, brake, and turn right by an Ackermann command."""
    for row in PUBLISHED:
        client.hear(row.topic(ROLE), row.message_type())
    client.until(lambda: client.node.count_publishers("/carla/hero/imu"))
    # Readers are best-effort: what is sent before they are matched is lost, so this is no command.
    client.send("/carla/hero/vehicle_control_cmd", CarlaEgoVehicleControl())
    client.send("/carla/hero/ackermann_control_cmd", AckermannDriveStamped())
    client.spin(1.0)
    answer = client.call(StartRoute, "/wm_sim/start_route", route=1, seed=1, traffic=6)
    assert answer.success, answer.message
    client.until(lambda: client.frames)
    client.drive("rest", 2, brake=1.0)
    for name in [n for n in client.heard if "rgb" in n or "lidar" in n]:
        client.forget(name)
    client.drive("start", 16, throttle=0.8)
    client.drive("left", 8, throttle=0.2, steer=-0.4)
    client.drive("right", 10, throttle=0.2, steer=0.4)
    client.drive("brake", 6, brake=0.8)
    client.drive("again", 10, throttle=0.8)
    client.phase = "ackermann_right"
    for _ in range(6):
        message = AckermannDriveStamped()
        message.drive.steering_angle, message.drive.speed = 0.3, 5.0
        client.answer("ackermann_control_cmd", message)
    client.spin(0.2)


@pytest.fixture(scope="module")
def session(module_ros_domain) -> Iterator[NativeClient]:
    """A drive with the real simulator, the full rig and its cameras."""
    with running_bridge(module_ros_domain.env, ROLE, interface="native"):
        client = NativeClient(module_ros_domain.id, ROLE)
        try:
            play(client)
            yield client
        finally:
            client.close()


def named(rows: list[Row]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", rows, ids=[row.name for row in rows])


@pytest.mark.ros
@pytest.mark.camera
class TestInterface:
    """Everything against the table."""

    @named(PUBLISHED + READ)
    def test_name_type_and_qos(self, session: NativeClient, row: Row):
        node, name = session.node, row.topic(ROLE)
        writes = row.direction == "publish"
        find = node.get_publishers_info_by_topic if writes else node.get_subscriptions_info_by_topic
        (info,) = [i for i in find(name) if i.node_name == "carla_ros_bridge"]
        assert info.topic_type == row.type
        assert info.qos_profile.durability == DurabilityPolicy.VOLATILE
        wanted = ReliabilityPolicy.RELIABLE if writes else ReliabilityPolicy.BEST_EFFORT
        assert info.qos_profile.reliability == wanted

    @named(ABSENT)
    def test_nothing_else_is_there(self, session: NativeClient, row: Row):
        names = dict(session.node.get_topic_names_and_types())
        names |= dict(session.node.get_service_names_and_types())
        assert row.topic(ROLE) not in names

    @named([row for row in PUBLISHED if row.frame_id and row.topic(ROLE) not in EVENTS])
    def test_frame_id(self, session: NativeClient, row: Row):
        messages = session.messages(row.name)
        assert messages, f"{row.name} said nothing"
        assert {m.header.frame_id for m in messages} == {row.frame_id}

    @named([row for row in PUBLISHED if row.encoding])
    def test_encoding(self, session: NativeClient, row: Row):
        for message in session.messages(row.name):
            assert (message.encoding, message.is_bigendian) == (row.encoding, 0)
            assert message.step == row.step_per_pixel * message.width
            assert len(message.data) == message.step * message.height > 0

    @named([row for row in PUBLISHED if row.fields])
    def test_fields(self, session: NativeClient, row: Row):
        messages = session.messages(row.name)
        assert messages
        for message in messages:
            layout = [[f.name, f.offset, f.datatype, f.count] for f in message.fields]
            assert layout == [[n, o, getattr(PointField, kind), 1] for n, o, kind in row.fields]
            assert (message.height, message.point_step) == (1, row.point_step)
            assert message.row_step == message.point_step * message.width == len(message.data)

    @named([row for row in PUBLISHED if row.signs])
    def test_signs(self, session: NativeClient, row: Row):
        for phase, signs in row.signs.items():
            for path, sign in signs.items():
                messages = session.messages(row.name, phase)[WARM_UP_FRAMES:]
                mean = np.mean([attrgetter(path)(m) for m in messages])
                assert mean * float(f"{sign}1") > 0.01, (phase, path, mean)

    def test_our_client_reads_a_left_turn_as_left(self, session: NativeClient):
        late = session.messages("R/imu", "left")[WARM_UP_FRAMES:]
        samples = [imu_sample(message, native=True) for message in late]
        assert all(s.gyro[2] > 0.01 and s.accel[1] > 0.0 for s in samples)
        assert math.remainder(samples[-1].yaw - samples[0].yaw, math.tau) > 0.01
        slow = session.messages("R/imu", "rest")[-1]
        assert imu_sample(slow, native=True).accel[2] == pytest.approx(9.81, abs=0.2)

    def test_our_client_reads_depth_in_metres(self, session: NativeClient):
        depth = depth_image(session.messages("R/depth_front/image")[0])
        # The eye is 2 m above the road, and the last row looks down by 34.5 of 200 px.
        assert depth[-1, 200] == pytest.approx(2.0 * 200.0 / 34.5, rel=0.02)
        assert depth[-1, 200] < depth[0].max() <= 1000.0

    def test_our_client_reads_tags(self, session: NativeClient):
        tags = semantic_tags(
            session.messages("R/semantic_segmentation_front/image")[0], native=True
        )
        assert tags.max() < len(SemanticTag)
        assert tags[-1, tags.shape[1] // 2] in (SemanticTag.ROAD, SemanticTag.ROAD_LINE)

    def test_our_client_reads_clouds_by_the_bridges_names(self, session: NativeClient):
        points = cloud(session.messages("R/semantic_lidar/point_cloud")[0])
        assert {"CosAngle", "ObjIdx", "ObjTag"} <= set(points.dtype.names)
        assert SemanticTag.ROAD in points["ObjTag"]
        found = [cloud(m) for m in session.messages("R/radar_front/point_cloud")]
        radar = np.concatenate([c for c in found if len(c)])
        across = -radar["Range"] * np.sin(radar["AzimuthAngle"]) * np.cos(radar["ElevationAngle"])
        np.testing.assert_allclose(radar["y"], across, atol=1e-3)  # azimuth is right positive

    def test_each_sensor_says_where_it_is_in_body_axes(self, session: NativeClient):
        found = {}
        for message in session.messages("/tf"):
            (item,) = message.transforms
            assert item.header.frame_id == ROLE
            found[item.child_frame_id] = item.transform
        assert {"rgb_front", "lidar", "imu", "radar_front"} <= set(found)
        camera = found["rgb_front"]
        assert (camera.translation.x, camera.translation.z) == (2.0, 2.0)
        assert abs(camera.rotation.w) == pytest.approx(1.0)  # not turned to optical axes

    def test_time_goes_on_by_frames(self, session: NativeClient):
        stamps = [m.clock.sec + 1e-9 * m.clock.nanosec for m in session.messages("/clock")]
        assert np.diff(stamps) == pytest.approx(0.1, abs=1e-6)
