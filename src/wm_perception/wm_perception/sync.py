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

A frame that lost a part is dropped when a later one is complete. In lockstep there is no later one
before this one is answered, so a live listener calls :meth:`FrameAssembler.give_up`, which makes do
without.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from wm_perception import messages
from wm_perception.frame import LightState, Objects, SceneFrame
from wm_perception.messages import MessageError, stamp_ns
from wm_perception.scene import Scene
from wm_perception.sync_health import SyncHealth
from wm_perception.sync_jump import Continuity, Course
from wm_perception.sync_parts import TOLERANCE_NS, Partial, Partials
from wm_perception.sync_scene import SceneAssembler
from wm_perception.sync_speed import Measured, SpeedQueue
from wm_perception.topics import DEFAULT_ROLE

STAMPED = ("odometry", "vehicle_status", "objects")
MAX_STEP_NS = 1_000_000_000  # between a frame and one made without some of its parts


class FrameAssembler:
    """Feeds on messages by topic key, returns frames.

    Attributes:
        scene: the static scene of the last frame returned; a new object means a new episode.
        health: counters and texts about what was missing or unusable.
        paused: the source says that the simulation is not running.
        breaks: how often a frame did not follow the one before: the pose jumped, or the clock.
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
        self.paused, self.breaks = False, 0
        self._want_image, self._want_scene = want_image, want_scene
        self._scenes = SceneAssembler(require_lights)
        self._size_fixed = ego_size_m is not None
        self._size = ego_size_m or messages.DEFAULT_EGO_SIZE_M
        self._ego_id: int | None = None
        self._lights: dict[int, LightState] = {}
        self._speeds = SpeedQueue()
        self._needed = STAMPED + (("image",) if want_image else ())
        self._now_s = 0.0
        self._course = Continuity()
        self._reset()

    def _reset(self) -> None:
        self._partials = Partials(self._needed)
        self._last_stamp: dict[str, int] = {}
        self._contacts: list[int] = []
        self._crossings: list[tuple[int, tuple[int, ...]]] = []
        self._last: SceneFrame | None = None
        self._last_parts: dict[str, Any] = {}
        self._last_objects = Objects()
        self._held: SceneFrame | None = None

    def feed(self, key: str, message, now_s: float = 0.0) -> SceneFrame | None:
        """Take one message.

        Args:
            key: topic key (see ``topics.TOPICS``); keys that are not needed are ignored.
            message: an rclpy message, or a rosbags object of the same type.
            now_s: arrival time on any steady clock, to report silence and for :meth:`give_up`.

        Returns:
            The frame that this message completed, or None.
        """
        self.health.heard(key, now_s)
        self._now_s = now_s
        try:
            return self._feed(key, message)
        except MessageError as error:
            # Of a message that belongs to a frame, _complete notes what was lost with it.
            lost = () if key in self._needed or key == "speedometer" else (key,)
            self.health.count("bad_message", f"{key}: {error}", lost)
            return None

    def give_up(self, now_s: float, wait_s: float) -> SceneFrame | None:
        """The newest frame that has waited too long for a part of it, made without.

        Args:
            now_s: time on the clock of :meth:`feed`.
            wait_s: how long a frame may wait.

        Returns:
            A frame whose ``missing`` names the topics that it lacks: there it says what the frame
            before said (the speed is odometry's then). None when no frame is overdue, or when one
            is that has no odometry, or none before it.
        """
        if self._last is None or not self._last_parts or self.paused:
            return None
        # What is stamped much later than the last frame is another clock's.
        partial = self._partials.overdue(now_s - wait_s, self._last.stamp_ns + MAX_STEP_NS)
        if partial is None:
            return None
        missing = self._partials.missing(partial)
        speedometer = self._speeds.pop()
        if speedometer is None:
            speedometer = Measured(float(partial.parts["odometry"].twist.twist.linear.x))
            missing.append("speedometer")
        self.health.count("incomplete", f"a frame had to do without {', '.join(missing)}")
        self._drop(self._partials.take_before(partial.stamp_ns))
        self._partials.remove(partial)
        whole = replace(partial, parts={**self._last_parts, **partial.parts})
        try:
            frame = self._build(whole, speedometer)
        except MessageError as error:
            self.health.count("bad_message", str(error))
            return None
        if "objects" in missing:
            frame = replace(frame, objects=self._last_objects)
        return self._admit(replace(frame, missing=tuple(missing)))

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
            self._speeds.add(message)
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
            self._course.restart()
            self.breaks += 1
            self._speeds.restart()
            self._scenes.restart(stamp)
        self._last_stamp[key] = stamp
        if self._last and stamp <= self._last.stamp_ns + TOLERANCE_NS:
            self.health.count("late", f"{key} came after its frame was complete", (key,))
            return None
        self._drop(self._partials.add(key, stamp, message, self._now_s))
        return self._complete()

    def _drop(self, partials: list[Partial]) -> None:
        """Count what becomes no frame."""
        for partial in partials:
            lacks = ", ".join(self._partials.missing(partial)) or "speedometer"
            self.health.count("incomplete", f"a frame was dropped without {lacks}", partial.parts)

    def _complete(self, by_speed: bool = False) -> SceneFrame | None:
        """Build the oldest complete frame, if any, and drop the incomplete ones before it.

        Args:
            by_speed: a speedometer sample is what came just now.
        """
        partial = self._partials.complete()
        if partial is None:
            return None
        skipped = self._speeds.skipped
        speedometer = self._speeds.take(partial.parts["vehicle_status"], by_speed)
        self.health.lost["speedometer", "no_frame"] += self._speeds.skipped - skipped
        if speedometer is None:
            return None
        self._drop(self._partials.take_before(partial.stamp_ns))
        self._partials.remove(partial)
        try:
            frame = self._build(partial, speedometer)
        except MessageError:
            self.health.lost.update((key, "bad_message") for key in partial.parts)
            raise
        self._last_parts, self._last_objects = partial.parts, frame.objects
        return self._admit(frame)

    def _build(self, partial: Partial, speedometer) -> SceneFrame:
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
        course = self._course.take(frame)
        self.breaks += course in (Course.JUMPED, Course.RETURNED)
        if course is Course.JUMPED:
            self.health.count("jump", "the pose jumped: a new episode, or a broken localisation")
            self._scenes.require_route_from(frame.stamp_ns - TOLERANCE_NS)
        elif course is Course.RETURNED:
            self._scenes.keep_route()
        elif course is Course.SETTLED:
            self._scenes.keep_route_near(frame.ego.x, frame.ego.y)
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
