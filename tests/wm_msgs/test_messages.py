"""The compiled messages: right on the wire, and equal to the published ones where these exist."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ackermann_msgs.msg import AckermannDrive, AckermannDriveStamped
from ament_index_python import get_package_share_directory
from carla_msgs.msg import CarlaEgoVehicleControl, CarlaEgoVehicleStatus
from carla_msgs.srv import DestroyObject, GetBlueprints, SpawnObject
from derived_object_msgs.msg import Object, ObjectArray
from geometry_msgs.msg import TransformStamped
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from tf2_msgs.msg import TFMessage

from wm_msgs.msg import Latent
from wm_msgs.srv import StartRoute

# As published with the CARLA ROS bridge's carla_msgs.
CONTROL_HASH = "RIHS01_4f251fa2a554e8ed996f77eb1d5b65515af1369eceb04d5122cb5761f7801be3"
PACKAGES = (
    "ackermann_msgs",
    "carla_msgs",
    "carla_waypoint_types",
    "derived_object_msgs",
    "tf2_msgs",
    "wm_msgs",
)
DISCOVERY_S = 20.0


def examples() -> dict[str, Any]:
    """One filled message of each package."""
    car = Object(id=7, classification=Object.CLASSIFICATION_CAR)
    car.shape.dimensions = [4.5, 1.8, 1.5]
    control = CarlaEgoVehicleControl(throttle=0.5, steer=-0.25, gear=1, reverse=True)
    transform = TransformStamped(child_frame_id="ego_vehicle")
    transform.transform.translation.x = 3.5
    latent = Latent(model_hash="0123", deter=[0.5, -1.0], stoch=[1.0, 0.0], reset=True)
    latent.header.frame_id = "map"
    return {
        "ackermann_msgs": AckermannDriveStamped(drive=AckermannDrive(speed=2.5)),
        "carla_msgs": CarlaEgoVehicleStatus(velocity=4.0, control=control),
        "derived_object_msgs": ObjectArray(objects=[car, Object()]),
        "tf2_msgs": TFMessage(transforms=[transform]),
        "wm_msgs": latent,
    }


def installed_hash(package: str, message: str) -> str:
    """Type hash in the type description that is installed beside the message."""
    file = Path(get_package_share_directory(package), "msg", f"{message}.json")
    hashes = json.loads(file.read_text())["type_hashes"]
    return next(h["hash_string"] for h in hashes if h["type_name"] == f"{package}/msg/{message}")


def test_control_has_the_published_type_hash() -> None:
    assert installed_hash("carla_msgs", "CarlaEgoVehicleControl") == CONTROL_HASH


@pytest.mark.parametrize("package", PACKAGES)
def test_type_hashes_agree_with_rosbags(package: str) -> None:
    store = get_typestore(Stores.ROS2_KILTED)
    found = {}
    for name in PACKAGES:
        for file in Path(get_package_share_directory(name), "msg").glob("*.msg"):
            found |= get_types_from_msg(file.read_text(), f"{name}/msg/{file.stem}")
    store.register(found)
    own = [name for name in found if name.startswith(f"{package}/")]
    assert own
    for name in own:
        assert store.generate_msgdef(name) and store.hash_rihs01(name) == installed_hash(
            package, name.rsplit("/", 1)[1]
        )


def test_services_have_request_and_response() -> None:
    assert SpawnObject.Request(type="vehicle.*", random_pose=True).attach_to == 0
    assert SpawnObject.Response(id=-1, error_string="no").id == -1
    assert DestroyObject.Response(success=True).success
    assert GetBlueprints.Response(blueprints=["a"]).blueprints == ["a"]
    assert StartRoute.Request(suite="default", route=3).route == 3


@pytest.fixture
def echo(ros_domain: Any) -> Iterator[None]:
    """A second process that sends messages back."""
    names = [f"{package}/{type(m).__name__}" for package, m in examples().items()]
    script = Path(__file__).with_name("echo.py")
    child = subprocess.Popen([sys.executable, str(script), *names], env=ros_domain.env)
    yield
    child.terminate()
    child.wait(10)


@pytest.mark.ros
def test_round_trip_between_two_processes(ros_domain: Any, echo: None) -> None:
    import rclpy

    with rclpy.init(domain_id=ros_domain.id):
        node = rclpy.create_node("round_trip")
        received: dict[str, Any] = {}
        publishers = {}
        for package, message in examples().items():
            node.create_subscription(
                type(message),
                f"/{package}/back",
                lambda back, package=package: received.setdefault(package, back),
                10,
            )
            publishers[package] = node.create_publisher(type(message), f"/{package}/there", 10)
        end = time.monotonic() + DISCOVERY_S
        while len(received) < len(publishers) and time.monotonic() < end:
            for package, publisher in publishers.items():
                if package not in received and publisher.get_subscription_count():
                    publisher.publish(examples()[package])
            rclpy.spin_once(node, timeout_sec=0.05)
        info = node.get_publishers_info_by_topic("/carla_msgs/back")[0]
        node.destroy_node()
    assert received == examples()
    assert str(info.topic_type_hash) == installed_hash("carla_msgs", "CarlaEgoVehicleStatus")
