"""From messages to what is shown: keeps the newest of everything and fills the parts of the page.

The same for the running graph and for a recording. Parts are rebuilt only by :meth:`update`, which
a source calls when somebody watches.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np

from wm_perception import messages
from wm_perception.bev import BevPainter
from wm_perception.conventions import yaw_from_quaternion
from wm_perception.frame import EgoState, Objects, SceneFrame
from wm_perception.messages import MessageError, stamp_ns
from wm_perception.observation import GOAL_M
from wm_perception.route import RoutePose, RouteTracker
from wm_training.view import compact
from wm_training.view.events import doubt_event, gate_event
from wm_training.view.parts import Parts
from wm_training.view.scenery import Scenery

JPEG_QUALITY = 80
CAMERA_WIDTH = 640  # a wider picture is sent smaller
HISTORY_S = 30.0
GAP_S = 1.0  # frames further apart do not belong together
EVENTS = 30
# What the collector shows, by topic key. Of "events" every message counts, of the rest the newest.
STATIC = ("world_info", "map", "traffic_lights_info", "traffic_lights_status", "vehicle_info",
          "waypoints")  # fmt: skip
MOVING = ("status", "speedometer", "vehicle_status", "objects", "latent", "control_proposal",
          "plan_statistics", "imagined_rollouts", "safety_state", "image", "odometry")  # fmt: skip
EVENT_KEYS = ("collision", "diagnostics")
# Pictures that the model draws only for whoever asks, and the parts that show them.
EXPECTED = {"imagined_bev": "imagined", "surprise_map": "unexpected"}
KEYS = (*STATIC, *MOVING, *EVENT_KEYS)
# Columns of the plots, after the time.
HISTORY = ("speed", "steer", "throttle", "brake", "surprise", "novelty", "doubt", "gate", "x", "y")


class Collector:
    """The newest of every topic, and the parts made of it.

    Attributes:
        parts: what is shown.
        paused: the source says that time stands still.
        stamp_ns: of the newest odometry, 0 before the first.
    """

    def __init__(self) -> None:
        self.parts = Parts()
        self.paused = False
        self.stamp_ns = 0
        self._heard: dict[str, float] = {}
        self._problems: dict[str, str] = {}
        self._scenery = Scenery()
        self._painter: BevPainter | None = None
        self._tracker: RouteTracker | None = None
        self._lights: dict = {}
        self._ego_id: int | None = None
        self._ego_size = messages.DEFAULT_EGO_SIZE_M
        self._messages: dict[str, Any] = {}
        self._nodes: dict[str, list] = {}
        self._events: deque[list] = deque(maxlen=EVENTS)
        self._history: deque[list] = deque()
        self._contacts_ns = 0

    # ------------------------------------------------------------------ messages in

    def take(self, key: str, message: Any, now_s: float) -> None:
        """Note a message.

        Args:
            key: of ``KEYS``; others are ignored.
            message: an rclpy message, or a rosbags object of the same type.
            now_s: arrival on a steady clock; in a recording, its time line.
        """
        self._heard[key] = now_s
        try:
            self._take(key, message)
            self._problems.pop(key, None)
        except MessageError as error:
            self._problems[key] = str(error)

    def _take(self, key: str, message: Any) -> None:
        if key in STATIC:
            self._take_static(key, message)
        elif key == "status":
            self.paused = not message.synchronous_mode_running
        elif key == "odometry":
            self._messages[key] = message
            self._take_time(stamp_ns(message.header.stamp))
        elif key == "diagnostics":
            for row in compact.nodes(message):
                self._nodes[row[0]] = row
        elif key == "collision":
            self._note_contact(message)
        elif key == "image":
            self._show_picture("camera", message)
        elif key in EXPECTED:
            self._show_picture(EXPECTED[key], message)
        elif key == "imagined_rollouts":
            paths, about = compact.futures(message)
            self.parts.put("futures", paths.astype("<f4").tobytes(), about)
        elif key in MOVING:
            self._messages[key] = message

    def _take_static(self, key: str, message: Any) -> None:
        if key == "traffic_lights_status":
            self._lights = messages.light_states(message)
        elif key == "vehicle_info":
            self._ego_id = int(message.id)
        elif self._scenery.take(key, message):
            self._painter = self._tracker = None

    def _take_time(self, stamp: int) -> None:
        step_s = (stamp - self.stamp_ns) * 1e-9
        if not 0.0 <= step_s <= GAP_S:
            self._tracker = None
        if step_s < 0.0:
            self._history.clear()
        self.stamp_ns = stamp

    def _note_contact(self, message: Any) -> None:
        stamp = stamp_ns(message.header.stamp)
        if abs(stamp - self._contacts_ns) > GAP_S * 1e9:  # one crash reports many contacts
            self.note(stamp * 1e-9, "collision", 2)
        self._contacts_ns = stamp

    def note(self, time_s: float, text: str, level: int = 0) -> None:
        """Add a line to the list of events: 0 neutral, 1 warning, 2 error."""
        self._events.append([round(time_s, 1), level, text])

    def forget(self) -> None:
        """Drop what moves: another moment of a recording is shown next."""
        for key in (*MOVING, *EVENT_KEYS):
            self._messages.pop(key, None)
            self._heard.pop(key, None)
            self._problems.pop(key, None)
        for name in ("camera", "futures", "bev", *EXPECTED.values()):
            self.parts.put(name, b"")
        self._nodes.clear()
        self._events.clear()
        self._tracker = None
        self.stamp_ns = 0

    # ------------------------------------------------------------------ parts out

    def update(self, now_s: float) -> None:
        """Rebuild the parts from what has been taken; ``now_s`` is on the clock of :meth:`take`."""
        ego = self._ego()
        found = self._objects(ego)
        state: dict[str, Any] = {
            "t": round(self.stamp_ns * 1e-9, 2),
            "paused": self.paused,
            "age": {key: round(now_s - s, 1) for key, s in self._heard.items()},
            "problems": self._problems,
            "nodes": list(self._nodes.values()),
        }
        if ego is not None:
            state["ego"] = compact.ego(ego)
            state["objects"] = compact.objects(found, ego.x, ego.y)
            self._show_scene(ego, found, state)
        self._show_plan(state)
        self._remember(state)
        state["events"] = list(self._events)
        self.parts.put_json("state", state)

    def put_history(self) -> None:
        """Make what the plots show of the past a part: for a watcher who has just come."""
        self.parts.put_json("history", {"columns": ["t", *HISTORY], "rows": list(self._history)})

    def set_history(self, rows: Iterable[list]) -> None:
        """Replace the past, rows of time and ``HISTORY``, and show it."""
        self._history = deque(rows)
        self.put_history()

    def _ego(self) -> EgoState | None:
        odometry = self._messages.get("odometry")
        if odometry is None:
            return None
        speed, status = (self._messages.get(k) for k in ("speedometer", "vehicle_status"))
        try:
            if speed is not None and status is not None:
                return messages.ego_state(odometry, speed, status, self._ego_size)
            return _bare_ego(odometry, self._ego_size)
        except MessageError as error:
            self._problems["odometry"] = str(error)
            return None

    def _objects(self, ego: EgoState | None) -> Objects:
        array = self._messages.get("objects")
        if array is None or ego is None:
            return Objects()
        try:
            own = messages.find_self(array, self._ego_id, ego.x, ego.y)
            if own is not None:
                self._ego_size = messages.box_size(array.objects[own])
            return messages.objects(array, own)
        except MessageError as error:
            self._problems["objects"] = str(error)
            return Objects()

    def _show_scene(self, ego: EgoState, found: Objects, state: dict[str, Any]) -> None:
        """Town and route once, progress and masks every time."""
        self._scenery.show(self.parts)
        scene = self._scenery.scene
        if scene is None:
            return
        if self._painter is None:
            self._painter = BevPainter(scene)
        if self._tracker is None:
            self._tracker = RouteTracker(scene.route)
        place: RoutePose = self._tracker.update(ego.pose)
        wanted = {light.id for light in scene.route_lights}
        state["lights"] = compact.light_states(self._lights, wanted)
        state["route"] = {
            "s": compact.number(place.s, 1),
            "length": compact.number(scene.route.length_m, 1),
            "lateral": compact.number(place.lateral),
            "arrived": place.s >= scene.route.length_m - GOAL_M,
        }
        frame = SceneFrame(self.stamp_ns, ego, found, self._lights)
        mask = self._painter.paint(frame, place.s)
        self.parts.put("bev", mask.tobytes(), {"shape": list(mask.shape)})

    def _show_plan(self, state: dict[str, Any]) -> None:
        for name, key, make in (
            ("belief", "latent", compact.belief),
            ("plan", "plan_statistics", compact.plan),
            ("gate", "safety_state", compact.gate),
        ):
            message = self._messages.get(key)
            if message is not None:
                state[name] = make(message)
        proposal = self._messages.get("control_proposal")
        if proposal is not None:
            state["wish"] = {
                "steer": compact.number(proposal.steer, 3),
                "accel": compact.number(proposal.accel, 3),
                "feasible": bool(proposal.feasible),
                "reason": proposal.reason,
            }

    def _show_picture(self, name: str, message: Any) -> None:
        picture = messages.rgb_image(message)
        height, width = picture.shape[:2]
        if width > CAMERA_WIDTH:
            size = (CAMERA_WIDTH, round(height * CAMERA_WIDTH / width))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        _, jpeg = cv2.imencode(".jpg", picture[..., ::-1], quality)
        self.parts.put(name, jpeg.tobytes(), {"size": [width, height]})

    def _remember(self, state: dict[str, Any]) -> None:
        """Add a row to the past, once per frame."""
        now_s = state["t"]
        ego = state.get("ego")
        if ego is None or (self._history and self._history[-1][0] >= now_s):
            return
        belief, gate = state.get("belief", {}), state.get("gate", {})
        row = {**ego, **belief, "doubt": state.get("plan", {}).get("doubt"),
               "gate": gate.get("state")}  # fmt: skip
        before = self._history[-1] if self._history else None
        if before is not None:
            self._note_changes(now_s, state, before)
        self._history.append([now_s, *(row.get(name) for name in HISTORY)])
        while now_s - self._history[0][0] > HISTORY_S:
            self._history.popleft()

    def _note_changes(self, now_s: float, state: dict[str, Any], before: list) -> None:
        """Lines for a gate and a planner that changed their mind since the row ``before``."""
        gate, plan = state.get("gate"), state.get("plan")
        if gate is not None and before[1 + HISTORY.index("gate")] != gate["state"]:
            self.note(now_s, *gate_event(gate["state"], gate["reason"]))
        if plan is not None and (before[1 + HISTORY.index("doubt")] or 0) != plan["doubt"]:
            self.note(now_s, *doubt_event(plan["doubt"], plan["doubt_reason"]))


def _bare_ego(odometry: Any, size_m: tuple[float, float]) -> EgoState:
    """The ego where a source says no more than odometry.

    Raises:
        MessageError: it is not finite.
    """
    pose, twist = odometry.pose.pose, odometry.twist.twist
    q = pose.orientation
    values = (pose.position.x, pose.position.y, q.x, q.y, q.z, q.w, twist.linear.x, twist.angular.z)
    if not np.isfinite(values).all():
        raise MessageError("odometry is not finite")
    if not math.isclose(q.x**2 + q.y**2 + q.z**2 + q.w**2, 1.0, abs_tol=0.1):
        raise MessageError("odometry orientation is not a rotation")
    return EgoState(
        x=float(pose.position.x),
        y=float(pose.position.y),
        yaw=yaw_from_quaternion(q.x, q.y, q.z, q.w),
        speed_mps=float(twist.linear.x),
        yaw_rate_radps=float(twist.angular.z),
        length=size_m[0],
        width=size_m[1],
    )
