"""Writes rosbag2 (mcap) directories that stay readable when the process is killed."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

from rosbags.interfaces import (
    Connection,
    Nodetype,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError
from rosbags.rosbag2.storage_mcap import McapWriter
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from wm_dynamics.errors import UserError

FOREVER = QosTime(2147483647, 4294967295)
FLUSH_S = 0.5


@lru_cache(maxsize=1)
def share_directories() -> tuple[Path, ...]:
    """``share`` of every installation prefix, in the order ROS looks."""
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    return tuple(Path(prefix) / "share" for prefix in dict.fromkeys([*prefixes, sys.prefix]))


class TypeDefinitions:
    """Message definitions by name: the standard ones, others from the installed packages."""

    def __init__(self):
        self.typestore = get_typestore(Stores.ROS2_KILTED)
        self._loaded: set[str] = set()

    def require(self, type_name: str) -> None:
        """Make ``package/msg/Type`` and what it is made of known.

        Raises:
            UserError: no installed package defines it.
        """
        if type_name in self.typestore.types:
            return
        package = type_name.split("/")[0]
        if package in self._loaded:
            raise UserError(f"message type {type_name} is not defined by the installed {package}")
        self._loaded.add(package)
        folders = [share / package / "msg" for share in share_directories()]
        folder = next((f for f in folders if f.is_dir()), None)
        if folder is None:
            raise UserError(
                f"message type {type_name} is unknown; install the package {package}, or set "
                "AMENT_PREFIX_PATH to where it is"
            )
        types = {}
        for file in sorted(folder.glob("*.msg")):
            types.update(get_types_from_msg(file.read_text(), f"{package}/msg/{file.stem}"))
        self.typestore.register(types)
        for _, fields in types.values():
            for _, description in fields:
                if (inner := _message_name(description)) is not None:
                    self.require(inner)
        self.require(type_name)


def _message_name(description: Any) -> str | None:
    """The message type that a field holds, alone or in a list; None for a plain value."""
    kind, detail = description
    if kind == Nodetype.NAME:
        return detail
    return _message_name(detail[0]) if kind in (Nodetype.ARRAY, Nodetype.SEQUENCE) else None


def qos(depth: int, latched: bool) -> Qos:
    """The QoS of a topic as a bag stores it, so that replaying latches what was latched."""
    return Qos(
        QosHistory.KEEP_LAST,
        depth,
        QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        FOREVER,
        FOREVER,
        QosLiveliness.AUTOMATIC,
        FOREVER,
        False,
    )


class BagWriter:
    """A rosbag2 directory being written.

    Every ``flush_s`` seconds the pending chunk is closed and handed to the operating system: a
    killed process loses at most that much. :meth:`close` adds the index and ``metadata.yaml``.

    Attributes:
        counts: topic -> messages written.
    """

    def __init__(self, path: Path | str, flush_s: float = FLUSH_S):
        """Create the directory.

        Raises:
            UserError: it exists, or cannot be created.
        """
        self.counts: Counter[str] = Counter()
        self._types = TypeDefinitions()
        self._connections: dict[str, Connection] = {}
        self._flush_s = flush_s
        self._flushed_s = time.monotonic()
        self._path = Path(path)
        try:
            self._writer = Writer(self._path, version=9, storage_plugin=StoragePlugin.MCAP)
            self._writer.open()
        except WriterError as error:
            raise UserError(f"cannot record: {error} Choose another directory.") from None
        except OSError as error:
            raise UserError(f"cannot record to {path}: {error.strerror}") from None

    def add_topic(self, topic: str, type_name: str, depth: int = 10, latched: bool = False) -> None:
        """Announce a topic before its first message.

        Raises:
            UserError: the type is unknown.
        """
        self._types.require(type_name)
        self._connections[topic] = self._writer.add_connection(
            topic,
            type_name,
            typestore=self._types.typestore,
            offered_qos_profiles=[qos(depth, latched)],
        )

    def write(self, topic: str, stamp_ns: int, raw: bytes) -> None:
        """Append one serialised message.

        Args:
            topic: announced before.
            stamp_ns: wall time, ns.
            raw: CDR bytes.

        Raises:
            UserError: the disk does not take it.
        """
        try:
            self._writer.write(self._connections[topic], stamp_ns, raw)
            if time.monotonic() - self._flushed_s >= self._flush_s:
                self.flush()
        except OSError as error:
            raise UserError(f"recording to {self._path} failed: {error.strerror}") from None
        self.counts[topic] += 1

    def flush(self) -> None:
        """Hand everything written so far to the operating system."""
        storage = self._writer.storage
        assert isinstance(storage, McapWriter)
        if storage.chunk.msgs:
            storage.close_chunk()
        storage.bio.flush()
        self._flushed_s = time.monotonic()

    def close(self) -> None:
        """Finish the bag.

        Raises:
            UserError: the disk does not take the rest; what was flushed before stays readable.
        """
        try:
            self._writer.close()
        except OSError as error:
            self._writer.abort()
            raise UserError(f"recording to {self._path} failed: {error.strerror}") from None
