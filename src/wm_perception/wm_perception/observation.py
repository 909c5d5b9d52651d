"""From scene frames to what the world model sees: one synchronised :class:`Observation`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from wm_perception.bev import BevPainter
from wm_perception.camera_stream import CameraStream
from wm_perception.conventions import to_ego
from wm_perception.frame import Command, SceneFrame
from wm_perception.route import RoutePose, RouteTracker
from wm_perception.scene import Scene
from wm_perception.sight import VIEWS, View, seen_frame

STATE_NAMES = ("speed_10mps", "yaw_rate_radps", "steer", "accel", "acceleration_5mps2")
ROUTE_POINTS, ROUTE_STEP_M, ROUTE_SCALE_M = 10, 3.0, 20.0
GOAL_M = 5.0  # the route is done this close to its end
JUMP_MARGIN_M = 2.0  # the pose may move this much more than speed allows before it is a jump


@dataclass(frozen=True)
class Observation:
    """What the world model and the planner get to see of one frame.

    Attributes:
        stamp_ns: simulation time, ns.
        bev: (64, 64) uint8 bit mask, see :mod:`wm_perception.bev`.
        state: (5,) float32 proprioception, scaled, see ``STATE_NAMES``.
        route: (20,) float32, the next ten route points 3 m apart, ego frame, / 20 m.
        reference: (51, 2) float32, the route from 5 m behind to 45 m ahead, ego frame, m.
        pose: (3,) x, y, yaw in the map frame.
        command: the command applied during the frame that led here.
        on_route: where the ego is on its route.
        arrived: the end of the route is reached.
        reset: the frame does not follow the previous one (first frame, jump, time gap).
        sensors: what other sensors saw, by stream: ``camera_front`` (h, w, 3) uint8 RGB. A stream
            that is missing in this frame is not there.
    """

    stamp_ns: int
    bev: np.ndarray
    state: np.ndarray
    route: np.ndarray
    reference: np.ndarray
    pose: np.ndarray
    command: Command
    on_route: RoutePose
    arrived: bool
    reset: bool
    sensors: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def speed_mps(self) -> float:
        """Forward speed, m/s."""
        return float(self.state[0]) * 10.0


def proprioception(frame: SceneFrame) -> np.ndarray:
    """(5,) float32 scaled ego state, see ``STATE_NAMES``."""
    ego = frame.ego
    values = (
        ego.speed_mps / 10.0,
        ego.yaw_rate_radps,
        ego.command.steer,
        ego.command.accel,
        ego.accel_mps2 / 5.0,
    )
    return np.array(values, np.float32)


def is_jump(before: SceneFrame, after: SceneFrame, max_gap_s: float) -> bool:
    """Whether ``after`` cannot be the continuation of ``before``."""
    elapsed = (after.stamp_ns - before.stamp_ns) * 1e-9
    if not 0.0 < elapsed <= max_gap_s:
        return True
    moved = np.hypot(after.ego.x - before.ego.x, after.ego.y - before.ego.y)
    fastest = max(abs(before.ego.speed_mps), abs(after.ego.speed_mps))
    return bool(moved > fastest * elapsed + JUMP_MARGIN_M)


class Observer:
    """Turns the frames of one scene into observations."""

    def __init__(
        self,
        scene: Scene,
        frame_dt: float = 0.1,
        camera: CameraStream | None = None,
        view: View = "full",
    ):
        """Set up for the first frame of a scene.

        Args:
            scene: the scene.
            frame_dt: expected seconds between frames.
            camera: the stream that the frames' pictures become, if any.
            view: "full" shows all objects around, "line_of_sight" those that nothing hides from
                the ego, see :mod:`wm_perception.sight`.

        Raises:
            ValueError: there is no such view.
        """
        if view not in VIEWS:
            raise ValueError(f"there is no view {view!r}; views: {', '.join(VIEWS)}")
        self.scene = scene
        self._view = view
        self._camera = camera
        self._max_gap_s = 3.5 * frame_dt
        self._painter = BevPainter(scene)
        self._tracker = RouteTracker(scene.route)
        self._last: SceneFrame | None = None

    def seen(self, frame: SceneFrame) -> SceneFrame:
        """The frame as the view shows it. Seeing it twice changes nothing."""
        return frame if self._view == "full" else seen_frame(frame, self.scene.walls)

    def observe(self, frame: SceneFrame) -> Observation:
        """The observation of ``frame``, which must come after the previous one."""
        frame = self.seen(frame)
        reset = self._last is None or is_jump(self._last, frame, self._max_gap_s)
        if reset:
            self._tracker = RouteTracker(self.scene.route)
        self._last = frame
        pose = frame.ego.pose
        on_route = self._tracker.update(pose)
        reference = self.scene.route.reference(pose, on_route.s)
        stations = on_route.s + ROUTE_STEP_M * np.arange(1, ROUTE_POINTS + 1)
        ahead = to_ego(self.scene.route.sample(stations), pose)
        return Observation(
            stamp_ns=frame.stamp_ns,
            bev=self._painter.paint(frame, on_route.s),
            state=proprioception(frame),
            route=(ahead / ROUTE_SCALE_M).astype(np.float32).ravel(),
            reference=reference.astype(np.float32),
            pose=pose,
            command=frame.ego.command,
            on_route=on_route,
            arrived=on_route.s >= self.scene.route.length_m - GOAL_M,
            reset=reset,
            sensors=self._sensors(frame),
        )

    def _sensors(self, frame: SceneFrame) -> dict[str, np.ndarray]:
        if self._camera is None or frame.image is None:
            return {}
        return {self._camera.name: self._camera.fit(frame.image)}
