"""ROS node: topics to synchronised frames, observations and posterior latents on /wm/latent."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import NoReturn

from pydantic import BaseModel, ConfigDict, Field

from wm_dynamics.backends import make_backend_of
from wm_dynamics.errors import UserError
from wm_dynamics.runtime_names import BackendName
from wm_dynamics.threads import limit_threads
from wm_dynamics.weights import read_weights
from wm_perception.camera_feed import CameraFeed
from wm_perception.camera_stream import camera_stream
from wm_perception.endpoints import Essential
from wm_perception.frame import SceneFrame
from wm_perception.image_check import ImageCheck
from wm_perception.image_message import image_message
from wm_perception.latency import Latencies
from wm_perception.lifecycle import ManagedNode
from wm_perception.map_frame import MapFrame
from wm_perception.messages import stamp_ns
from wm_perception.node_tools import (
    FrameInput,
    header,
    leave,
    parameters,
    publisher,
    run,
    steady_timer,
    subscription,
)
from wm_perception.perceiver import Perceiver, latent_message
from wm_perception.scene import Scene
from wm_perception.sync import FrameAssembler
from wm_perception.sync_health import HINTS
from wm_perception.topics import topic

ESSENTIAL = Essential(inputs=("odometry",), outputs=("latent",))
POLL_S = 0.01  # between two looks whether a frame has waited long enough


class PerceptionConfig(BaseModel):
    """Parameters of ``perception_node``; unknown ones are errors.

    Attributes:
        model: checkpoint directory.
        role_name: role name of the ego vehicle.
        frame_dt: expected seconds between frames; the model's step must be a multiple.
        backend: who filters, see docs/runtime.md; what cannot run is replaced, and said.
        threads: of the filter.
        check_image: watch the front camera for unreadable and frozen pictures; a model that drives
            by it always does.
        image_topic: another source of the front camera's pictures than rgb_front; empty for that.
        max_image_age_s: how much older than its frame a picture may be that a model drives by.
        image_wait_s: how long a frame waits for its picture, s of wall time.
        frame_wait_s: how long a frame waits for a part of it that may be lost, s of wall time.
        require_lights: hold frames until traffic lights are known.
        objects_topic: another source of ObjectArray than /carla/objects; empty for that.
        timeout_s: silence after which a topic is reported missing.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model: str = Field(min_length=1)
    role_name: str = Field("ego_vehicle", min_length=1)
    frame_dt: float = Field(0.1, gt=0)
    backend: BackendName = Field(
        "auto",
        description="who filters: auto and cpp do without torch, onnxruntime runs an export; what "
        "cannot run is replaced, and said",
    )
    threads: int = Field(1, ge=1)
    check_image: bool = True
    image_topic: str = Field("", description="instead of /carla/ROLE/rgb_front/image")
    max_image_age_s: float = Field(
        0.1, ge=0, description="how much older than its frame a picture that is driven by may be"
    )
    image_wait_s: float = Field(
        0.1, ge=0, description="wall time that a frame waits for its picture"
    )
    frame_wait_s: float = Field(
        0.1, ge=0, description="wall time that a frame waits for a part of it that may be lost"
    )
    require_lights: bool = True
    objects_topic: str = ""
    timeout_s: float = Field(1.0, gt=0)


class PerceptionNode:
    """Assembler, observer, filter and model, and their ROS ends: the work of a managed node."""

    def __init__(self, host: ManagedNode):
        """Load the model and open the topics.

        Raises:
            UserError: parameters or model cannot be used.
        """
        self._host, self.node = host, host.node
        self.config = config = parameters(self.node, PerceptionConfig)
        self.role = config.role_name
        self._log = self.node.get_logger()
        folder = Path(config.model)
        self._backend = make_backend_of(
            read_weights(folder), config.backend, threads=config.threads, folder=folder
        )
        limit_threads(config.threads)
        self._stream = stream = camera_stream(self._backend.config)
        try:
            self._perceiver = Perceiver(self._backend, config.frame_dt, stream)
        except ValueError as error:
            raise UserError(str(error)) from None
        self._assembler = FrameAssembler(
            config.role_name, require_lights=config.require_lights, timeout_s=config.timeout_s
        )
        self._map_frame = MapFrame()
        self._speed_mps = 0.0
        self._camera = (
            CameraFeed(stream, config.max_image_age_s, config.image_wait_s) if stream else None
        )
        self._without_reported = 0
        self._alarm = (False, False)  # what was last reported without delay
        self._images = ImageCheck() if config.check_image else None
        if self._camera is not None:
            self._images = self._camera.check
        self._latents = publisher(self.node, "latent", config.role_name)
        self._masks = publisher(self.node, "bev_mask", config.role_name)
        self._masks_built = 0
        self._latency = Latencies()
        names = {"objects": config.objects_topic, "image": config.image_topic}
        skip = () if self._images else ("image",)
        self._sensor = "image" if self._camera is not None else "odometry"
        self._input = FrameInput(self.node, config.role_name, self._feed, skip, names)
        steady_timer(self.node, POLL_S, self._poll)
        if self._camera is not None:
            subscription(self.node, "camera_info", config.role_name, self._camera.measure)
        self._log.info(
            f"model {config.model} ({self._backend.hash}), filtered by {self._backend.name}, ready"
        )

    def activate(self) -> None:
        """The next frame is a first one.

        Raises:
            UserError: poses come in another frame than the map's.
        """
        if self._map_frame.text:
            raise UserError(f"not activated: {self._map_frame.text}")
        self._perceiver.restart()
        if self._camera is not None:
            self._camera.release()  # what was held is of the past

    def deactivate(self) -> None:
        """Nothing to say: who waits for latents hears none."""

    def _feed(self, key: str, message) -> None:
        now_s = time.monotonic()
        if key == self._sensor:
            sent = self._input.sent[key].of(stamp_ns(message.header.stamp))
            self._latency.add("sensor_to_received", sent)
        if key == "image":
            self._look_at(message, now_s)
            return
        if not self._map_frame.accepts(key, message):
            return  # no frame, no latent: the gate brakes on silence
        frame = self._assembler.feed(key, message, now_s)
        if frame is not None:
            self._take(frame, now_s)

    def _poll(self) -> None:
        """Wait no longer for what does not come."""
        now_s = time.monotonic()
        frame = self._assembler.give_up(now_s, self.config.frame_wait_s)
        if frame is not None:
            self._take(frame, now_s)
        self._pass_on(now_s)

    def _take(self, frame: SceneFrame, now_s: float) -> None:
        scene = self._assembler.scene
        self._speed_mps = frame.ego.speed_mps
        if scene is None or not self._host.active:
            return
        if self._camera is None:
            self._perceive(frame, scene)
            return
        self._pass_on()  # the frame before can wait no longer
        self._camera.hold(frame, scene, now_s)
        self._pass_on(now_s)

    def _look_at(self, message, now_s: float) -> None:
        if self._camera is not None:
            self._camera.add(message, self._speed_mps)
            self._pass_on(now_s)
        elif self._images is not None:
            self._images.check(message, self._speed_mps)

    def _pass_on(self, now_s: float = math.inf) -> None:
        """Perceive the frame that waits for its picture, if it is due."""
        if self._camera is None or not self._host.active:
            return
        due = self._camera.release(now_s)
        if due:
            self._perceive(*due)

    def _perceive(self, frame: SceneFrame, scene: Scene) -> None:
        percept = self._perceiver.perceive(frame, scene, self._assembler.breaks)
        if percept is not None:
            backend = self._backend
            self._latents.publish(latent_message(percept, backend.classes, backend.hash))
            shown = self._camera.used_ns if self._camera is not None else frame.stamp_ns
            if shown is not None and not percept.filtered.imagined:
                self._latency.add("sensor_to_latent", self._input.sent[self._sensor].of(shown))
            if self._masks.get_subscription_count() > 0:  # only for whoever watches
                self._masks_built += 1
                at = header(frame.stamp_ns, self.role)
                self._masks.publish(image_message(percept.observation.bev, at))
        missed = self._perceiver.missed
        alarm = (bool(missed.warning), bool(missed.stop))
        if alarm != self._alarm:  # who watches /diagnostics shall know now, not within a second
            self._alarm = alarm
            self._host.report()

    def report(self) -> None:
        """What is missing or wrong in the inputs."""
        health, perceiver = self._assembler.health, self._perceiver
        missing = health.missing(time.monotonic())
        if not missing and health.waiting_for and not health.paused:
            missing = [f"waiting for {health.waiting_for}"]
        if self._map_frame.text:
            missing = [self._map_frame.text]
        self._host.diagnostics.add("inputs", missing, health.problems, health.texts)
        if self._images:
            lens = self._camera.lens if self._camera else ""
            bad = [text for text in (self._images.text, lens, self._blindness()) if text]
            self._host.diagnostics.add("camera", bad, self._images.problems)
        stop = [perceiver.missed.stop] if perceiver.missed.stop else []
        self._host.diagnostics.add("shown", [], values={"bev_mask": self._masks_built})
        self._host.diagnostics.add("belief", stop, perceiver.problems, perceiver.texts)
        self._host.diagnostics.add("latency", [], values=self._latency.values())
        engine, notice = self._backend.name, self._backend.notice
        self._host.diagnostics.add(
            "engine", [], {"fallback": int(bool(notice))}, {"fallback": notice}, {"engine": engine}
        )

    def _blindness(self) -> str:
        """What frames without a picture since the last report mean, empty when there were none."""
        if self._camera is None or self._camera.without == self._without_reported:
            return ""
        count = self._camera.without - self._without_reported
        self._without_reported = self._camera.without
        config = self.config
        name = config.image_topic or topic("image").name(config.role_name)
        if self._backend.config.modality_dropout:
            then = "the model does without"
        else:
            then = "the model cannot do without and imagines them"
        return (
            f"{count} frames without a new, usable picture of at most {config.max_image_age_s:g} s "
            f"from {name}: {then}; {HINTS['image'].format(role=config.role_name)}"
        )


def main(args: list[str] | None = None) -> NoReturn:
    """Entry point of ``perception_node``."""
    leave(run(lambda: ManagedNode("wm_perception", PerceptionNode, ESSENTIAL), args))


if __name__ == "__main__":
    main()
