"""Faults in process: what the simulator's bridge does to messages, done to frames and commands.

The same text form as over ROS (:mod:`wm_sim.faults_spec`), for the few faults that mean something
to a driver that is called with whole frames. The judge always sees the truth.
"""

from __future__ import annotations

import zlib
from collections import deque
from dataclasses import replace

import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.frame import Command, Objects, SceneFrame
from wm_sim.faults_spec import Fault, parse_faults

SPEED, POSITION = ("speedometer", ""), ("odometry", "pose.pose.position")
OTHERS, PICTURE = ("objects", "objects.pose.position"), ("image", "")
OBJECTS, LIST = ("objects", ""), ("objects", "objects")
FRAME, CONTROL = ("odometry", ""), ("vehicle_control_cmd", "")
# (topic, field) and kind -> meaning.
KNOWN = {
    (SPEED, "scale"): "the speed is off by a factor",
    (SPEED, "noise"): "the speed has Gaussian noise, m/s",
    (POSITION, "noise"): "the position has Gaussian noise in both directions, m",
    (OTHERS, "noise"): "each road user's position has Gaussian noise in both directions, m",
    (OBJECTS, "freeze"): "road users stay where they were last seen, with their velocities",
    (LIST, "wrong_size"): "only that share of the road users is seen",
    (PICTURE, "scale"): "the front picture is brighter or darker by a factor",
    (PICTURE, "noise"): "the front picture has Gaussian noise, grey levels",
    (FRAME, "drop"): "frames are lost: the driver's last command is held",
    (CONTROL, "delay"): "commands act that many frames late",
}


def frame_faults(text: str) -> tuple[Fault, ...]:
    """The faults of a text, checked.

    Raises:
        UserError: it is no fault, or one that frames cannot have.
    """
    faults = parse_faults((text,))
    for fault in faults:
        if ((fault.topic, fault.field), fault.kind) not in KNOWN:
            known = ", ".join(f"{t}{'.' * bool(f)}{f}:{kind}" for (t, f), kind in KNOWN)
            raise UserError(
                f"{fault.text}: in process there are only {known}; "
                f"`wm drive --fault {fault.text}` injects it over ROS"
            )
        if fault.kind == "freeze" and fault.value:
            raise UserError(f"{fault.text}: in process a whole frame has one stamp, a new one")
    return faults


class FrameFaults:
    """Between the simulator and a driver on one route.

    Args:
        text: faults, separated by commas; empty for none.
        seed: of their random numbers.

    Raises:
        UserError: see :func:`frame_faults`.
    """

    def __init__(self, text: str, seed: int):
        self._faults = frame_faults(text)
        self._rngs = [
            np.random.default_rng([seed, zlib.crc32(fault.text.encode()), number])
            for number, fault in enumerate(self._faults)
        ]
        self._dropped = [0] * len(self._faults)
        self._before: list[Objects | None] = [None] * len(self._faults)
        delays = [f for f in self._faults if f.kind == "delay"]
        self._delay = delays[-1] if delays else None
        self._given: deque[tuple[int, Command]] = deque()
        self._acting = Command()
        self._first_ns: int | None = None
        self._frame = -1
        self._now_s = 0.0

    def sense(self, frame: SceneFrame) -> SceneFrame | None:
        """What the driver gets to see of a frame; None: nothing, it is lost."""
        self._first_ns = frame.stamp_ns if self._first_ns is None else self._first_ns
        self._frame += 1
        self._now_s = (frame.stamp_ns - self._first_ns) * 1e-9
        seen: SceneFrame | None = frame
        for number, fault in enumerate(self._faults):
            if fault.kind == "delay":
                continue
            due = self._due(fault, number)
            if seen is not None and fault.kind == "freeze":
                seen = self._frozen(seen, due, number)
            elif due and fault.kind == "drop":
                seen = None if self._drops(fault, number) else seen
            elif due and seen is not None:
                seen = _changed(seen, fault, self._rngs[number])
        return seen

    def act(self, command: Command) -> Command:
        """The command that the vehicle follows in this frame."""
        fault = self._delay
        if fault is None or not self._due(fault, self._faults.index(fault)):
            self._acting = command
            return command
        self._given.append((self._frame + int(fault.value), command))
        while self._given and self._given[0][0] <= self._frame:
            self._acting = self._given.popleft()[1]
        return self._acting

    def _due(self, fault: Fault, number: int) -> bool:
        during = fault.start_s - 1e-6 <= self._now_s < fault.start_s + fault.duration_s - 1e-6
        if not during or fault.probability == 1.0:
            return during
        return bool(self._rngs[number].random() < fault.probability)

    def _drops(self, fault: Fault, number: int) -> bool:
        """As the bridge's: below 1 a probability, from 1 on every n-th."""
        if fault.value < 1.0:
            return bool(self._rngs[number].random() < fault.value)
        self._dropped[number] += 1
        return self._dropped[number] % int(fault.value) == 0

    def _frozen(self, frame: SceneFrame, due: bool, number: int) -> SceneFrame:
        """The frame with the road users of the last one before the fault."""
        before = self._before[number]
        if not due or before is None:
            self._before[number] = before = frame.objects
        return replace(frame, objects=before) if due else frame


def _changed(frame: SceneFrame, fault: Fault, rng: np.random.Generator) -> SceneFrame:
    if fault.topic == "image":
        return _changed_picture(frame, fault, rng)
    if fault.kind == "wrong_size":
        kept = min(int(len(frame.objects) * fault.value), max(0, len(frame.objects) - 1))
        return replace(frame, objects=frame.objects[:kept])
    if fault.topic == "objects":
        poses = frame.objects.poses.copy()
        poses[:, :2] += rng.normal(0.0, fault.value, (len(poses), 2))
        return replace(frame, objects=replace(frame.objects, poses=poses))
    ego = frame.ego
    if fault.field:
        dx, dy = rng.normal(0.0, fault.value, 2)
        return replace(frame, ego=replace(ego, x=ego.x + float(dx), y=ego.y + float(dy)))
    if fault.kind == "scale":
        return replace(frame, ego=replace(ego, speed_mps=ego.speed_mps * fault.value))
    noise = float(rng.normal(0.0, fault.value))
    return replace(frame, ego=replace(ego, speed_mps=ego.speed_mps + noise))


def _changed_picture(frame: SceneFrame, fault: Fault, rng: np.random.Generator) -> SceneFrame:
    """A driver that looks at no picture gets none, and has no such fault."""
    if frame.image is None:
        return frame
    picture = frame.image.astype(np.float32)
    if fault.kind == "scale":
        picture *= np.float32(fault.value)
    else:
        picture += fault.value * rng.standard_normal(picture.shape, np.float32)
    return replace(frame, image=np.clip(np.rint(picture), 0, 255).astype(np.uint8))
