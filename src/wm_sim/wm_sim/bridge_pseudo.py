"""Pseudo sensors and sensors of events: topics of things the bridge knows without measuring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from wm_dynamics.errors import UserError
from wm_perception.sensor_topics import PSEUDO_TOPICS, check_id
from wm_perception.topics import Topic, topic
from wm_sim.actors import Actor
from wm_sim.rig import EVENTS, PseudoSensor

FIRST_PSEUDO_ID = 400_000
# The ids of CARLA's example rig; a sensor's id is part of its topics' names.
USUAL_ID = {
    "sensor.pseudo.traffic_lights": "traffic_lights",
    "sensor.pseudo.objects": "objects",
    "sensor.pseudo.actor_list": "actor_list",
    "sensor.pseudo.markers": "markers",
    "sensor.pseudo.opendrive_map": "map",
    "sensor.pseudo.tf": "tf",
    "sensor.pseudo.odom": "odometry",
    "sensor.pseudo.speedometer": "speedometer",
    "actor.pseudo.control": "control",
    "sensor.other.collision": "collision",
    "sensor.other.lane_invasion": "lane_invasion",
}


@dataclass(frozen=True)
class Offered:
    """A pseudo sensor that is there: actor id and topics."""

    id: int
    sensor: PseudoSensor
    topics: tuple[Topic, ...]


def pseudo_topics(sensor: PseudoSensor) -> tuple[Topic, ...]:
    """The topics of a pseudo sensor, with its id where the usual one would be.

    Raises:
        UserError: unknown type, or an id that cannot be part of a topic's name.
    """
    if sensor.type not in PSEUDO_TOPICS:
        known = ", ".join(PSEUDO_TOPICS)
        raise UserError(f"there is no pseudo sensor '{sensor.type}'; known ones: {known}")
    check_id(sensor.id)
    keys = PSEUDO_TOPICS[sensor.type]
    if sensor.type == "sensor.pseudo.objects":
        keys = keys[1:] if sensor.parent else keys[:1]
    usual = USUAL_ID[sensor.type]
    return tuple(_renamed(topic(key), usual, sensor.id) for key in keys)


def _renamed(entry: Topic, usual: str, name: str) -> Topic:
    if entry.key == "tf":
        return entry
    parts = [name if part == usual else part for part in entry.template.split("/")]
    return replace(entry, template="/".join(parts))


class PseudoSensors:
    """The pseudo sensors that are there.

    Args:
        open_topic: begins to publish or to listen to a topic.
        close_topic: ends that.
    """

    def __init__(self, open_topic: Callable[[Topic], None], close_topic: Callable[[Topic], None]):
        self._open, self._close = open_topic, close_topic
        self._offered: dict[int, Offered] = {}
        self._next_id = FIRST_PSEUDO_ID

    def actors(self, ego_id: int) -> list[Actor]:
        """Those that CARLA has as actors of their own."""
        return [
            Actor(item.id, item.sensor.type, item.sensor.id, ego_id)
            for item in self._offered.values()
            if item.sensor.type in EVENTS
        ]

    def offer(self, sensor: PseudoSensor) -> int:
        """Offer a pseudo sensor's topics; returns its actor id, the old one if it is there.

        Raises:
            UserError: unknown type or bad id, or one of its type is there with another id.
        """
        topics = pseudo_topics(sensor)
        for item in self._offered.values():
            if topics == item.topics:
                return item.id
            if {t.key for t in topics} & {t.key for t in item.topics}:
                raise UserError(
                    f"a {sensor.type} is there already, with the id '{item.sensor.id}': "
                    "one is enough, use its topics"
                )
        for entry in topics:
            self._open(entry)
        item = Offered(self._next_id, sensor, topics)
        self._next_id += 1
        self._offered[item.id] = item
        return item.id

    def destroy(self, identity: int) -> bool:
        """Withdraw a pseudo sensor; False when there is none of that id."""
        item = self._offered.pop(identity, None)
        if item is None:
            return False
        for entry in item.topics:
            self._close(entry)
        return True
