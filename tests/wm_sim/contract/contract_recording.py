"""What one drive said: messages by topic and phase, and answers of services."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from contract_client import Client
from geometry_msgs.msg import Pose


@dataclass
class Recording:
    """What was heard and answered.

    Attributes:
        client: with everything heard.
        role: role name of the ego.
        notes: answers of services and what else a fact needs, by name.
    """

    client: Client
    role: str
    notes: dict[str, Any] = field(default_factory=dict)

    def _heard(self, name: str) -> list[tuple[str, Any]]:
        return self.client.heard[name.replace("R/", f"/carla/{self.role}/", 1)]

    @cached_property
    def _phase_of(self) -> dict[int, str]:
        """Phase of every frame; big messages may arrive when the next phase has begun."""
        return {stamp_of(m): phase for phase, m in self._heard("R/odometry")}

    def messages(self, name: str, *phases: str) -> list[Any]:
        """Messages of a topic (R/ for the ego's), of some phases or of all."""
        return [
            message
            for arrived_in, message in self._heard(name)
            if not phases or self._phase_of.get(stamp_of(message), arrived_in) in phases
        ]

    def pairs(self, first: str, second: str, *phases: str) -> list[tuple[Any, Any]]:
        """Messages of two topics that belong to the same frame; there must be some."""
        others = {stamp_of(m): m for m in self.messages(second)}
        found = [(m, others.get(stamp_of(m))) for m in self.messages(first, *phases)]
        found = [(m, other) for m, other in found if other is not None]
        assert found, f"{first} and {second} have no frame in common"
        return found

    def unstamped(self, name: str) -> list[tuple[Any, Any]]:
        """Messages without a stamp beside the odometry of their frame, newest first."""
        return list(zip(self.messages(name)[::-1], self.messages("R/odometry")[::-1], strict=False))


def stamp_of(message: Any) -> int | None:
    """The stamp of a message in ns, None when it has none."""
    for part in ("transforms", "markers"):
        if getattr(message, part, None):
            message = getattr(message, part)[0]
    stamp = getattr(getattr(message, "header", None), "stamp", None)
    return None if stamp is None else stamp.sec * 10**9 + stamp.nanosec


def planar(pose: Pose) -> tuple[float, float, float]:
    """x, y, heading."""
    return pose.position.x, pose.position.y, 2 * math.atan2(pose.orientation.z, pose.orientation.w)


def pose_at(x: float, y: float, yaw: float) -> Pose:
    """Ground pose."""
    pose = Pose()
    pose.position.x, pose.position.y = x, y
    pose.orientation.z, pose.orientation.w = math.sin(yaw / 2), math.cos(yaw / 2)
    return pose
