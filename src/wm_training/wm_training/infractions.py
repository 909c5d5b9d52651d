"""What a drive did wrong, where and when: the list behind every penalty and every rate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wm_perception.frame import Contact, ObjectClass

# What may go wrong. The last three end a route; the others are priced, see `leaderboard`.
COLLISIONS = ("collision_person", "collision_vehicle", "collision_static")
KINDS = (*COLLISIONS, "red_light", "off_road", "off_route", "blocked", "timeout")
STANDING = (ObjectClass.BARRIER, ObjectClass.SIGN, ObjectClass.UNKNOWN)


@dataclass(frozen=True)
class Infraction:
    """One event.

    Attributes:
        kind: one of ``KINDS``.
        x, y: the ego's place, map frame, m.
        time_s: simulated seconds since the route's first frame.
        station_m: arc length along the route, m.
        at_fault: by the driver's own doing; of collisions only, else True.
    """

    kind: str
    x: float
    y: float
    time_s: float
    station_m: float
    at_fault: bool = True


def collision_kind(contact: Contact | None) -> str:
    """The kind of a collision; a source that does not say what was hit hit a vehicle."""
    hit = ObjectClass.CAR if contact is None else contact.kind
    if hit == ObjectClass.PEDESTRIAN:
        return "collision_person"
    return "collision_static" if hit in STANDING else "collision_vehicle"


def count_kinds(infractions: Iterable[Infraction]) -> dict[str, int]:
    """How many there are of each kind, all kinds in their order."""
    counts = dict.fromkeys(KINDS, 0)
    for infraction in infractions:
        counts[infraction.kind] += 1
    return counts
