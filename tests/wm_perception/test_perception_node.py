"""The perception node over DDS: latents from good input, words about bad input."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rclpy
from carla_msgs.msg import CarlaEgoVehicleControl
from rclpy.executors import SingleThreadedExecutor

from wm_dynamics.checkpoint import load_checkpoint, save_checkpoint
from wm_dynamics.config import ModelConfig
from wm_dynamics.model import WorldModel
from wm_dynamics.variants import variant
from wm_msgs.srv import StartRoute
from wm_perception.node_tools import header, publisher, subscription
from wm_perception.observation import STATE_NAMES
from wm_perception.topics import START_ROUTE_SERVICE

pytestmark = pytest.mark.ros

ROLE = "ego_vehicle"
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A checkpoint nobody trained."""
    path = tmp_path_factory.mktemp("model")
    save_checkpoint(WorldModel.untrained(ModelConfig()), path)
    return path


@pytest.fixture(scope="module")
def camera_model(tmp_path_factory) -> Path:
    """A checkpoint nobody trained, of a model that drives by the front camera."""
    path = tmp_path_factory.mktemp("camera_model")
    save_checkpoint(WorldModel.untrained(variant("tiny", inputs="camera")), path)
    return path


@pytest.fixture
def launch(start_node) -> Callable[..., subprocess.Popen]:
    """Starts a node by its module; perception without a manager."""

    def start(module: str, **values):
        if module == "wm_perception.perception_node":
            values = {"autostart": True, **values}
        return start_node("-m", module, **values)

    return start


class Listener:
    """Hears topics, can publish, spins until something is true."""

    def __init__(self, domain_id: int, *keys: str):
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self.node = rclpy.create_node("listener", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.heard: dict[str, list] = {key: [] for key in keys}
        for key in keys:
            subscription(self.node, key, ROLE, self.heard[key].append)

    def until(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            self._executor.spin_once(timeout_sec=0.05)

    def statuses(self, name: str) -> list:
        arrays = self.heard["diagnostics"]
        return [s for array in arrays for s in array.status if s.name == name]

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)


@pytest.fixture
def listener(ros_domain) -> Iterator[Listener]:
    result = Listener(ros_domain.id, "diagnostics", "latent")
    yield result
    result.close()


def drive(listener: Listener, launch, **bridge) -> list:
    """Start the simulator, answer every latent with a little throttle; the latents."""
    listener.until(lambda: listener.statuses("wm_perception: inputs"))
    commands = publisher(listener.node, "vehicle_control_cmd", ROLE)
    subscription(
        listener.node,
        "latent",
        ROLE,
        lambda m: commands.publish(CarlaEgoVehicleControl(header=m.header, throttle=0.3)),
    )
    launch("wm_sim.bridge_node", town="tiny", wait_for_start=True, **bridge)
    listener.until(commands.get_subscription_count)
    starter = listener.node.create_client(StartRoute, START_ROUTE_SERVICE)
    listener.until(starter.service_is_ready)
    started = starter.call_async(StartRoute.Request(route=1, traffic=3))
    listener.until(started.done)
    return listener.heard["latent"]


def test_latents_follow_the_frames(listener, launch, model):
    perception = launch("wm_perception.perception_node", model=model)
    latents = drive(listener, launch, camera=False)
    listener.until(lambda: len(latents) >= 40)
    stamps = [m.header.stamp.sec + m.header.stamp.nanosec * 1e-9 for m in latents]
    np.testing.assert_allclose(np.diff(stamps), 0.1, atol=1e-6)
    assert [m.reset for m in latents].count(True) == 1
    assert latents[0].reset
    weights = load_checkpoint(model)
    last = latents[-1]
    assert last.header.frame_id == "map"
    assert last.model_hash == weights.hash
    assert len(last.deter) == weights.config.deter
    assert len(last.stoch) == weights.config.groups * weights.config.classes
    assert sum(last.stoch) == weights.config.groups
    assert len(last.state) == len(STATE_NAMES)
    assert last.state[0] > 0.1  # speed / 10
    assert len(last.route_x) == len(last.route_y) == 51
    assert last.route_x[0] == pytest.approx(-5.0, abs=1.0)
    perception.send_signal(signal.SIGINT)
    output, _ = perception.communicate(timeout=10)
    assert perception.returncode == 0
    assert "Traceback" not in output


@pytest.mark.camera
def test_a_camera_model_gets_a_latent_from_every_frame(listener, launch, camera_model):
    launch("wm_perception.perception_node", model=camera_model)
    latents = drive(listener, launch)
    listener.until(lambda: len(latents) >= 15)
    stamps = [m.header.stamp.sec + m.header.stamp.nanosec * 1e-9 for m in latents]
    np.testing.assert_allclose(np.diff(stamps), 0.1, atol=1e-6)
    config = load_checkpoint(camera_model).config
    assert len(latents[-1].deter) == config.belief and len(latents[-1].stoch) == config.stoch
    moving = [m for m in latents if m.state[0] > 0.05]
    assert len({m.surprise for m in moving}) == len(moving), "every frame shows another picture"


@pytest.mark.camera
def test_a_camera_model_without_usable_pictures_says_so_and_is_silent(
    listener, launch, camera_model
):
    launch("wm_perception.perception_node", model=camera_model)
    latents = drive(listener, launch, camera_width=96, camera_height=54)
    listener.until(lambda: any("frames without" in s.message for s in camera(listener)))
    status = next(s for s in camera(listener) if "frames without" in s.message)
    assert status.level == b"\x02"
    assert "image is 96 x 54, the model needs at least 144 x 80" in status.message
    source = "/carla/ego_vehicle/rgb_front/image"
    assert f"{source}: the model cannot do without and imagines them" in status.message
    assert not latents


def test_a_model_that_learned_to_do_without_drives_on_without(listener, launch, tmp_path):
    config = variant("tiny", inputs="camera", modality_dropout=0.2)
    save_checkpoint(WorldModel.untrained(config), tmp_path / "model")
    launch("wm_perception.perception_node", model=tmp_path / "model", image_wait_s=0.01)
    latents = drive(listener, launch, camera=False)
    listener.until(lambda: len(latents) >= 5)
    listener.until(lambda: any("the model does without" in s.message for s in camera(listener)))


def camera(listener: Listener) -> list:
    return listener.statuses("wm_perception: camera")


def test_missing_topics_are_named_after_a_second(listener, launch, model):
    launch("wm_perception.perception_node", model=model)
    listener.until(
        lambda: any("/odometry" in s.message for s in listener.statuses("wm_perception: inputs"))
    )
    status = listener.statuses("wm_perception: inputs")[-1]
    assert status.level == b"\x02"
    assert "no /carla/ego_vehicle/odometry for" in status.message
    assert "is the role name 'ego_vehicle' right" in status.message
    assert "/carla/world_info" in status.message


def test_a_bad_camera_is_reported(listener, launch, model):
    from sensor_msgs.msg import Image

    launch("wm_perception.perception_node", model=model)
    images = publisher(listener.node, "image", ROLE)
    listener.until(images.get_subscription_count)
    sent = 0

    def reported() -> bool:
        nonlocal sent
        sent += 1
        images.publish(Image(header=header(sent), height=2, width=2, step=8, encoding="bgra8"))
        return any("0 bytes" in s.message for s in listener.statuses("wm_perception: camera"))

    listener.until(reported)
    assert listener.statuses("wm_perception: camera")[-1].values[0].key == "unreadable"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"model": "/nowhere"}, "no model at /nowhere"),
        ({}, "parameter 'model': Field required"),
    ],
)
def test_user_errors_are_said_in_words(listener, launch, values, text):
    process = launch("wm_perception.perception_node", **values)
    assert text in refusal(listener)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert text in output
    assert "Traceback" not in output


def test_a_frame_rate_that_does_not_fit_the_model_is_refused(listener, launch, model):
    launch("wm_perception.perception_node", model=model, frame_dt=0.15)
    assert "not a whole number of frames" in refusal(listener)


def refusal(listener: Listener) -> str:
    """Why the node does not come up, from its diagnostics; it stays there to say it."""

    def errors() -> list:
        return [s for s in listener.statuses("wm_perception: lifecycle") if s.level == b"\x02"]

    listener.until(errors)
    status = errors()[0]
    assert [v.value for v in status.values if v.key == "state"] == ["unconfigured"]
    return status.message
