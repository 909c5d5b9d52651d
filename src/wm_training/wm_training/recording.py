"""Reads recordings, whole or cut off: raw or deserialised messages, and synchronised frames.

An mcap file is read as a stream of records, so a bag whose recorder was killed (no index, no
``metadata.yaml``, a torn last record) gives everything up to the tear. Other storages are read
through ``rosbags`` and must be whole.
"""

from __future__ import annotations

import heapq
import re
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcap.exceptions import McapError
from mcap.records import Channel, Chunk, DataEnd, Message, Schema
from mcap.stream_reader import CRCValidationError, StreamReader, breakup_chunk
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.serde import SerdeError
from rosbags.typesys import (
    Stores,
    TypesysError,
    get_types_from_idl,
    get_types_from_msg,
    get_typestore,
)

from wm_dynamics.errors import UserError
from wm_perception.frame import SceneFrame
from wm_perception.scene import Scene
from wm_perception.sync import FrameAssembler
from wm_perception.topics import TOPICS
from wm_training.bag_writer import BagWriter

# Messages are handed out in order of their time stamps; recorders write them this far out of order.
REORDER_NS = 2_000_000_000
TORN = (McapError, CRCValidationError, struct.error, ValueError, EOFError, OverflowError)


@dataclass(frozen=True, order=True)
class RawMessage:
    """One recorded message: log time (ns), position in the recording, topic, type, CDR bytes."""

    stamp_ns: int
    index: int
    topic: str
    type_name: str
    data: bytes


class BagReader:
    """Iterates over one recording.

    Attributes:
        path: the recording.
        complete: it was closed properly; known after iterating.
        recovered: messages read so far.
        problems: kind (``torn``, ``damaged_chunk``, ``unknown_type``, ``undecodable``) -> count.
    """

    def __init__(self, path: Path | str):
        """Open a bag directory or an .mcap file.

        Raises:
            UserError: there is no recording at ``path``.
        """
        self.path = Path(path)
        self.complete = True
        self.recovered = 0
        self.problems: Counter[str] = Counter()
        self._store = get_typestore(Stores.EMPTY)
        self._bad_types: set[str] = set()
        self._schemas: dict[str, tuple[str, str]] = {}
        if not self.path.exists():
            raise UserError(f"no recording at {self.path}")
        if self.path.is_file():
            self._files = [self.path]
        else:
            self._files = sorted(self.path.glob("*.mcap"), key=_natural)
        if not self._files and not (self.path / "metadata.yaml").is_file():
            raise UserError(
                f"{self.path} is no recording: it holds no .mcap file and no metadata.yaml"
            )

    def _compressed_messages(self) -> bool:
        """Whether each message was compressed for itself, which only ``rosbags`` undoes."""
        metadata = self.path / "metadata.yaml"
        return metadata.is_file() and "compression_mode: message" in metadata.read_text().lower()

    def raw(self) -> Iterator[RawMessage]:
        """Every readable message, by log time."""
        heap: list[RawMessage] = []
        for message in self._unordered():
            heapq.heappush(heap, message)
            while heap[0].stamp_ns < message.stamp_ns - REORDER_NS:
                yield heapq.heappop(heap)
        while heap:
            yield heapq.heappop(heap)

    def __iter__(self) -> Iterator[tuple[str, str, int, Any]]:
        """Every decodable message as (topic, type name, log time ns, message)."""
        for item in self.raw():
            message = self.decode(item)
            if message is not None:
                yield item.topic, item.type_name, item.stamp_ns, message

    def decode(self, item: RawMessage) -> Any | None:
        """The message as an object; None (and counted) when its type or bytes are unusable."""
        if item.type_name not in self._store.types and not self._learn(item.type_name):
            self.problems["unknown_type"] += 1
            return None
        try:
            return self._store.deserialize_cdr(item.data, item.type_name)
        except SerdeError:
            self.problems["undecodable"] += 1
            return None

    def _learn(self, type_name: str) -> bool:
        """Register a type from the definition in the recording."""
        encoding, text = self._schemas.get(type_name, ("", ""))
        if type_name in self._bad_types or not text:
            return False
        try:
            if encoding == "ros2idl":
                types = get_types_from_idl(text)
            else:
                types = get_types_from_msg(text, type_name)
            self._store.register(types)
        except (TypesysError, SyntaxError, ValueError):
            self._bad_types.add(type_name)
            return False
        return type_name in self._store.types

    def _unordered(self) -> Iterator[RawMessage]:
        streamed = self._files and not self._compressed_messages()
        source = self._from_mcap() if streamed else self._from_rosbags()
        for item in source:
            self.recovered += 1
            yield item

    def _from_mcap(self) -> Iterator[RawMessage]:
        for file in self._files:
            schemas: dict[int, Schema] = {}
            channels: dict[int, Channel] = {}
            for record in self._records(file):
                if isinstance(record, Schema):
                    schemas[record.id] = record
                    text = record.data.decode(errors="replace")
                    self._schemas[record.name] = (record.encoding, text)
                elif isinstance(record, Channel):
                    channels[record.id] = record
                elif isinstance(record, Message):
                    channel = channels.get(record.channel_id)
                    schema = schemas.get(channel.schema_id) if channel else None
                    if channel is None or schema is None:
                        self.problems["unknown_type"] += 1
                        continue
                    yield RawMessage(
                        record.log_time, self.recovered, channel.topic, schema.name, record.data
                    )

    def _records(self, file: Path) -> Iterator[Any]:
        """The records of a file up to its end or to where it is torn."""
        ended = False
        with open(file, "rb") as stream:
            try:
                limit = file.stat().st_size
                source = StreamReader(stream, emit_chunks=True, record_size_limit=limit)
                for record in source.records:
                    if isinstance(record, Chunk):
                        yield from self._chunk(record)
                    elif isinstance(record, DataEnd):
                        # What follows repeats schemas and channels as an index.
                        ended = True
                        break
                    else:
                        yield record
            except TORN:
                pass
        if not ended:
            self.complete = False
            self.problems["torn"] += 1

    def _chunk(self, chunk: Chunk) -> list[Any]:
        try:
            return breakup_chunk(chunk, validate_crc=True)
        except (*TORN, RuntimeError):
            self.complete = False
            self.problems["damaged_chunk"] += 1
            return []

    def _from_rosbags(self) -> Iterator[RawMessage]:
        try:
            with AnyReader([self.path]) as reader:
                for connection in reader.connections:
                    encoding = f"ros2{connection.msgdef.format.name.lower()}"
                    self._schemas[connection.msgtype] = (encoding, connection.msgdef.data)
                for connection, stamp_ns, data in reader.messages():
                    yield RawMessage(
                        stamp_ns, self.recovered, connection.topic, connection.msgtype, bytes(data)
                    )
        except AnyReaderError as error:
            raise UserError(f"{self.path} is not a readable recording: {error}") from None

    def report(self) -> str:
        """One sentence about what was read."""
        state = "complete" if self.complete else "cut off: its recorder did not close it"
        extra = "".join(f", {kind} x{n}" for kind, n in self.problems.items() if kind != "torn")
        return f"{self.path}: {self.recovered} messages ({state}{extra})"


def _natural(path: Path) -> list[Any]:
    """Sorting key that puts bag_10 after bag_9."""
    return [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", path.name)]


def find_role(reader: BagReader) -> str:
    """Role name of the recorded ego vehicle.

    Raises:
        UserError: no vehicle, or several, were recorded.
    """
    pattern = re.compile(r"/carla/([^/]+)/odometry$")
    roles = {match[1] for item in reader.raw() if (match := pattern.match(item.topic))}
    if len(roles) != 1:
        found = ", ".join(sorted(roles)) or "none"
        raise UserError(
            f"{reader.path}: name the recorded vehicle with --role-name (found: {found})"
        )
    return roles.pop()


def read_frames(
    reader: BagReader, assembler: FrameAssembler, role: str
) -> Iterator[tuple[SceneFrame, Scene | None]]:
    """The synchronised frames of a recording, each with its scene.

    The scene is None only when the assembler was made with ``want_scene=False``; a new
    :class:`Scene` object means a new episode. What could not be used is counted in
    ``reader.problems`` and ``assembler.health.problems``.
    """
    names = {topic.name(role): topic.key for topic in TOPICS}
    for item in reader.raw():
        key = names.get(item.topic)
        message = reader.decode(item) if key else None
        if key is None or message is None:
            continue
        frame = assembler.feed(key, message, item.stamp_ns * 1e-9)
        if frame is not None:
            yield frame, assembler.scene


def repair(path: Path | str, out: Path | str) -> str:
    """Write what is readable of a recording into a new, complete bag.

    Returns:
        A sentence about what was recovered.

    Raises:
        UserError: no recording, nothing in it, or ``out`` exists.
    """
    reader = BagReader(path)
    writer = None
    for item in reader.raw():
        if writer is None:
            writer = BagWriter(out)
        if item.topic not in writer.counts:
            entry = next((t for t in TOPICS if re.fullmatch(t.name("[^/]+"), item.topic)), None)
            depth, latched = (entry.depth, entry.latched) if entry else (10, False)
            writer.add_topic(item.topic, item.type_name, depth, latched)
        writer.write(item.topic, item.stamp_ns, item.data)
    if writer is None:
        raise UserError(f"{reader.report()}: nothing to repair")
    writer.close()
    return reader.report()
