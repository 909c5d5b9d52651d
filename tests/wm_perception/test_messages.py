"""Message conversions: signs, frames, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from carla_msgs.msg import (
    CarlaEgoVehicleStatus,
    CarlaTrafficLightInfo,
    CarlaTrafficLightInfoList,
    CarlaTrafficLightStatus,
    CarlaTrafficLightStatusList,
)
from derived_object_msgs.msg import Object, ObjectArray
from geometry_msgs.msg import PoseStamped, Quaternion
from nav_msgs.msg import Odometry, Path
from sensor_msgs.msg import Image
from shape_msgs.msg import SolidPrimitive
from std_msgs.msg import Float32

from wm_perception import messages
from wm_perception.frame import LightState
from wm_perception.messages import MessageError
from wm_perception.node_tools import header
from wm_sim import bridge_sensor_messages as build

NAN = float("nan")


def turned(yaw: float) -> Quaternion:
    return Quaternion(z=math.sin(yaw / 2), w=math.cos(yaw / 2))


def ego_messages(yaw: float = 0.0):
    odometry, status = Odometry(), CarlaEgoVehicleStatus()
    odometry.pose.pose.position.x, odometry.pose.pose.position.y = 3.0, 4.0
    odometry.pose.pose.orientation = turned(yaw)
    return odometry, Float32(data=5.0), status


def car(identity: int, x: float, y: float, yaw: float = 0.0) -> Object:
    item = Object(id=identity)
    item.pose.position.x, item.pose.position.y = x, y
    item.pose.orientation = turned(yaw)
    item.shape = SolidPrimitive(type=SolidPrimitive.BOX, dimensions=[4.0, 2.0, 1.5])
    return item


def test_a_vehicle_turning_left_has_positive_yaw_rate_and_steer():
    odometry, speed, status = ego_messages(yaw=0.3)
    odometry.twist.twist.angular.z = 0.2
    status.control.steer = -0.5  # CARLA: right is positive
    status.control.throttle = 0.25
    ego = messages.ego_state(odometry, speed, status)
    assert (ego.x, ego.y, ego.speed_mps) == (3.0, 4.0, 5.0)
    assert ego.yaw == pytest.approx(0.3)
    assert ego.yaw_rate_radps == pytest.approx(0.2)
    assert ego.command.steer == 0.5
    assert ego.command.accel == 0.25


def test_acceleration_is_projected_from_map_axes_on_the_heading():
    odometry, speed, status = ego_messages(yaw=math.pi / 2)  # facing +y
    status.acceleration.linear.x, status.acceleration.linear.y = 9.0, -2.0
    assert messages.ego_state(odometry, speed, status).accel_mps2 == pytest.approx(-2.0)


def test_speed_is_the_speedometers_sign_included():
    odometry, speed, status = ego_messages()
    odometry.twist.twist.linear.x, speed.data = 9.0, -1.5
    assert messages.ego_state(odometry, speed, status).speed_mps == -1.5


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda o, s, v: setattr(o.pose.pose.position, "x", NAN), "odometry position"),
        (lambda o, s, v: setattr(o.twist.twist.angular, "z", math.inf), "yaw rate"),
        (lambda o, s, v: setattr(s, "data", NAN), "speedometer"),
        (lambda o, s, v: setattr(v.acceleration.linear, "y", NAN), "acceleration"),
        (lambda o, s, v: setattr(v.control, "steer", NAN), "control"),
        (lambda o, s, v: setattr(o.pose.pose.orientation, "w", 0.0), "unit quaternion"),
    ],
)
def test_ego_values_that_are_not_usable_are_refused(spoil, text):
    parts = ego_messages()
    spoil(*parts)
    with pytest.raises(MessageError, match=text):
        messages.ego_state(*parts)


def test_objects_keep_map_axes_and_lose_the_ego():
    right = car(7, 10.0, -3.0, yaw=1.0)
    right.twist.linear.x, right.twist.linear.y = 1.0, 2.0
    array = ObjectArray(objects=[car(1, 0.0, 0.0), right])
    assert messages.find_self(array, 1, 50.0, 50.0) == 0
    assert messages.find_self(array, None, 0.1, 0.0) == 0
    assert messages.find_self(array, None, 5.0, 0.0) is None
    found = messages.objects(array, exclude=0)
    assert found.ids.tolist() == [7]
    np.testing.assert_allclose(found.poses, [[10.0, -3.0, 1.0]])
    np.testing.assert_allclose(found.velocities, [[1.0, 2.0]])
    np.testing.assert_allclose(found.sizes, [[4.0, 2.0]])
    assert len(messages.objects(ObjectArray())) == 0


def test_objects_that_are_not_usable_are_refused():
    shapeless, lost = car(3, 0, 0), car(4, NAN, 0)
    shapeless.shape.dimensions = []
    with pytest.raises(MessageError, match="object 3 has no box"):
        messages.objects(ObjectArray(objects=[shapeless]))
    with pytest.raises(MessageError, match="object 4 .* not finite"):
        messages.objects(ObjectArray(objects=[lost]))


def test_lights():
    light = CarlaTrafficLightInfo(id=5)
    light.transform.position.x = 10.0
    light.transform.orientation = turned(math.pi / 2)
    light.trigger_volume.center.x = 2.0  # ahead of the light, so towards +y
    light.trigger_volume.center.y = 1.0  # to its left, so towards -x
    light.trigger_volume.size.x, light.trigger_volume.size.y = 6.0, 3.0
    (box,) = messages.light_boxes(CarlaTrafficLightInfoList(traffic_lights=[light]))
    assert box.id == 5
    np.testing.assert_allclose(box.center, (9.0, 2.0), atol=1e-9)
    assert (box.length, box.width) == (6.0, 3.0)
    states = CarlaTrafficLightStatusList(
        traffic_lights=[
            CarlaTrafficLightStatus(id=5, state=CarlaTrafficLightStatus.YELLOW),
            CarlaTrafficLightStatus(id=6, state=77),
        ]
    )
    assert messages.light_states(states) == {5: LightState.YELLOW, 6: LightState.UNKNOWN}


def test_route():
    poses = [PoseStamped(), PoseStamped()]
    poses[1].pose.position.x, poses[1].pose.position.y = 3.0, -1.0
    np.testing.assert_allclose(messages.route_points(Path(poses=poses)), [[0, 0], [3, -1]])
    with pytest.raises(MessageError, match="1 points"):
        messages.route_points(Path(poses=poses[:1]))
    poses[1].pose.position.x = NAN
    with pytest.raises(MessageError, match="not finite"):
        messages.route_points(Path(poses=poses))


def image(encoding: str, channels: int, pad: int = 0) -> Image:
    """2 x 3 pixels whose first channel counts up."""
    row = [v for column in range(3) for v in (column, 50, 100, 255)[:channels]] + [9] * pad
    return Image(height=2, width=3, encoding=encoding, step=3 * channels + pad, data=row * 2)


@pytest.mark.parametrize(("encoding", "channels"), [("bgra8", 4), ("bgr8", 3)])
def test_blue_first_images_become_rgb(encoding, channels):
    pixels = messages.rgb_image(image(encoding, channels, pad=2))
    assert pixels.shape == (2, 3, 3)
    assert pixels[1, 2].tolist() == [100, 50, 2]


@pytest.mark.parametrize(("encoding", "channels"), [("rgba8", 4), ("rgb8", 3)])
def test_red_first_images_stay(encoding, channels):
    assert messages.rgb_image(image(encoding, channels))[0, 1].tolist() == [1, 50, 100]


def test_images_survive_the_way_there_and_back():
    pixels = np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    message = build.rgb_image(header(0), pixels)
    assert (message.encoding, message.step, len(message.data)) == ("bgra8", 28, 140)
    np.testing.assert_array_equal(messages.rgb_image(message), pixels)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"encoding": "32FC1"}, "32FC1"),
        ({"width": 0}, "empty"),
        ({"height": 3}, "24 bytes, expected step \\* height = 36"),
        ({"width": 4}, "step 12 is less than 4 pixels"),
    ],
)
def test_images_that_are_not_usable_are_refused(change, text):
    message = image("bgra8", 4)
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(MessageError, match=text):
        messages.rgb_image(message)
