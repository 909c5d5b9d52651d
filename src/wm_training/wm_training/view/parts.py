"""What is shown, in named parts of which only the newest content counts.

A watcher remembers which versions it has. What it gets next is whatever is newer, however much it
missed in between: there is no queue that could grow.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

HEADER = struct.Struct("<I")


@dataclass(frozen=True)
class Part:
    """One part.

    Attributes:
        name: e.g. ``camera``.
        version: counts up with every new content.
        payload: JSON text, or bytes as ``about`` says.
        about: what the page must know to read the payload, e.g. the shape of an array.
    """

    name: str
    version: int
    payload: bytes
    about: Mapping[str, Any]


class Parts:
    """The newest content of every part. Written by one thread, read by another."""

    def __init__(self) -> None:
        self._parts: dict[str, Part] = {}
        self._count = 0

    def put(self, name: str, payload: bytes, about: Mapping[str, Any] | None = None) -> None:
        """Replace a part; content that is the same is no news."""
        before = self._parts.get(name)
        about = dict(about or {})
        if before is not None and before.payload == payload and before.about == about:
            return
        self._count += 1
        self._parts[name] = Part(name, self._count, payload, about)

    def put_json(self, name: str, content: Any) -> None:
        """Replace a part by JSON.

        Raises:
            ValueError: a number that is not finite, which JSON does not have.
        """
        text = json.dumps(content, separators=(",", ":"), allow_nan=False)
        self.put(name, text.encode(), {"json": True})

    def drop(self, name: str) -> None:
        """Forget a part; watchers keep what they have."""
        self._parts.pop(name, None)

    def newer(self, seen: Mapping[str, int]) -> list[Part]:
        """The parts that a watcher does not have yet.

        Args:
            seen: name -> version it has.
        """
        return [p for p in list(self._parts.values()) if p.version > seen.get(p.name, 0)]


def pack(parts: Iterable[Part]) -> bytes:
    """One message for the page: length of a JSON header, the header, then the payloads in order.

    The header lists ``[name, bytes, about]`` of each part.
    """
    parts = list(parts)
    header = json.dumps([[p.name, len(p.payload), p.about] for p in parts]).encode()
    return b"".join([HEADER.pack(len(header)), header, *(p.payload for p in parts)])


def unpack(data: bytes) -> dict[str, tuple[bytes, dict[str, Any]]]:
    """The reverse of :func:`pack`: name -> payload and what is said about it."""
    (length,) = HEADER.unpack_from(data)
    at = HEADER.size + length
    found = {}
    for name, size, about in json.loads(data[HEADER.size : at]):
        found[name] = (data[at : at + size], about)
        at += size
    return found
