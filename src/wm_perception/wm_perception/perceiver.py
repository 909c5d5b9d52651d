"""From frames to beliefs, whatever is lost or broken on the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion

from wm_dynamics.backends import Backend
from wm_msgs.msg import Latent
from wm_perception.bev import SIZE_PX
from wm_perception.camera_stream import CameraStream
from wm_perception.conventions import quaternion_from_yaw
from wm_perception.filter import Filtered, LatentFilter
from wm_perception.frame import Command, SceneFrame
from wm_perception.messages import to_array
from wm_perception.misses import Missed, Misses
from wm_perception.node_tools import header
from wm_perception.observation import ROUTE_POINTS, STATE_NAMES, Observation, Observer
from wm_perception.route import RoutePose
from wm_perception.scene import Scene

FAILURES = 3  # of the model in a row, after which the vehicle must stop


@dataclass(frozen=True)
class Percept:
    """What was made of one frame.

    Attributes:
        observation: what was seen of it.
        filtered: the belief.
        missed: what follows from the frames missed lately.
        stop: why the vehicle must stop, empty when it need not.
    """

    observation: Observation
    filtered: Filtered
    missed: Missed
    stop: str


class Perceiver:
    """Observer, filter and the account of what was missed.

    Attributes:
        problems: kind (``missed``, ``engine``) -> count since the start.
        texts: kind -> the latest text.
        missed: what follows from the frames missed lately.
    """

    def __init__(self, backend: Backend, frame_dt: float, stream: CameraStream | None):
        """Set up, and run the model once.

        Args:
            backend: the model.
            frame_dt: seconds between frames.
            stream: the camera that the model drives by, if any.

        Raises:
            ValueError: the model's step is not a whole number of frames.
        """
        self._backend, self._frame_dt, self._stream = backend, frame_dt, stream
        self._filter = LatentFilter(backend, frame_dt)
        self._observer: Observer | None = None
        self._misses = Misses(
            "usable picture" if stream else "complete frame", frame_dt, bool(stream)
        )
        self._failed = self._breaks = 0
        self.problems: Counter[str] = Counter()
        self.texts: dict[str, str] = {}
        warm_up(self._filter, stream)

    @property
    def missed(self) -> Missed:
        """What follows from the frames missed lately."""
        return self._misses.now

    def restart(self) -> None:
        """The next frame is a first one; what made the vehicle stop is forgiven."""
        self._observer = None
        self._filter.reset()
        self._misses.reset()
        self._failed = 0

    def perceive(self, frame: SceneFrame, scene: Scene, breaks: int = 0) -> Percept | None:
        """Take the next frame.

        Args:
            frame: with a picture if the model needs one and there is one.
            scene: a new one is a new episode.
            breaks: how often frames did not follow each other until now; after one more, belief
                and plan begin anew, but what made the vehicle stop stays.

        Returns:
            None when there is nothing to believe: nothing was seen yet, or the model cannot even
            imagine. Then nothing must be published; the gate brakes on silence.
        """
        if self._observer is None or self._observer.scene is not scene:
            self.restart()
        if self._observer is None or breaks != self._breaks:
            self._observer, self._breaks = Observer(scene, self._frame_dt, self._stream), breaks
        observation = self._observer.observe(frame)
        try:
            filtered = self._filter.update(observation, self._is_seen(frame))
        except Exception as error:  # an engine may raise anything, and the node must live
            self._failed += 1
            self._count("engine", f"the model cannot even imagine: {type(error).__name__}: {error}")
            self._filter.reset()
            return None
        missed = self._misses.frame(frame.stamp_ns, not filtered.imagined)
        if filtered.imagined:
            self._count("missed", missed.warning or "a frame was imagined, not seen")
        self._failed = self._failed + 1 if filtered.failure else 0
        if filtered.failure:
            self._count("engine", filtered.failure)
        if not self._filter.begun:
            return None
        stop = missed.stop
        if self._failed >= FAILURES:
            stop = stop or f"perception failed {self._failed} times in a row: {filtered.failure}"
        return Percept(observation, filtered, missed, stop)

    def _is_seen(self, frame: SceneFrame) -> bool:
        """Whether all is there that the model cannot do without."""
        config = self._backend.config
        if config.bev and "objects" in frame.missing:
            return False
        return self._stream is None or frame.image is not None or config.modality_dropout > 0.0

    def _count(self, kind: str, text: str) -> None:
        self.problems[kind] += 1
        self.texts[kind] = text


def warm_up(latents: LatentFilter, camera: CameraStream | None) -> None:
    """Run the filter on blank observations, so that the first real frame is not the slow one."""
    sensors = {camera.name: np.zeros((camera.height, camera.width, 3), np.uint8)} if camera else {}
    blank = Observation(
        stamp_ns=0,
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
    for index in range(2 * latents.stride + 1):  # the first, those after it, those with a past
        latents.update(replace(blank, stamp_ns=index))
    latents.update(replace(blank, stamp_ns=2 * latents.stride + 1), seen=False)
    latents.reset()


def latent_message(percept: Percept, classes: int, model_hash: str) -> Latent:
    """A percept to the message the planner works from."""
    observation, filtered = percept.observation, percept.filtered
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
        novelty=filtered.novelty or 0.0,
        arrived=observation.arrived,
        reset=observation.reset,
        imagined=filtered.imagined,
        degraded=percept.missed.degraded,
        stop=percept.stop,
    )
