"""Frames, scenes and pictures of a recording, synchronised as its clocks allow."""

from __future__ import annotations

import re
import struct
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.camera_stream import CameraStream
from wm_perception.frame import SceneFrame
from wm_perception.scene import Scene
from wm_perception.sync import STAMPED, TOLERANCE_NS, FrameAssembler
from wm_perception.sync_cameras import CameraTrack
from wm_perception.sync_resample import WAIT_NS, StateResampler
from wm_perception.topics import FRAME_KEYS, topic
from wm_training.bag_report import IGNORED, BagReport, TopicCount
from wm_training.recording import BagReader, RawMessage

LOCKSTEP_SHARE = 0.8  # of the stamps of a frame's parts must be complete
PARTS = tuple(key for key in FRAME_KEYS if key != "image")  # cameras are named by the user
KEPT_BYTES = 256 << 20
IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
_EGO_TOPIC = re.compile(r"/carla/([^/]+)/odometry$")


@dataclass(frozen=True)
class Sources:
    """Where in a recording the parts of a frame are.

    Attributes:
        role: role name of the vehicle.
        renamed: topic key -> topic name, where it is not the usual one.
        cameras: camera name -> topic name; ``{role}`` in it stands for the role name.
        image_size: (height, width) that pictures are brought to, px.
        max_image_age_s: how much older than its frame a picture may be.
    """

    role: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    cameras: Mapping[str, str] = field(default_factory=dict)
    image_size: tuple[int, int] = (128, 128)
    max_image_age_s: float = 0.1

    @staticmethod
    def of_model(stream: CameraStream | None) -> Sources:
        """What a model that drives by ``stream`` sees, under the usual names."""
        if stream is None:
            return Sources()
        size = (stream.height, stream.width)
        return Sources(cameras={stream.camera: topic("image").template}, image_size=size)


@dataclass(frozen=True)
class Moment:
    """A frame with its scene and, by camera, a picture and its age in s (NaN: none)."""

    frame: SceneFrame
    scene: Scene
    pictures: dict[str, tuple[np.ndarray, float]]


class BagFrames:
    """Iterates over the frames of one recording and keeps account.

    The recording is gone through twice: once to see what is in it and how its clocks go, once for
    good. A small one stays in memory in between.
    """

    def __init__(self, path: Path, sources: Sources):
        """Look through the recording.

        Raises:
            UserError: no recording, or it is not clear which vehicle is meant.
        """
        self._path, self._sources = path, sources
        self.report = BagReport(path)
        self._names: dict[str, str] = {}
        self.tracks = {
            name: CameraTrack(*sources.image_size, sources.max_image_age_s)
            for name in sources.cameras
        }
        self._survey()
        self._topics = {
            name: text.replace("{role}", self.report.role) for name, text in sources.cameras.items()
        }
        self._cameras = {text: name for name, text in self._topics.items()}

    def _survey(self) -> None:
        report, reader = self.report, BagReader(self._path)
        stamps: dict[str, list[int]] = {}
        kept: list[RawMessage] = []
        size = 0
        stamped_types = {topic(key).type_name for key in STAMPED}
        for item in reader.raw():
            count = report.topics.setdefault(item.topic, TopicCount(item.type_name))
            count.messages += 1
            size += len(item.data)
            if size <= KEPT_BYTES:
                kept.append(item)
            if item.type_name in stamped_types and len(item.data) >= 12:
                stamps.setdefault(item.topic, []).append(_header_stamp(item.data))
        self._read = (reader, kept) if size <= KEPT_BYTES else None
        report.recording.update(reader.problems)
        report.role = self._sources.role or self._find_role()
        names = {key: topic(key).name(report.role) for key in PARTS}
        self._names = {name: key for key, name in (names | dict(self._sources.renamed)).items()}
        by_key = {self._names[name]: times for name, times in stamps.items() if name in self._names}
        report.clock = "lockstep" if _in_lockstep(by_key) else "interpolated"
        self.stamps_ns = by_key.get("objects", [])

    def _find_role(self) -> str:
        roles = {match[1] for name in self.report.topics if (match := _EGO_TOPIC.match(name))}
        if len(roles) > 1:
            raise UserError(
                f"{self._path}: name the recorded vehicle with --role-name (found: "
                f"{', '.join(sorted(roles))})"
            )
        return roles.pop() if roles else "ego_vehicle"

    def __iter__(self) -> Iterator[Moment]:
        reader, items = self._read or (BagReader(self._path), None)
        assembler = FrameAssembler(self.report.role)
        resampler = StateResampler() if self.report.clock == "interpolated" else None
        waiting: deque[tuple[SceneFrame, Scene, int]] = deque()
        for item in reader.raw() if items is None else items:
            message = self._message(reader, item)
            if message is None:
                continue
            if item.topic in self._cameras:
                self.tracks[self._cameras[item.topic]].add(message)
            if item.topic in self._names:
                key = self._names[item.topic]
                parts = resampler.feed(key, message, item.stamp_ns) if resampler else None
                parts = [(key, message)] if parts is None else parts
                waiting.extend(self._frames(assembler, parts, item.stamp_ns))
            yield from self._with_pictures(waiting, item.stamp_ns)
        if resampler is not None:
            waiting.extend(self._frames(assembler, resampler.finish(), 0))
        yield from self._with_pictures(waiting, None)
        self._finish(reader, assembler, resampler)

    def _message(self, reader: BagReader, item: RawMessage) -> Any | None:
        """The message, if anything can be made of it."""
        count = self.report.topics[item.topic]
        key, is_camera = self._names.get(item.topic), item.topic in self._cameras
        if key is None and not is_camera:
            count.dropped[IGNORED] += 1
            return None
        wanted = IMAGE_TYPES if is_camera else (topic(key).type_name,) if key else ()
        if item.type_name not in wanted:
            count.dropped["wrong_type"] += 1
            return None
        return reader.decode(item)

    def _frames(
        self, assembler: FrameAssembler, parts: Iterable[tuple[str, Any]], log_ns: int
    ) -> Iterator[tuple[SceneFrame, Scene, int]]:
        for key, message in parts:
            try:
                frame = assembler.feed(key, message, log_ns * 1e-9)
            except AttributeError as error:  # an older or newer definition of the message
                assembler.health.count("other_definition", f"{key}: {error}", (key,))
                continue
            # An assembler that wants scenes, as this one does, gives one with every frame.
            if frame is not None and assembler.scene is not None:
                yield frame, assembler.scene, log_ns

    def _with_pictures(
        self, waiting: deque[tuple[SceneFrame, Scene, int]], now_ns: int | None
    ) -> Iterator[Moment]:
        """Frames for which every picture has come, or is not to come; all when now is None."""
        while waiting:
            frame, scene, log_ns = waiting[0]
            late = now_ns is None or now_ns - log_ns > WAIT_NS
            if not late and not all(t.reached(frame.stamp_ns) for t in self.tracks.values()):
                return
            waiting.popleft()
            self.report.frames += 1
            pictures = {name: track.at(frame.stamp_ns) for name, track in self.tracks.items()}
            yield Moment(frame, scene, pictures)

    def _finish(
        self, reader: BagReader, assembler: FrameAssembler, resampler: StateResampler | None
    ) -> None:
        """Note what was lost on the way."""
        assembler.finish()
        names = {key: name for name, key in self._names.items()}
        lost = assembler.health.lost.copy()
        if resampler is not None:
            lost.update(resampler.lost)
            self.report.interpolated = resampler.interpolated
        for (key, kind), number in lost.items():
            if number and names[key] in self.report.topics:
                self.report.topics[names[key]].dropped[kind] += number
        for (name, kind), number in reader.refused.items():
            self.report.topics[name].dropped[kind] += number
        self.report.texts |= assembler.health.texts
        for name, track in self.tracks.items():
            track.finish()
            self.report.without_picture[name] = track.missing
            if self._topics[name] in self.report.topics:
                self.report.topics[self._topics[name]].dropped.update(+track.lost)
            if track.text:
                self.report.texts[f"camera {name}"] = track.text
        if not self.report.frames:
            self.report.error = _why_no_frame(assembler, self.report, names)


def _header_stamp(cdr: bytes) -> int:
    """ns of the header that a serialised message begins with."""
    seconds, nanoseconds = struct.unpack_from("<iI" if cdr[1] & 1 else ">iI", cdr, 4)
    return seconds * 1_000_000_000 + nanoseconds


def _in_lockstep(stamps: Mapping[str, list[int]]) -> bool:
    """Whether the parts of a frame come with the same stamps, nearly always."""
    if any(not stamps.get(key) for key in STAMPED):
        return True  # there will be no frame either way
    times = {key: np.unique(stamps[key]) for key in STAMPED}
    whole = np.ones(len(times["objects"]), bool)
    for key in STAMPED:
        after = np.searchsorted(times[key], times["objects"] - TOLERANCE_NS)
        found = times[key][np.minimum(after, len(times[key]) - 1)]
        whole &= abs(found - times["objects"]) <= TOLERANCE_NS
    return whole.sum() >= LOCKSTEP_SHARE * max(map(len, times.values()))


def _why_no_frame(assembler: FrameAssembler, report: BagReport, names: Mapping[str, str]) -> str:
    silent = [names[key] for key in (*STAMPED, "speedometer") if names[key] not in report.topics]
    if silent:
        return f"it has no {', '.join(silent)} (role name '{report.role}')"
    waiting = assembler.health.waiting_for
    if waiting:
        return f"no complete frame, still waiting for {waiting}"
    texts = list(assembler.health.texts.values())
    return f"no complete frame; {texts[-1] if texts else report.clock}"
