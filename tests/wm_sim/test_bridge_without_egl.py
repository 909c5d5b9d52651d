"""A machine without EGL: the bridge says what to install and goes on without cameras."""

from __future__ import annotations

import pytest
from bridge_fakes import FakeOutputs, fake

pytest.importorskip("rclpy", reason="needs ROS 2 (pip install . brings it)")

from wm_sim.bridge_complaints import Complaints
from wm_sim.bridge_config import BridgeConfig
from wm_sim.bridge_sensors import Sensors
from wm_sim.camera import CameraUnavailable
from wm_sim.rig import Rig, SensorSpec

RIG = Rig(
    (
        SensorSpec("rgb_front", "sensor.camera.rgb"),
        SensorSpec("depth", "sensor.camera.depth"),
        SensorSpec("imu", "sensor.other.imu"),
    )
)


def test_goes_on_without_cameras_and_says_so_once():
    class Blind(fake.FakeSource):
        def read(self, sensor_id):
            if "camera" in self.mounted[sensor_id].type:
                raise CameraUnavailable("no EGL: apt-get install -y libegl1 libgl1-mesa-dri")
            return super().read(sensor_id)

    source, outputs, warnings = Blind(rig=RIG), FakeOutputs(), []
    sensors = Sensors(source, outputs, BridgeConfig(), Complaints(warnings.append))
    for spec in RIG.sensors:
        sensors.offer(spec)
    sensors.warm_up()
    assert len(warnings) == 1
    assert "libegl1" in warnings[0]
    assert set(outputs.entries) == {"imu"}
    source.start_route(0, 0, 0, "default", None)
    sensors.publish(source.frame(), outputs.publish)
    assert [key for key, _ in outputs.sent] == ["imu"]
