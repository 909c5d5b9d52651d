"""A machine without EGL: the bridge says what to install and goes on without the camera."""

from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (pip install . brings it)")

from wm_sim.bridge_config import BridgeConfig
from wm_sim.bridge_node import BridgeNode
from wm_sim.camera import CameraUnavailable


def test_goes_on_without_the_camera_and_says_so():
    asked, warnings = [], []

    def make_simulator(town, frame_dt, camera):
        asked.append(camera)
        if camera is not None:
            raise CameraUnavailable("no EGL: apt-get install -y libegl1 libgl1-mesa-dri")
        return "simulator"

    # Only the part that decides about the camera; the ROS ends are tested elsewhere.
    bridge = BridgeNode.__new__(BridgeNode)
    bridge.config = BridgeConfig(town="tiny")
    bridge._log = SimpleNamespace(warning=warnings.append)
    simulator, _ = bridge._simulate(make_simulator)
    assert simulator == "simulator"
    assert [camera is None for camera in asked] == [False, True]
    assert not bridge.config.camera
    assert "libegl1" in warnings[0]
