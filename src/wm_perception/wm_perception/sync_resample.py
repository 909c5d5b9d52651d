"""States brought to the frames' times, for sources that do not publish them together.

The embedded bridge and CARLA in lockstep give every part of a frame one stamp, and
:class:`~wm_perception.sync.FrameAssembler` takes them as they are. A vehicle, or a simulator that
runs freely, publishes odometry, status, speed and objects each at its own rate. Here a frame is a
message of objects (what was seen; never interpolated). Pose, turn rate, speed and acceleration are
interpolated to its stamp, between two samples that are near enough; the command is the last one
given. Nothing is extrapolated: without a sample on both sides there is no frame.

Topics without a stamp have the time at which they were recorded. Odometry, which has both times,
tells what the recorder's clock showed at the frame's stamp.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from wm_perception.conventions import quaternion_from_yaw, wrap_angle, yaw_from_quaternion
from wm_perception.messages import stamp_ns
from wm_perception.observation import JUMP_MARGIN_M

SAME_NS = 1_000  # stamps are truncated float seconds: equal ones may differ a little
MAX_GAP_S = 0.25  # samples further apart are not interpolated
WAIT_NS = 1_000_000_000  # a sample that is later than this in the recording does not come
RESTART_NS = 1_000_000_000  # a stamp this much lower than the last is of another run
KEPT_NS = 5_000_000_000


@dataclass(frozen=True)
class _Sample:
    """One message, and when: by the source's clock and by the recorder's."""

    stamp_ns: int
    log_ns: int
    message: Any


class _Series:
    """Samples of one topic in the order of one of the clocks."""

    def __init__(self, by_log: bool = False):
        self.samples: list[_Sample] = []
        self.times: list[int] = []
        self._by_log = by_log

    def add(self, sample: _Sample) -> bool:
        """Sort it in; False when there is one of that time already."""
        time = sample.log_ns if self._by_log else sample.stamp_ns
        index = bisect_left(self.times, time)
        if index < len(self.times) and self.times[index] == time and not self._by_log:
            return False
        self.times.insert(index, time)
        self.samples.insert(index, sample)
        while self.times[-1] - self.times[0] > KEPT_NS:
            del self.times[0], self.samples[0]
        return True

    def around(self, time: int) -> tuple[_Sample, _Sample] | None:
        """The samples before and after, twice the same when one is of that time; or None."""
        after = bisect_left(self.times, time - SAME_NS)
        if after == len(self.times):
            return None
        if abs(self.times[after] - time) <= SAME_NS:
            return self.samples[after], self.samples[after]
        return (self.samples[after - 1], self.samples[after]) if after else None

    def before(self, time: int) -> _Sample | None:
        """The last sample until then."""
        index = bisect_right(self.times, time + SAME_NS)
        return self.samples[index - 1] if index else None

    def reached(self, time: int) -> bool:
        """Whether a sample is as late as that."""
        return bool(self.times) and self.times[-1] >= time - SAME_NS


class StateResampler:
    """Takes messages in the order of the recording; returns those of whole frames, in order.

    Attributes:
        lost: (topic key, reason) -> messages that no frame is made of.
        interpolated: frames with at least one interpolated state.
    """

    def __init__(self, max_gap_s: float = MAX_GAP_S):
        self.lost: Counter[tuple[str, str]] = Counter()
        self.interpolated = 0
        self._max_gap_ns = int(max_gap_s * 1e9) + SAME_NS
        self._queue: deque[tuple[str, Any, int]] = deque()
        self._clear()

    def _clear(self) -> None:
        self._odometry, self._status = _Series(), _Series()
        self._speeds, self._lights = _Series(by_log=True), _Series(by_log=True)
        self._now_ns = 0

    def feed(self, key: str, message: Any, log_ns: int) -> list[tuple[str, Any]]:
        """Take one message; the (key, message) pairs that can be handed on now."""
        self._now_ns = max(self._now_ns, log_ns)
        ready: list[tuple[str, Any]] = []
        if key in ("odometry", "vehicle_status"):
            ready = self._take_stamped(key, message, log_ns)
        elif key == "speedometer":
            if math.isfinite(message.data):
                self._speeds.add(_Sample(0, log_ns, message))
            else:
                self.lost[key, "bad_message"] += 1
        elif key == "traffic_lights_status":
            self._lights.add(_Sample(0, log_ns, message))
        else:
            self._queue.append((key, message, log_ns))
        return ready + self._release()

    def finish(self) -> list[tuple[str, Any]]:
        """The recording is over: what is left, as far as it is whole."""
        return self._release(over=True)

    def _take_stamped(self, key: str, message: Any, log_ns: int) -> list[tuple[str, Any]]:
        series = self._odometry if key == "odometry" else self._status
        sample = _Sample(stamp_ns(message.header.stamp), log_ns, message)
        ready: list[tuple[str, Any]] = []
        if not _usable(key, message):
            self.lost[key, "bad_message"] += 1
            return ready
        if series.times and sample.stamp_ns < series.times[-1] - RESTART_NS:
            ready = self._release(over=True)
            self._clear()
            self._now_ns = log_ns
            series = self._odometry if key == "odometry" else self._status
        if not series.add(sample):
            self.lost[key, "repeated_stamp"] += 1
        return ready

    def _release(self, over: bool = False) -> list[tuple[str, Any]]:
        ready: list[tuple[str, Any]] = []
        while self._queue:
            key, message, log_ns = self._queue[0]
            if key == "objects":
                late = over or self._now_ns - log_ns > WAIT_NS
                frame = self._frame(message, late)
                if frame is None:
                    break
                ready += frame
            else:
                ready.append((key, message))
            self._queue.popleft()
        return ready

    def _frame(self, objects: Any, late: bool) -> list[tuple[str, Any]] | None:
        """The messages of one frame; empty when it cannot be, None while it may become one."""
        time = stamp_ns(objects.header.stamp)
        if not late and not (self._odometry.reached(time) and self._status.reached(time)):
            return None
        poses, states = self._odometry.around(time), self._status.around(time)
        if poses is None or not self._near(poses) or _jumps(*poses):
            return self._lose("no_odometry_near")
        if states is None or not self._near(states):
            return self._lose("no_vehicle_status_near")
        log_ns = _log_time(time, *poses)
        if not late and not self._speeds.reached(log_ns):
            return None
        speeds = self._speeds.around(log_ns)
        if speeds is None or speeds[1].log_ns - speeds[0].log_ns > self._max_gap_ns:
            return self._lose("no_speedometer_near")
        self.interpolated += any(a is not b for a, b in (poses, states))
        lights = self._lights.before(log_ns)
        return [
            *([("traffic_lights_status", lights.message)] if lights else []),
            ("speedometer", _speed(log_ns, *speeds)),
            ("vehicle_status", _vehicle_status(time, objects.header, *states)),
            ("objects", objects),
            ("odometry", _pose(time, objects.header, *poses)),
        ]

    def _lose(self, reason: str) -> list[tuple[str, Any]]:
        self.lost["objects", reason] += 1
        return []

    def _near(self, pair: tuple[_Sample, _Sample]) -> bool:
        return pair[1].stamp_ns - pair[0].stamp_ns <= self._max_gap_ns


def _usable(key: str, message: Any) -> bool:
    """Whether the numbers that are interpolated are finite."""
    if key == "odometry":
        pose, twist = message.pose.pose, message.twist.twist
        q = pose.orientation
        if not 0.9 < q.x * q.x + q.y * q.y + q.z * q.z + q.w * q.w < 1.1:
            return False
        values = [pose.position.x, pose.position.y, twist.angular.z, twist.linear.x]
    else:
        accel = message.acceleration.linear
        values = [message.velocity, accel.x, accel.y]
    return all(map(math.isfinite, values))


def _jumps(before: _Sample, after: _Sample) -> bool:
    """Whether the vehicle was put elsewhere between two samples of odometry."""
    a, b = (sample.message.pose.pose.position for sample in (before, after))
    fastest = max(abs(sample.message.twist.twist.linear.x) for sample in (before, after))
    elapsed = (after.stamp_ns - before.stamp_ns) * 1e-9
    return math.hypot(b.x - a.x, b.y - a.y) > fastest * elapsed + JUMP_MARGIN_M


def _share(time: int, start: int, end: int) -> float:
    return (time - start) / (end - start) if end > start else 0.0


def _log_time(time: int, before: _Sample, after: _Sample) -> int:
    """What the recorder's clock showed at a stamp between two samples."""
    share = _share(time, before.stamp_ns, after.stamp_ns)
    return before.log_ns + round(share * (after.log_ns - before.log_ns))


def _mixed(a: float, b: float, share: float) -> float:
    return a + share * (b - a)


def _speed(log_ns: int, before: _Sample, after: _Sample) -> Any:
    share = _share(log_ns, before.log_ns, after.log_ns)
    return SimpleNamespace(data=_mixed(before.message.data, after.message.data, share))


def _pose(time: int, header: Any, before: _Sample, after: _Sample) -> Any:
    """nav_msgs/Odometry at a stamp, planar."""
    if before is after:
        return SimpleNamespace(header=header, pose=after.message.pose, twist=after.message.twist)
    share = _share(time, before.stamp_ns, after.stamp_ns)
    a, b = before.message.pose.pose, after.message.pose.pose
    yaw_a, yaw_b = (yaw_from_quaternion(q.x, q.y, q.z, q.w) for q in (a.orientation, b.orientation))
    yaw = yaw_a + share * wrap_angle(yaw_b - yaw_a)
    position = SimpleNamespace(
        x=_mixed(a.position.x, b.position.x, share), y=_mixed(a.position.y, b.position.y, share)
    )
    orientation = SimpleNamespace(**dict(zip("xyzw", quaternion_from_yaw(yaw), strict=True)))
    turn = _mixed(before.message.twist.twist.angular.z, after.message.twist.twist.angular.z, share)
    pose = SimpleNamespace(position=position, orientation=orientation)
    twist = SimpleNamespace(angular=SimpleNamespace(z=turn))
    return SimpleNamespace(
        header=header, pose=SimpleNamespace(pose=pose), twist=SimpleNamespace(twist=twist)
    )


def _vehicle_status(time: int, header: Any, before: _Sample, after: _Sample) -> Any:
    """CarlaEgoVehicleStatus at a stamp; the command is the one that was in force."""
    if before is after:
        held, share = after.message, 0.0
    else:
        held, share = before.message, _share(time, before.stamp_ns, after.stamp_ns)
    a, b = held.acceleration.linear, after.message.acceleration.linear
    linear = SimpleNamespace(x=_mixed(a.x, b.x, share), y=_mixed(a.y, b.y, share))
    return SimpleNamespace(
        header=header,
        velocity=_mixed(held.velocity, after.message.velocity, share),
        acceleration=SimpleNamespace(linear=linear),
        control=held.control,
    )
