"""What a watcher may do to the running simulation: pause, go on, one step, another route."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rcl_interfaces.srv import GetParameters
from rclpy.client import Client
from rclpy.node import Node

from wm_dynamics.errors import UserError
from wm_msgs.srv import StartRoute
from wm_perception.node_tools import publisher
from wm_perception.topics import service

# What is allowed: everything; only to stop and start time (a drive that is scored must not be given
# another route); nothing.
CONTROLS = ("all", "time", "none")
TIME = {"play": 0, "pause": 1, "step": 2}  # carla_msgs/CarlaControl
SIMULATOR = "/carla_ros_bridge"


class Episode(BaseModel):
    """A route to begin; the fields are those of ``wm_msgs/srv/StartRoute``."""

    model_config = ConfigDict(extra="forbid")

    suite: str = "default"
    route: int = Field(0, ge=0, le=2**31)
    seed: int = Field(0, ge=0, le=2**31)
    traffic: int = Field(0, ge=0, le=1000)
    trucks: int = Field(0, ge=0, le=1000)
    cyclists: int = Field(0, ge=0, le=1000)
    pedestrians: int = Field(0, ge=0, le=1000)
    parked: int = Field(0, ge=0, le=1000)
    weather: str = "day"
    scenario: str = ""


# The simulator's parameters say what runs.
NAMES = ("town", *Episode.model_fields)


class GraphControls:
    """Publisher and clients behind the buttons.

    Attributes:
        waiting: an answer is expected: somebody must spin the node.
        episode: what the simulator says that it runs; empty when it does not say.
    """

    def __init__(self, node: Node, role: str, allowed: str = CONTROLS[0]):
        """Args: node; role: of the ego vehicle; allowed: one of ``CONTROLS``."""
        if allowed not in CONTROLS:
            raise UserError(f"controls: {allowed!r} is none of {', '.join(CONTROLS)}")
        self.episode: dict[str, Any] = {}
        self._allowed = allowed
        self._said: list[tuple[str, int]] = []
        self._time = publisher(node, "carla_control", role)
        entry = service("start_route")
        self._start: Client = node.create_client(StartRoute, entry.name(role))
        self._asked: Client = node.create_client(GetParameters, f"{SIMULATOR}/get_parameters")
        self._started: Any = None
        self._answer: Any = None

    @property
    def waiting(self) -> bool:
        """An answer is expected."""
        return self._started is not None or self._answer is not None

    def offered(self) -> dict[str, bool]:
        """Control -> whether it is allowed and somebody would listen."""
        time = self._allowed != "none" and self._time.get_subscription_count() > 0
        start = self._allowed == "all" and self._start.service_is_ready()
        return {"time": time, "start": start}

    def do(self, request: Mapping[str, Any]) -> str:
        """``{"do": "pause"}``, ``play``, ``step``, or ``start`` with an :class:`Episode`'s fields.

        Raises:
            UserError: it is not allowed, nobody listens, or the request makes no sense.
        """
        name, offered = request.get("do"), self.offered()
        if name in TIME:
            if not offered["time"]:
                raise UserError(self._why_not("nobody listens on /carla/control", "none"))
            message = self._time.msg_type()
            message.command = TIME[name]
            self._time.publish(message)
            return name
        if name != "start":
            raise UserError(f"there is no control {name!r}")
        if not offered["start"]:
            nobody = "the source of the topics cannot begin a route"
            raise UserError(self._why_not(nobody, "none", "time"))
        return self._begin({k: v for k, v in request.items() if k != "do"})

    def _why_not(self, otherwise: str, *forbidding: str) -> str:
        if self._allowed not in forbidding:
            return otherwise
        return f"not offered here: this view was started with controls {self._allowed!r}"

    def _begin(self, values: dict[str, Any]) -> str:
        try:
            episode = Episode.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            raise UserError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        if self._started is not None:
            raise UserError("a route is being started already")
        request = StartRoute.Request(**episode.model_dump())
        self._started = self._start.call_async(request)
        return f"starting route {episode.route}, seed {episode.seed}"

    def look(self) -> None:
        """Take the answers that have come, and ask what runs."""
        if self._started is not None and not self._start.service_is_ready():
            self._started = None  # its simulator has gone
            self._said.append(("the simulator has gone", 2))
        if self._started is not None and self._started.done():
            response = self._started.result()
            text = "new route" if response.success else response.message
            self._said.append((text, 0 if response.success else 2))
            self._started = None
        if self._answer is not None and not self._asked.service_is_ready():
            self._answer, self.episode = None, {}
        if self._answer is not None and self._answer.done():
            values = self._answer.result().values
            self.episode = {
                name: value.string_value if value.type == 4 else int(value.integer_value)
                for name, value in zip(NAMES, values, strict=False)
                if value.type in (2, 4)  # ParameterType: integer, string
            }
            self._answer = None
        if self._answer is None and self._asked.service_is_ready():
            self._answer = self._asked.call_async(GetParameters.Request(names=list(NAMES)))

    def said(self) -> list[tuple[str, int]]:
        """What there is to tell since the last call: text and level."""
        said, self._said = self._said, []
        return said
