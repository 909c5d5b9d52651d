"""Where the messages of a recording come from: mcap, sqlite3, ROS 1, and what ``rosbags`` reads.

A source is a generator of (topic, type name, log time ns, CDR bytes). It adds the message
definitions it meets to ``schemas`` and counts what it had to leave out in ``problems``; ``torn``
there means that the recording was not closed.
"""

from __future__ import annotations

import re
import sqlite3
import struct
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

from mcap.exceptions import McapError
from mcap.records import Channel, Chunk, DataEnd, Message, Schema
from mcap.stream_reader import CRCValidationError, StreamReader, breakup_chunk
from rosbags.highlevel import AnyReader
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from wm_dynamics.errors import UserError

TORN = (McapError, CRCValidationError, struct.error, ValueError, EOFError, OverflowError)
OUR_PACKAGES = (
    "ackermann_msgs",
    "carla_msgs",
    "carla_waypoint_types",
    "derived_object_msgs",
    "tf2_msgs",
    "wm_msgs",
)
# ROS 2 headers count no sequence, and ``rosbags`` leaves it out when it converts.
ROS1_SEQ = re.compile(r"(MSG: std_msgs/Header\n(?:.*\n)*?)uint32 seq\n")
SQLITE_MAGIC = b"SQLite format 3\x00"

Item = tuple[str, str, int, bytes]
Schemas = dict[str, tuple[str, str]]  # type name -> (encoding, definition)


@lru_cache(maxsize=1)
def known_types() -> Typestore:
    """Types of ROS 2 and of this project, for recordings that do not define theirs.

    Recorders before ROS 2 Iron stored no definitions in sqlite3 files.
    """
    store = get_typestore(Stores.LATEST)
    for package in OUR_PACKAGES:
        for file in sorted(Path(sys.prefix, "share", package, "msg").glob("*.msg")):
            name = f"{package}/msg/{file.stem}"
            if name not in store.types:
                store.register(get_types_from_msg(file.read_text(), name))
    return store


def mcap_messages(file: Path, schemas: Schemas, problems: Counter[str]) -> Iterator[Item]:
    """The messages of an mcap file up to its end, or up to where it is torn."""
    known: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    for record in _mcap_records(file, problems):
        if isinstance(record, Schema):
            known[record.id] = record
            schemas[record.name] = (record.encoding, record.data.decode(errors="replace"))
        elif isinstance(record, Channel):
            channels[record.id] = record
        elif isinstance(record, Message):
            channel = channels.get(record.channel_id)
            schema = known.get(channel.schema_id) if channel else None
            if channel is None or schema is None:
                problems["unknown_type"] += 1
                continue
            yield channel.topic, schema.name, record.log_time, record.data


def _mcap_records(file: Path, problems: Counter[str]) -> Iterator[Any]:
    ended = False
    with open(file, "rb") as stream:
        try:
            limit = file.stat().st_size
            source = StreamReader(stream, emit_chunks=True, record_size_limit=limit)
            for record in source.records:
                if isinstance(record, Chunk):
                    yield from _mcap_chunk(record, problems)
                elif isinstance(record, DataEnd):
                    # What follows repeats schemas and channels as an index.
                    ended = True
                    break
                else:
                    yield record
        except TORN:
            pass
    if not ended:
        problems["torn"] += 1


def _mcap_chunk(chunk: Chunk, problems: Counter[str]) -> list[Any]:
    try:
        return breakup_chunk(chunk, validate_crc=True)
    except (*TORN, RuntimeError):
        problems["damaged_chunk"] += 1
        return []


def is_sqlite(file: Path) -> bool:
    """Whether a file begins as an sqlite3 database does (a compressed one does not)."""
    with open(file, "rb") as stream:
        return stream.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC


def sqlite_messages(file: Path, schemas: Schemas, problems: Counter[str]) -> Iterator[Item]:
    """The messages of a rosbag2 sqlite3 file, with or without ``metadata.yaml``.

    A recorder that was killed leaves a database that SQLite itself brings back to the last
    transaction. A page that cannot be read ends the file.
    """
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        if "message_definitions" in tables:
            for name, encoding, text in connection.execute(
                "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"
            ):
                schemas[name] = (encoding, text)
        topics = {
            row[0]: (row[1], row[2])
            for row in connection.execute("SELECT id, name, type FROM topics")
        }
        # By rowid: the index may be the damaged part, and the reader sorts by time anyway.
        for topic_id, stamp_ns, data in connection.execute(
            "SELECT topic_id, timestamp, data FROM messages ORDER BY id"
        ):
            if topic_id not in topics:
                problems["unknown_type"] += 1
                continue
            name, type_name = topics[topic_id]
            yield name, type_name, int(stamp_ns), bytes(data)
    except sqlite3.DatabaseError:
        problems["torn"] += 1
    finally:
        connection.close()


def rosbags_messages(path: Path, schemas: Schemas, problems: Counter[str]) -> Iterator[Item]:
    """What the ``rosbags`` library reads: ROS 1 bags, and compressed rosbag2 recordings.

    Damage behind the index ends the recording there.

    Raises:
        UserError: the recording has no readable index.
    """
    try:
        reader = AnyReader([path])
        reader.open()
    except Exception as error:  # of the library, of its decompressors and of its parsers
        raise UserError(f"{path} is not a readable recording: {error}") from None
    with closing(reader):
        for connection in reader.connections:
            text, kind = connection.msgdef.data, connection.msgdef.format.name.lower()
            if not reader.is2:
                text = ROS1_SEQ.sub(r"\1", text)
            if text:
                schemas[connection.msgtype] = (f"ros2{kind}", text)
        to_cdr = None if reader.is2 else _ros1_types(schemas).ros1_to_cdr
        for connection, stamp_ns, data in _up_to_damage(reader, problems):
            try:
                cdr = to_cdr(data, connection.msgtype) if to_cdr else data
            except (SerdeError, ValueError, KeyError, IndexError, struct.error):
                problems["undecodable"] += 1
                continue
            yield connection.topic, connection.msgtype, stamp_ns, bytes(cdr)


def _up_to_damage(reader: AnyReader, problems: Counter[str]) -> Iterator[tuple[Any, int, Any]]:
    messages = reader.messages()
    while True:
        try:
            message = next(messages)
        except StopIteration:
            return
        except Exception:  # of the library, of its decompressors and of SQLite
            problems["torn"] += 1
            return
        yield message


def _ros1_types(schemas: Schemas) -> Typestore:
    """The types of a ROS 1 bag, with ROS 2's header."""
    store = get_typestore(Stores.EMPTY)
    for name, (_, text) in schemas.items():
        try:
            store.register(get_types_from_msg(text, name))
        except (TypesysError, SyntaxError, ValueError):
            continue  # the reader counts its messages as of an unknown type
    return store
