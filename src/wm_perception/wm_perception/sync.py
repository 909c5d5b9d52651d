"""From a stream of messages to synchronised :class:`SceneFrame` s, live or from a recording.

A frame is complete when odometry, vehicle status and objects of one stamp and one speedometer
sample are there (and the image, when wanted), and when the static :class:`Scene` for it is known.

Two topics carry no stamp: the speedometer and the traffic-light status (sent on change only). They
are matched by order: whoever feeds the assembler hands them on in the order in which they were
published relative to odometry (``node_tools.FrameInput`` live, log time in a recording). That is
exact when a source publishes both before the odometry of the same frame, as the embedded bridge
does; in lockstep it publishes nothing of the next frame before a command answered this one. With
another order of publication the speed may be one frame old for one frame; samples are then
re-matched through the stamped speed magnitude of the vehicle status.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from wm_perception import messages
from wm_perception.frame import LightState, SceneFrame
from wm_perception.messages import MessageError, stamp_ns
from wm_perception.observation import is_jump
from wm_perception.scene import Scene
from wm_perception.sync_health import SyncHealth
from wm_perception.sync_scene import SceneAssembler
from wm_perception.topics import DEFAULT_ROLE

TOLERANCE_NS = 1_000_000  # stamps are truncated float seconds: they may be a little low
STAMPED = ("odometry", "vehicle_status", "objects")
MAX_PENDING = 20
SPEED_FIT_MPS = 0.05


@dataclass
class _Partial:
    """What has arrived so far for one stamp."""

    stamp_ns: int
    parts: dict[str, Any] = field(default_factory=dict)


class FrameAssembler:
    """Feeds on messages by topic key, returns frames.

    Attributes:
        scene: the static scene of the last frame returned; a new object means a new episode.
        health: counters and texts about what was missing or unusable.
        paused: the source says that the simulation is not running.
    """

    def __init__(
        self,
        role: str = DEFAULT_ROLE,
        want_image: bool = False,
        want_scene: bool = True,
        require_lights: bool = True,
        ego_size_m: tuple[float, float] | None = None,
        timeout_s: float = 1.0,
    ):
        """Set up an empty assembler.

        Args:
            role: role name of the ego vehicle, for the texts.
            want_image: a frame needs the camera image of its stamp.
            want_scene: hold frames until map, route and lights are known for them.
            require_lights: traffic lights' info and status are part of that.
            ego_size_m: length and width of the ego; read from /carla/objects when None.
            timeout_s: silence on a topic after which it is reported missing.
        """
        self.health = SyncHealth(role, want_image, want_scene, require_lights, timeout_s)
        self.scene: Scene | None = None
        self.paused = False
        self._want_image, self._want_scene = want_image, want_scene
        self._scenes = SceneAssembler(require_lights)
        self._size_fixed = ego_size_m is not None
        self._size = ego_size_m or messages.DEFAULT_EGO_SIZE_M
        self._ego_id: int | None = None
        self._lights: dict[int, LightState] = {}
        self._speeds: deque = deque(maxlen=MAX_PENDING)
        self._needed = STAMPED + (("image",) if want_image else ())
        self._reset()

    def _reset(self) -> None:
        self._partials: list[_Partial] = []
        self._last_stamp: dict[str, int] = {}
        self._speed = None
        self._speed_waited_for = False
        self._contacts: list[int] = []
        self._crossings: list[tuple[int, tuple[int, ...]]] = []
        self._last: SceneFrame | None = None
        self._held: SceneFrame | None = None

    def feed(self, key: str, message, now_s: float = 0.0) -> SceneFrame | None:
        """Take one message.

        Args:
            key: topic key (see ``topics.TOPICS``); keys that are not needed are ignored.
            message: an rclpy message, or a rosbags object of the same type.
            now_s: arrival time on any steady clock; only used to report silence.

        Returns:
            The frame that this message completed, or None.
        """
        self.health.heard(key, now_s)
        try:
            return self._feed(key, message)
        except MessageError as error:
            # Of a message that belongs to a frame, _complete notes what was lost with it.
            lost = () if key in self._needed or key == "speedometer" else (key,)
            self.health.count("bad_message", f"{key}: {error}", lost)
            return None

    def finish(self) -> None:
        """The recording is over: count what waits for messages that will not come."""
        self._drop(list(self._partials))
        self.health.lost["speedometer", "no_frame"] += len(self._speeds)
        if self._held:
            self._count_held()
            self._held = None

    def _feed(self, key: str, message) -> SceneFrame | None:
        if key in STAMPED or (key == "image" and self._want_image):
            return self._stamped(key, message)
        if key == "speedometer":
            self._speeds.append(message)
            return self._complete(by_speed=True)
        if key == "traffic_lights_status":
            self._lights = messages.light_states(message)
            self._scenes.lights_known = True
        elif key == "collision":
            self._contacts.append(stamp_ns(message.header.stamp))
        elif key == "lane_invasion":
            crossed = tuple(int(m) for m in message.crossed_lane_markings)
            self._crossings.append((stamp_ns(message.header.stamp), crossed))
        elif key == "vehicle_info":
            self._ego_id = int(message.id)
        elif key == "status":
            self.paused = not message.synchronous_mode_running
            self.health.paused = self.paused
            return None
        elif not (self._want_scene and self._scenes.feed(key, message)):
            return None
        return self._release()

    def _stamped(self, key: str, message) -> SceneFrame | None:
        stamp = stamp_ns(message.header.stamp)
        if stamp < self._last_stamp.get(key, stamp) - TOLERANCE_NS:
            self.health.count(
                "backwards",
                f"{key} went back in time by {(self._last_stamp[key] - stamp) * 1e-9:.3f} s: "
                "the source was restarted, or two sources publish",
            )
            self._drop(list(self._partials))
            self._reset()
            self._speeds = deque(list(self._speeds)[-1:], MAX_PENDING)  # may be of the new time
            self._scenes.restart(stamp)
        self._last_stamp[key] = stamp
        if self._last and stamp <= self._last.stamp_ns + TOLERANCE_NS:
            self.health.count("late", f"{key} came after its frame was complete", (key,))
            return None
        partial = next((p for p in self._partials if abs(p.stamp_ns - stamp) <= TOLERANCE_NS), None)
        if partial is None:
            partial = _Partial(stamp)
            self._partials.append(partial)
            self._partials.sort(key=lambda p: p.stamp_ns)
            if len(self._partials) > MAX_PENDING:
                self._drop(self._partials[:1])
        partial.parts[key] = message
        return self._complete()

    def _drop(self, partials: list[_Partial]) -> None:
        for partial in partials:
            missing = ", ".join(key for key in self._needed if key not in partial.parts)
            self.health.count(
                "incomplete",
                f"a frame was dropped without {missing or 'speedometer'}",
                partial.parts,
            )
            self._partials.remove(partial)

    def _complete(self, by_speed: bool = False) -> SceneFrame | None:
        """Build the oldest complete frame, if any, and drop the incomplete ones before it.

        Args:
            by_speed: a speedometer sample is what came just now.
        """
        for partial in self._partials:
            if any(key not in partial.parts for key in self._needed):
                continue
            speedometer = self._take_speed(partial.parts["vehicle_status"])
            if speedometer is None:
                return None
            self._speed_waited_for = by_speed
            self._drop([p for p in self._partials if p.stamp_ns < partial.stamp_ns])
            self._partials.remove(partial)
            try:
                frame = self._build(partial, speedometer)
            except MessageError:
                self.health.lost.update((key, "bad_message") for key in partial.parts)
                raise
            return self._admit(frame)
        return None

    def _take_speed(self, vehicle_status):
        """The speedometer sample of a frame, or None when it has yet to come.

        Normally exactly one is there. Of several, the one that fits the stamped magnitude is taken
        and the older ones are dropped. When none is there, the last one serves again if it is equal
        to the magnitude, or near it and the frame before had to wait for it: then a sample was lost
        and that one was this frame's, and no later frame needs to wait.
        """

        def misfit(sample) -> float:
            return abs(abs(sample.data) - vehicle_status.velocity)

        if not self._speeds:
            tolerance = SPEED_FIT_MPS if self._speed_waited_for else 0.0
            fits = self._speed is not None and misfit(self._speed) <= tolerance
            return self._speed if fits else None
        index = 0
        if len(self._speeds) > 1:
            index = min(range(len(self._speeds)), key=lambda i: misfit(self._speeds[i]))
        for _ in range(index):
            self._speeds.popleft()
        self.health.lost["speedometer", "no_frame"] += index
        self._speed = self._speeds.popleft()
        return self._speed

    def _build(self, partial: _Partial, speedometer) -> SceneFrame:
        parts, stamp = partial.parts, partial.stamp_ns
        status, array = parts["vehicle_status"], parts["objects"]
        position = parts["odometry"].pose.pose.position
        exclude = messages.find_self(array, self._ego_id, position.x, position.y)
        if exclude is not None and not self._size_fixed:
            self._size = messages.box_size(array.objects[exclude])
        ego = messages.ego_state(parts["odometry"], speedometer, status, self._size)
        limit = stamp + TOLERANCE_NS
        contacts = [s for s in self._contacts if s <= limit]
        crossed = [m for s, kinds in self._crossings if s <= limit for m in kinds]
        self._contacts = [s for s in self._contacts if s > limit]
        self._crossings = [c for c in self._crossings if c[0] > limit]
        return SceneFrame(
            stamp_ns=stamp,
            ego=ego,
            objects=messages.objects(array, exclude),
            light_states=dict(self._lights),
            collided=bool(contacts),
            crossed_markings=tuple(crossed),
            image=messages.rgb_image(parts["image"]) if self._want_image else None,
        )

    def _admit(self, frame: SceneFrame) -> SceneFrame | None:
        """Hand the frame on, or hold it until the scene for it is known."""
        if self._last and is_jump(self._last, frame, max_gap_s=float("inf")):
            self.health.count("jump", "the pose jumped: a new episode, or a broken localisation")
            self._scenes.require_route_from(frame.stamp_ns - TOLERANCE_NS)
        self._last = frame
        if not self._want_scene:
            return frame
        if self._held:
            self._count_held()
        self._held = frame
        return self._release()

    def _count_held(self) -> None:
        waiting = self._scenes.waiting_for()
        self.health.count("held", f"a frame was dropped waiting for {waiting}", self._needed)

    def _release(self) -> SceneFrame | None:
        """The held frame, once the scene for it is known."""
        if self._held is None:
            return None
        scene = self._scenes.scene_at(self._held.stamp_ns + TOLERANCE_NS)
        self.health.waiting_for = self._scenes.waiting_for()
        if scene is None:
            return None
        self.scene = scene
        frame, self._held = self._held, None
        if not frame.light_states:  # held at the start, until the lights were known
            frame = replace(frame, light_states=dict(self._lights))
        return frame
