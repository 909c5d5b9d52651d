"""Reads recordings, whole or cut off: raw or deserialised messages.

A bag whose recorder was killed (no index, no ``metadata.yaml``, a torn last record) gives
everything up to the tear; see :mod:`wm_training.bag_sources`.
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

from rosbags.serde import SerdeError
from rosbags.typesys import (
    Stores,
    TypesysError,
    get_types_from_idl,
    get_types_from_msg,
    get_typestore,
)
from rosbags.typesys.store import Typestore

from wm_dynamics.errors import UserError
from wm_perception.topics import TOPICS
from wm_training.bag_sources import (
    Item,
    Schemas,
    is_sqlite,
    known_types,
    mcap_messages,
    rosbags_messages,
    sqlite_messages,
)
from wm_training.bag_writer import BagWriter
from wm_training.object_decoder import LITTLE_ENDIAN, OBJECT_ARRAY, decode_objects, fits

# Messages are handed out in order of their time stamps; recorders write them this far out of order.
REORDER_NS = 2_000_000_000
# What bytes that are no such message make the decoder raise.
UNDECODABLE = (SerdeError, ValueError, IndexError, OverflowError, MemoryError, struct.error)


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
        refused: (topic, kind) -> messages of it that could not be decoded.
    """

    def __init__(self, path: Path | str):
        """Open a bag directory, an .mcap or .db3 file, or a ROS 1 .bag file.

        Raises:
            UserError: there is no recording at ``path``.
        """
        self.path = Path(path)
        self.recovered = 0
        self.problems: Counter[str] = Counter()
        self.refused: Counter[tuple[str, str]] = Counter()
        self._store = get_typestore(Stores.EMPTY)
        self._bad_types: set[str] = set()
        self._schemas: Schemas = {}
        self._objects_fit: bool | None = None
        if not self.path.exists():
            raise UserError(f"no recording at {self.path}")
        if self.path.is_file():
            self._files = [self.path]
        else:
            found = [*self.path.glob("*.mcap"), *self.path.glob("*.db3")]
            self._files = sorted(found, key=_natural)
        if not self._files and not (self.path / "metadata.yaml").is_file():
            raise UserError(
                f"{self.path} is no recording: it holds no .mcap or .db3 file and no metadata.yaml"
            )

    @property
    def complete(self) -> bool:
        """Nothing of what has been read so far was torn or damaged."""
        return not self.problems["torn"] and not self.problems["damaged_chunk"]

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
        store = self._types(item.type_name)
        if item.type_name not in store.types:
            self._refuse(item, "unknown_type")
            return None
        try:
            if item.type_name == OBJECT_ARRAY and self._fast_objects(store, item.data):
                return decode_objects(item.data)
            return store.deserialize_cdr(item.data, item.type_name)
        except UNDECODABLE:
            self._refuse(item, "undecodable")
            return None

    def _fast_objects(self, store: Typestore, data: bytes) -> bool:
        """Whether the decoder made for objects can be used."""
        if self._objects_fit is None:
            self._objects_fit = fits(store, known_types())
        return self._objects_fit and data[:2] == LITTLE_ENDIAN

    def _refuse(self, item: RawMessage, kind: str) -> None:
        """Count a message that cannot be decoded."""
        self.problems[kind] += 1
        self.refused[item.topic, kind] += 1

    def _types(self, type_name: str) -> Typestore:
        """Types as the recording defines them, or the known ones where it says nothing."""
        if type_name not in self._schemas:
            return known_types()
        if type_name not in self._store.types and type_name not in self._bad_types:
            encoding, text = self._schemas[type_name]
            try:
                if encoding == "ros2idl":
                    self._store.register(get_types_from_idl(text))
                else:
                    self._store.register(get_types_from_msg(text, type_name))
            except (TypesysError, SyntaxError, ValueError):
                self._bad_types.add(type_name)
        return self._store

    def _unordered(self) -> Iterator[RawMessage]:
        for topic, type_name, stamp_ns, data in self._items():
            yield RawMessage(stamp_ns, self.recovered, topic, type_name, data)
            self.recovered += 1

    def _items(self) -> Iterator[Item]:
        """From each file by its storage; compressed and ROS 1 recordings through ``rosbags``."""
        if not self._files or self._compressed_messages():
            yield from rosbags_messages(self.path, self._schemas, self.problems)
            return
        for file in self._files:
            if file.suffix == ".bag":
                yield from rosbags_messages(file, self._schemas, self.problems)
            elif file.suffix == ".db3" and is_sqlite(file):
                yield from sqlite_messages(file, self._schemas, self.problems)
            else:
                yield from mcap_messages(file, self._schemas, self.problems)

    def report(self) -> str:
        """One sentence about what was read."""
        state = "complete" if self.complete else "cut off: its recorder did not close it"
        extra = "".join(
            f", {kind} x{n}" for kind, n in self.problems.items() if n and kind != "torn"
        )
        return f"{self.path}: {self.recovered} messages ({state}{extra})"


def _natural(path: Path) -> list[Any]:
    """Sorting key that puts bag_10 after bag_9."""
    return [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", path.name)]


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
