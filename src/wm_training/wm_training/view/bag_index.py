"""A recording that can be read at any moment of it.

Whatever its storage, and also when it was cut off, the recording is read through once into a spool
with an index; after that every message is one seek away.
"""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.topics import topic
from wm_training.recording import BagReader, RawMessage
from wm_training.view.collector import EVENT_KEYS, KEYS

IN_MEMORY_BYTES = 256 << 20  # of the spool; a larger one lies in the folder for temporary files
NS = 1_000_000_000
# Messages that begin with the stamp of the frame they belong to; the others are placed by the time
# at which they were recorded.
STAMPED = ("waypoints", "vehicle_status", "objects", "odometry", "image", "collision", "latent",
           "control_proposal", "plan_statistics", "imagined_rollouts", "safety_state")  # fmt: skip
_EGO = re.compile(r"/carla/([^/]+)/odometry$")


@dataclass
class Track:
    """The messages of one topic, in order.

    Attributes:
        type_name: ``package/msg/Type``.
        log_ns: when each was recorded.
        stamps_ns: of its header, where it has one.
        places: (offset, size) of each in the spool.
    """

    type_name: str
    log_ns: list[int] = field(default_factory=list)
    stamps_ns: list[int] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)


class BagIndex:
    """Messages of a recording by topic key and by frame.

    Attributes:
        path: the recording.
        role: role name of the recorded vehicle.
        problem: what is wrong with the recording, empty when nothing is.
        stamps_ns: (frames,) stamp of each frame; a frame is an odometry message.
        times_s: (frames,) time of each frame from the first on, s.
    """

    def __init__(self, path: Path, role: str | None = None):
        """Read the recording through.

        Args:
            path: a bag directory or a file.
            role: role name of the vehicle; None finds it.

        Raises:
            UserError: no recording, nothing of a drive in it, or several vehicles.
        """
        self.path = path
        self._reader = BagReader(path)
        self._spool = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115
        tracks = self._read()
        self.role = role or _role_of(path, tracks)
        named = {key: topic(key).name(self.role) for key in KEYS}
        self._tracks = {key: tracks[name] for key, name in named.items() if name in tracks}
        if "odometry" not in self._tracks:
            raise UserError(
                f"{path}: there is no {named['odometry']} in it, so there is nothing to show. "
                f"{self._reader.report()}. Topics: {', '.join(sorted(tracks)) or 'none'}"
            )
        self._place()
        self.problem = (
            "" if self._reader.complete else f"{self._reader.report()}. Shown is the rest."
        )

    def _read(self) -> dict[str, Track]:
        tracks: dict[str, Track] = {}
        stamped = {topic(key).type_name for key in STAMPED}
        offset = 0
        for item in self._reader.raw():
            track = tracks.setdefault(item.topic, Track(item.type_name))
            track.log_ns.append(item.stamp_ns)
            if item.type_name in stamped:
                track.stamps_ns.append(_stamp_of(item.data) if len(item.data) >= 12 else 0)
            track.places.append((offset, len(item.data)))
            self._spool.write(item.data)
            offset += len(item.data)
        return tracks

    def _place(self) -> None:
        """Find for every frame the newest message of each topic that belongs to it."""
        odometry = self._tracks["odometry"]
        log = np.array(odometry.log_ns)
        self.stamps_ns = stamps = np.array(odometry.stamps_ns)
        # A clock that went back (a source that was restarted): order of recording says more.
        by_stamp = bool((np.diff(stamps) >= 0).all())
        frames = stamps if by_stamp else log
        self.times_s = (frames - frames[0]) * 1e-9
        self._newest: dict[str, np.ndarray] = {}
        self._ages_s: dict[str, np.ndarray] = {}
        for key, track in self._tracks.items():
            own = np.array(track.stamps_ns)
            use = by_stamp and key in STAMPED and len(own) == len(track.log_ns)
            use = use and bool((np.diff(own) >= 0).all())
            times, at = (own, frames) if use else (np.array(track.log_ns), log)
            newest = np.searchsorted(times, at, "right") - 1
            self._newest[key] = newest
            self._ages_s[key] = (at - times[np.maximum(newest, 0)]) * 1e-9

    @property
    def keys(self) -> tuple[str, ...]:
        """Topics that were recorded, as keys."""
        return tuple(self._tracks)

    def __len__(self) -> int:
        return len(self.times_s)

    def frame_at(self, time_s: float) -> int:
        """The last frame that is not later than a time on the line."""
        return int(np.clip(np.searchsorted(self.times_s, time_s, "right") - 1, 0, len(self) - 1))

    def newest(self, key: str, frame: int) -> tuple[int, float]:
        """Number of the newest message of a topic at a frame, -1 if none, and its age in s."""
        return int(self._newest[key][frame]), float(self._ages_s[key][frame])

    def message(self, key: str, number: int) -> Any | None:
        """A message; None when it cannot be decoded."""
        track = self._tracks[key]
        offset, size = track.places[number]
        self._spool.seek(offset)
        data = self._spool.read(size)
        item = RawMessage(track.log_ns[number], number, key, track.type_name, data)
        return self._reader.decode(item)

    def at(self, key: str, frame: int) -> Any | None:
        """The newest message of a topic at a frame, if there is one."""
        if key not in self._tracks:
            return None
        number, _ = self.newest(key, frame)
        return self.message(key, number) if number >= 0 else None

    def between(self, key: str, before: int, frame: int) -> Iterator[Any]:
        """Messages of an event topic after frame ``before`` and up to ``frame``."""
        assert key in EVENT_KEYS
        if key in self._tracks:
            first = int(self._newest[key][before]) + 1 if before >= 0 else 0
            for number in range(first, int(self._newest[key][frame]) + 1):
                message = self.message(key, number)
                if message is not None:
                    yield message

    def close(self) -> None:
        """Forget the spool."""
        self._spool.close()


def _stamp_of(cdr: bytes) -> int:
    """ns of the header that a serialised message begins with."""
    seconds, nanoseconds = struct.unpack_from("<iI" if cdr[1] & 1 else ">iI", cdr, 4)
    return seconds * NS + nanoseconds


def _role_of(path: Path, tracks: dict[str, Track]) -> str:
    roles = sorted({match[1] for name in tracks if (match := _EGO.match(name))})
    if len(roles) > 1:
        raise UserError(f"{path}: name the vehicle with --role-name (found: {', '.join(roles)})")
    return roles[0] if roles else "ego_vehicle"
