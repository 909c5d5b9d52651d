"""Commands for spawned walkers: each that has a role name listens below it, as in the bridge."""

from __future__ import annotations

import math
from collections.abc import Callable

from carla_msgs.msg import CarlaWalkerControl

from wm_dynamics.errors import UserError
from wm_perception.sensor_topics import check_id
from wm_perception.topics import Topic
from wm_sim.bridge_complaints import Complaints
from wm_sim.bridge_source import BridgeSource

Handler = Callable[[CarlaWalkerControl], None]


class Walkers:
    """The command topics of spawned walkers.

    Args:
        source: the simulator.
        listen: subscribes a handler to a topic.
        close: ends that.
        complain: says what was refused.
    """

    def __init__(
        self,
        source: BridgeSource,
        listen: Callable[[Topic, Handler], None],
        close: Callable[[Topic], None],
        complain: Complaints,
    ):
        self._source, self._listen, self._close = source, listen, close
        self._complain = complain
        self._topics: dict[int, Topic] = {}

    def add(self, actor_id: int, role: str) -> None:
        """Listen for a walker that was just spawned.

        Raises:
            UserError: its role name cannot be part of a topic's name, or another walker has it.
        """
        check_id(role)
        key = f"{role}/walker_control_cmd"
        entry = Topic(key, f"/carla/{key}", "carla_msgs/msg/CarlaWalkerControl", publisher="user")
        if entry in self._topics.values():
            raise UserError(f"there is a walker '{role}' already: give this one another id")
        self._topics[actor_id] = entry
        self._listen(entry, lambda message: self._command(actor_id, message))

    def remove(self, actor_id: int) -> None:
        """Stop listening for a walker; nothing happens for anybody else."""
        entry = self._topics.pop(actor_id, None)
        if entry is not None:
            self._close(entry)

    def clear(self) -> None:
        """Stop listening for all: a new episode begins without them."""
        for actor_id in tuple(self._topics):
            self.remove(actor_id)

    def _command(self, actor_id: int, message: CarlaWalkerControl) -> None:
        """Walk on in a direction of the map; a zero direction or speed stands still."""
        x, y = message.direction.x, message.direction.y
        speed = message.speed if x or y else 0.0
        try:
            self._source.walk(actor_id, math.atan2(y, x), speed)
        except UserError as error:
            self._complain("walker_control_cmd", f"{error}; refused")
