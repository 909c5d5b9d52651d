"""Poses must be in the frame ``map``: no node of the stack looks up a transform.

Whoever localises in another frame (``odom``) needs a transform from it to ``map``, applied before
the poses come here. Taken as they are, they would put the car somewhere else on the map.
"""

from __future__ import annotations

from typing import Any

MAP = "map"
KEYS = ("odometry", "objects")  # topics whose poses are taken for poses in the map


class MapFrame:
    """Looks at the frame of every pose."""

    def __init__(self):
        """Nothing seen yet."""
        self._strangers: dict[str, str] = {}

    def accepts(self, key: str, message: Any) -> bool:
        """Whether a message of the topic ``key`` can be used; a frame that is not given is map."""
        if key not in KEYS:
            return True
        frame = message.header.frame_id.lstrip("/")
        if frame in ("", MAP):
            self._strangers.pop(key, None)
            return True
        self._strangers[key] = frame
        return False

    @property
    def text(self) -> str:
        """What is wrong now, empty when nothing is."""
        return "; ".join(
            f"{key} is in the frame '{frame}' and not in '{MAP}', and nothing transforms it here: "
            f"publish it in '{MAP}'"
            for key, frame in self._strangers.items()
        )
