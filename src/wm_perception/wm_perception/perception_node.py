"""ROS node: topics to synchronised frames, observations and posterior latents on /wm/latent."""

from __future__ import annotations

import math
import time
from typing import NoReturn

import numpy as np
import torch
from geometry_msgs.msg import Point, Pose, Quaternion
from pydantic import BaseModel, ConfigDict, Field

from wm_dynamics.backend import TorchBackend
from wm_dynamics.checkpoint import load_checkpoint
from wm_dynamics.errors import UserError
from wm_msgs.msg import Latent
from wm_perception.bev import SIZE_PX
from wm_perception.camera_feed import CameraFeed
from wm_perception.camera_stream import CameraStream, camera_stream
from wm_perception.conventions import quaternion_from_yaw
from wm_perception.diagnostics import DiagnosticsPublisher
from wm_perception.filter import Filtered, LatentFilter
from wm_perception.frame import Command, SceneFrame
from wm_perception.image_check import ImageCheck
from wm_perception.messages import to_array
from wm_perception.node_tools import (
    FrameInput,
    create_node,
    header,
    leave,
    parameters,
    publisher,
    run,
    steady_timer,
    subscription,
)
from wm_perception.observation import ROUTE_POINTS, STATE_NAMES, Observation, Observer
from wm_perception.route import RoutePose
from wm_perception.scene import Scene
from wm_perception.sync import FrameAssembler
from wm_perception.sync_health import HINTS
from wm_perception.topics import topic

REPORT_S = 1.0
POLL_S = 0.01  # between two looks whether a frame has waited long enough for its picture


class PerceptionConfig(BaseModel):
    """Parameters of ``perception_node``; unknown ones are errors.

    Attributes:
        model: checkpoint directory.
        role_name: role name of the ego vehicle.
        frame_dt: expected seconds between frames; the model's step must be a multiple.
        threads: torch threads.
        check_image: watch the front camera for unreadable and frozen pictures; a model that drives
            by it always does.
        image_topic: another source of the front camera's pictures than rgb_front; empty for that.
        max_image_age_s: how much older than its frame a picture may be that a model drives by.
        image_wait_s: how long a frame waits for its picture, s of wall time.
        require_lights: hold frames until traffic lights are known.
        objects_topic: another source of ObjectArray than /carla/objects; empty for that.
        timeout_s: silence after which a topic is reported missing.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model: str = Field(min_length=1)
    role_name: str = Field("ego_vehicle", min_length=1)
    frame_dt: float = Field(0.1, gt=0)
    threads: int = Field(1, ge=1)
    check_image: bool = True
    image_topic: str = Field("", description="instead of /carla/ROLE/rgb_front/image")
    max_image_age_s: float = Field(
        0.1, ge=0, description="how much older than its frame a picture that is driven by may be"
    )
    image_wait_s: float = Field(
        0.1, ge=0, description="wall time that a frame waits for its picture"
    )
    require_lights: bool = True
    objects_topic: str = ""
    timeout_s: float = Field(1.0, gt=0)


def warm_up(latents: LatentFilter, camera: CameraStream | None) -> None:
    """Run the filter on blank observations, so that the first real frame is not the slow one."""
    sensors = {camera.name: np.zeros((camera.height, camera.width, 3), np.uint8)} if camera else {}
    for index in range(2 * latents.stride + 1):  # the first, those after it, those with a past
        blank = Observation(
            stamp_ns=index,
            bev=np.zeros((SIZE_PX, SIZE_PX), np.uint8),
            state=np.zeros(len(STATE_NAMES), np.float32),
            route=np.zeros(2 * ROUTE_POINTS, np.float32),
            reference=np.zeros((0, 2), np.float32),
            pose=np.zeros(3),
            command=Command(),
            on_route=RoutePose(0.0, 0.0, 0.0),
            arrived=False,
            reset=False,
            sensors=sensors,
        )
        latents.update(blank)
    latents.reset()


def latent_message(
    observation: Observation, filtered: Filtered, classes: int, model_hash: str
) -> Latent:
    """Observation and posterior to the message the planner works from."""
    deter, stoch = filtered.latent.to_arrays(classes)
    x, y, yaw = (float(value) for value in observation.pose)
    qx, qy, qz, qw = quaternion_from_yaw(yaw)
    return Latent(
        header=header(observation.stamp_ns),
        model_hash=model_hash,
        pose=Pose(position=Point(x=x, y=y), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw)),
        deter=to_array(deter, "f"),
        stoch=to_array(stoch, "f"),
        state=to_array(observation.state, "f"),
        route_x=to_array(observation.reference[:, 0], "f"),
        route_y=to_array(observation.reference[:, 1], "f"),
        surprise=filtered.surprise,
        arrived=observation.arrived,
        reset=observation.reset,
    )


class PerceptionNode:
    """Assembler, observer, filter and model, and their ROS ends."""

    def __init__(self):
        self.node = create_node("wm_perception")
        self.config = config = parameters(self.node, PerceptionConfig)
        self._log = self.node.get_logger()
        torch.set_num_threads(config.threads)
        self._backend = TorchBackend(load_checkpoint(config.model))
        try:
            self._filter = LatentFilter(self._backend, config.frame_dt)
        except ValueError as error:
            raise UserError(str(error)) from None
        self._stream = stream = camera_stream(self._backend.model.config)
        warm_up(self._filter, stream)
        self._assembler = FrameAssembler(
            config.role_name, require_lights=config.require_lights, timeout_s=config.timeout_s
        )
        self._observer: Observer | None = None
        self._speed_mps = 0.0
        self._camera = (
            CameraFeed(stream, config.max_image_age_s, config.image_wait_s) if stream else None
        )
        self._without_reported = 0
        self._images = ImageCheck() if config.check_image else None
        if self._camera is not None:
            self._images = self._camera.check
        self._latents = publisher(self.node, "latent", config.role_name)
        self._diagnostics = DiagnosticsPublisher(self.node, "wm_perception", config.role_name)
        names = {"objects": config.objects_topic, "image": config.image_topic}
        skip = () if self._images else ("image",)
        self._input = FrameInput(self.node, config.role_name, self._feed, skip, names)
        if self._camera is not None:
            steady_timer(self.node, POLL_S, lambda: self._pass_on(time.monotonic()))
            subscription(self.node, "camera_info", config.role_name, self._camera.measure)
        steady_timer(self.node, REPORT_S, self._report)
        self._log.info(f"model {config.model} ({self._backend.hash}), ready")

    def _feed(self, key: str, message) -> None:
        now_s = time.monotonic()
        if key == "image":
            self._look_at(message, now_s)
            return
        frame = self._assembler.feed(key, message, now_s)
        if frame is None:
            return
        self._speed_mps = frame.ego.speed_mps
        if self._camera is None:
            self._perceive(frame, self._assembler.scene)
            return
        self._pass_on()  # the frame before can wait no longer
        self._camera.hold(frame, self._assembler.scene, now_s)
        self._pass_on(now_s)

    def _look_at(self, message, now_s: float) -> None:
        if self._camera is not None:
            self._camera.add(message, self._speed_mps)
            self._pass_on(now_s)
        else:
            self._images.check(message, self._speed_mps)

    def _pass_on(self, now_s: float = math.inf) -> None:
        """Perceive the frame that waits for its picture, if it is due."""
        due = self._camera.release(now_s)
        # Only a model that learned to do without a stream can. Else nothing is published: the gate
        # brakes on silence.
        if due and (due[0].image is not None or self._backend.model.config.modality_dropout):
            self._perceive(*due)

    def _perceive(self, frame: SceneFrame, scene: Scene) -> None:
        if self._observer is None or self._observer.scene is not scene:
            self._observer = Observer(scene, self.config.frame_dt, self._stream)
        observation = self._observer.observe(frame)
        filtered = self._filter.update(observation)
        if not bool(torch.isfinite(filtered.latent.deter).all()):
            # Nothing is published: the gate brakes on silence, never on a made-up latent.
            self._assembler.health.count("not_finite", "the model's latent is not finite")
            self._filter.reset()
            return
        backend = self._backend
        self._latents.publish(latent_message(observation, filtered, backend.classes, backend.hash))

    def _report(self) -> None:
        health = self._assembler.health
        missing = health.missing(time.monotonic())
        if not missing and health.waiting_for and not health.paused:
            missing = [f"waiting for {health.waiting_for}"]
        self._diagnostics.add("inputs", missing, health.problems, health.texts)
        if self._images:
            lens = self._camera.lens if self._camera else ""
            bad = [text for text in (self._images.text, lens, self._blindness()) if text]
            self._diagnostics.add("camera", bad, self._images.problems)
        self._diagnostics.send()

    def _blindness(self) -> str:
        """What frames without a picture since the last report mean, empty when there were none."""
        if self._camera is None or self._camera.without == self._without_reported:
            return ""
        count = self._camera.without - self._without_reported
        self._without_reported = self._camera.without
        config = self.config
        name = config.image_topic or topic("image").name(config.role_name)
        if self._backend.model.config.modality_dropout:
            then = "the model does without"
        else:
            then = "the model cannot do without, no latent was published"
        return (
            f"{count} frames without a usable picture of at most {config.max_image_age_s:g} s from "
            f"{name}: {then}; {HINTS['image'].format(role=config.role_name)}"
        )


def main(args: list[str] | None = None) -> NoReturn:
    """Entry point of ``perception_node``."""
    leave(run(PerceptionNode, args))


if __name__ == "__main__":
    main()
