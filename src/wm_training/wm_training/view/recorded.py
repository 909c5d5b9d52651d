"""A recording as a source: with a time line, to be played, stopped and searched."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.conventions import from_vehicle_control
from wm_training.view import compact
from wm_training.view.bag_index import BagIndex
from wm_training.view.collector import EVENT_KEYS, HISTORY, HISTORY_S, Collector
from wm_training.view.events import changes

if TYPE_CHECKING:  # it brings a planner, which a recording does not need
    from wm_training.view.planned_again import PlannedAgain

LINE_POINTS = 1500  # of the curves in the time line, at most
PAST_STRIDE = 2  # frames between two points of the plots after a jump
STEP_FRAMES = 5  # playing on does not skip events of as many frames


class BagSource:
    """Plays a recording.

    Attributes:
        parts: what is shown.
    """

    def __init__(
        self,
        index: BagIndex,
        clock: Callable[[], float] = time.monotonic,
        again: PlannedAgain | None = None,
    ):
        """Args: index of the recording; clock: steady, s; again: plans to show beside its own."""
        self.collector = Collector()
        self.parts = self.collector.parts
        self._index, self._clock, self._again = index, clock, again
        self._frame = -1
        self._shown: dict[str, int] = {}
        self._playing, self._pace = True, 1.0
        self._at_s = 0.0
        self._polled_s: float | None = None
        self._rows: dict[int, list] = {}
        self.parts.put_json(
            "about",
            {
                "kind": "bag",
                "role": index.role,
                "title": index.path.name,
                "problem": index.problem,
                "can": {},
                "line": self._line(),
                "again": again.about() if again is not None else None,
            },
        )

    @property
    def length_s(self) -> float:
        """Of the recording."""
        return float(self._index.times_s[-1])

    def _line(self) -> dict[str, list]:
        """Curves over the whole recording."""
        frames = range(0, len(self._index), math.ceil(len(self._index) / LINE_POINTS))
        rows = [self._row(frame) for frame in frames]
        columns = ("t", *HISTORY)
        line = {
            name: [row[columns.index(name)] for row in rows]
            for name in ("speed", "gate", "surprise")
        }
        if self._again is not None:
            line["apart"] = self._again.apart(self._index.times_s[frames])
        return {"t": [round(float(self._index.times_s[f]), 2) for f in frames], **line}

    def _row(self, frame: int) -> list:
        """A row of the plots; what cannot be read is None."""
        if frame in self._rows:
            return self._rows[frame]
        found: dict[str, Any] = {}
        at = self._index.at
        if (odometry := at("odometry", frame)) is not None:
            place, stamp = odometry.pose.pose.position, odometry.header.stamp
            found |= {
                "t": round(stamp.sec + stamp.nanosec * 1e-9, 2),
                "speed": compact.number(odometry.twist.twist.linear.x),
                "x": compact.number(place.x),
                "y": compact.number(place.y),
            }
        if (status := at("vehicle_status", frame)) is not None:
            control = status.control
            command = from_vehicle_control(control.throttle, control.steer, control.brake)
            found |= {
                "steer": compact.number(command.steer, 3),
                "throttle": compact.number(max(0.0, command.accel), 3),
                "brake": compact.number(max(0.0, -command.accel), 3),
            }
        if (latent := at("latent", frame)) is not None:
            found |= compact.belief(latent)
        if (gate := at("safety_state", frame)) is not None:
            found["gate"] = compact.gate(gate)["state"]
        if (plan := at("plan_statistics", frame)) is not None:
            found["doubt"] = int(plan.doubt_level)
        self._rows[frame] = [found.get("t", 0.0), *(found.get(name) for name in HISTORY)]
        return self._rows[frame]

    # ------------------------------------------------------------------ as a source

    def poll(self) -> None:
        """Go on as far as time has, and show it."""
        now_s = self._clock()
        if self._playing and self._polled_s is not None:
            self._at_s = min(self.length_s, self._at_s + self._pace * (now_s - self._polled_s))
            self._playing = self._at_s < self.length_s
        self._polled_s = now_s
        self._show(self._index.frame_at(self._at_s))
        self.parts.put_json(
            "bag",
            {
                "at": round(self._at_s, 2),
                "length": round(self.length_s, 2),
                "playing": self._playing,
                "pace": self._pace,
            },
        )

    def _show(self, frame: int) -> None:
        if frame == self._frame:
            return
        onward = 0 <= frame - self._frame <= STEP_FRAMES * max(1.0, self._pace)
        if not onward:
            self.collector.forget()
            self._shown.clear()
            past = self._index.frame_at(self._index.times_s[frame] - HISTORY_S)
            rows = [self._row(number) for number in range(past, frame, PAST_STRIDE)]
            self.collector.set_history(rows)
            for time_s, text, level in changes(rows, ("t", *HISTORY)):
                self.collector.note(time_s, text, level)
        now_s = float(self._index.times_s[frame])
        for key in self._index.keys:
            number, age_s = self._index.newest(key, frame)
            if key in EVENT_KEYS or number < 0 or self._shown.get(key) == number:
                continue
            self._shown[key] = number
            message = self._index.message(key, number)
            if message is not None:
                self.collector.take(key, message, now_s - age_s)
        for key in EVENT_KEYS if onward else ():
            for message in self._index.between(key, self._frame, frame):
                self.collector.take(key, message, now_s)
        if self._again is not None:
            self._again.show(self.parts, now_s)
        self._frame = frame
        self.collector.paused = False  # the line moves, whatever the simulation did then
        self.collector.update(now_s)

    def rest(self) -> None:
        """Time stands still while nobody watches."""
        self._polled_s = None

    def welcome(self) -> None:
        """Make the past a part."""
        self.collector.put_history()

    def control(self, request: Mapping[str, Any]) -> str:
        """``{"do": "play"}``, ``pause``, ``step`` (frames), ``seek`` (t, s) or ``pace`` (pace).

        Raises:
            UserError: there is no such control, or its number makes no sense.
        """
        name = request.get("do")
        if name == "play":
            if self._at_s >= self.length_s:
                self._at_s = 0.0
            self._playing = True
        elif name == "pause":
            self._playing = False
        elif name == "step":
            step = int(_number(request, "frames", -1000, 1000))
            frame = int(np.clip(self._frame + step, 0, len(self._index) - 1))
            self._playing, self._at_s = False, float(self._index.times_s[frame])
        elif name == "seek":
            self._at_s = float(np.clip(_number(request, "t", -1e9, 1e9), 0.0, self.length_s))
        elif name == "pace":
            self._pace = _number(request, "pace", 0.05, 20.0)
        else:
            raise UserError(f"a recording has no control {name!r}")
        return "play" if name in ("seek", "pace") else str(name)

    def close(self) -> None:
        """Forget the recording."""
        self._index.close()


def _number(request: Mapping[str, Any], name: str, least: float, most: float) -> float:
    value = request.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise UserError(f"{name} must be a number from {least:g} to {most:g}, not {value!r}")
    return float(value)
