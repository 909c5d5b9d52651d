"""What every node of the stack needs: typed parameters, subscriptions in order, a quiet exit."""

from __future__ import annotations

import gc
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

from wm_perception.ros_environment import DEFAULTS

os.environ.update({**DEFAULTS, **os.environ})  # before rclpy creates its first context

import rclpy
from builtin_interfaces.msg import Time
from pydantic import BaseModel, ValidationError
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Header

from wm_dynamics.errors import UserError
from wm_perception.latency import Sent
from wm_perception.topics import FRAME_KEYS, UNSTAMPED_KEYS, Topic, service, topic

POLL_S = 0.1
SILENCE_S = 0.5
EXIT_USER_ERROR = 2
SENSOR_KEYS = ("image", "odometry")  # what latency is counted from
AUTOSTART = "autostart"  # of lifecycle nodes: configure and activate without being asked
ROS_PARAMETERS = ("use_sim_time", "start_type_description_service", "qos_overrides", AUTOSTART)

Model = TypeVar("Model", bound=BaseModel)


def time_message(stamp_ns: int) -> Time:
    """ns -> builtin_interfaces/Time."""
    return Time(sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000)


def header(stamp_ns: int, frame_id: str = "map") -> Header:
    """A header."""
    return Header(stamp=time_message(stamp_ns), frame_id=frame_id)


def create_node(name: str) -> Node:
    """A node whose parameters are read with :func:`parameters`."""
    return Node(name, automatically_declare_parameters_from_overrides=True)


def parameters(node: Node, model: type[Model]) -> Model:
    """The node's ROS parameters as a validated model; absent ones are declared with its defaults.

    Raises:
        UserError: an unknown parameter, or a value the model rejects.
    """
    given: dict[str, Any] = {
        name: parameter.value
        for name, parameter in node.get_parameters_by_prefix("").items()
        if name.split(".")[0] not in ROS_PARAMETERS
    }
    try:
        config = model.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        known = ", ".join(model.model_fields)
        raise UserError(
            f"{node.get_name()}: parameter {key!r}: {first['msg']} (known parameters: {known})"
        ) from None
    for key, value in config.model_dump().items():
        if key not in given and value is not None:
            node.declare_parameter(key, list(value) if isinstance(value, tuple) else value)
    return config


def publisher(node: Node, key: str | Topic, role: str, depth: int = 0):
    """A publisher for a topic, or a key of the table, which keeps ``depth`` samples if given."""
    entry = topic(key) if isinstance(key, str) else key
    return node.create_publisher(entry.message_type(), entry.name(role), entry.publisher_qos(depth))


def subscription(
    node: Node,
    key: str | Topic,
    role: str,
    callback: Callable[..., None],
    name: str = "",
    depth: int = 0,
):
    """A subscription to a topic.

    Args:
        node: the node.
        key: the topic, or its key in the table.
        role: role name of the ego vehicle.
        callback: takes the message, or the message and its info.
        name: another name than the table's, if given.
        depth: other number of samples kept than the table's, if given.
    """
    entry = topic(key) if isinstance(key, str) else key
    return node.create_subscription(
        entry.message_type(), name or entry.name(role), callback, entry.subscriber_qos(depth)
    )


def serve(node: Node, key: str, role: str, callback: Callable[[Any, Any], Any]):
    """A service of the table; ``callback`` takes request and response and returns the response."""
    entry = service(key)
    return node.create_service(entry.service_type(), entry.name(role), callback)


def steady_timer(node: Node, period_s: float, callback: Callable[[], None]):
    """A timer on wall time that simulation time cannot stop."""
    return node.create_timer(period_s, callback, clock=Clock(clock_type=ClockType.STEADY_TIME))


def sent_time_ns(info: Mapping[str, int]) -> int:
    """Wall time at which a message was sent, of the info that comes with it."""
    return info["source_timestamp"] or info["received_timestamp"]


class FrameInput:
    """Subscribes to everything a frame is made of, and hands it on so that frames come out right.

    Messages without a stamp (``topics.UNSTAMPED_KEYS``) belong to the frame they were published
    with. They are held and handed on just before the first odometry that was published after them,
    by the publisher's own time, so a listener that lags behind pairs them rightly too. Odometry
    itself is handed on one round of the executor after it was taken: what was published before it
    has been taken by then, even if it arrived while the executor was looking elsewhere.

    Attributes:
        sent: key -> when the sensors' messages of recent frames were sent.
    """

    def __init__(
        self,
        node: Node,
        role: str,
        feed: Callable[[str, Any], None],
        skip: tuple[str, ...] = (),
        names: dict[str, str] | None = None,
        depth: int = 0,
    ):
        """Subscribe.

        Args:
            node: the node.
            role: role name of the ego vehicle.
            feed: called with topic key and message.
            skip: keys that are not wanted.
            names: key -> topic name, where a source uses another.
            depth: samples kept per topic; large for a listener that nobody waits for in lockstep
                and that must see every frame.
        """
        self._feed = feed
        self.sent = {key: Sent() for key in SENSOR_KEYS}
        self._held: list[tuple[int, str, Any]] = []
        self._odometry: list[tuple[int, Any]] = []
        self._silent = True  # no odometry since the last look
        self._guard = node.create_guard_condition(self._hand_on)
        self._timer = steady_timer(node, SILENCE_S, self._look)
        self._subscriptions = [
            subscription(node, key, role, self._callback(key), (names or {}).get(key, ""), depth)
            for key in FRAME_KEYS
            if key not in skip
        ]

    def _callback(self, key: str) -> Callable[[Any, Any], None]:
        def take(message, info) -> None:
            sent_ns = sent_time_ns(info)
            if key in self.sent:
                stamp = message.header.stamp
                self.sent[key].note(stamp.sec * 1_000_000_000 + stamp.nanosec, sent_ns)
            if key == "odometry":
                self._odometry.append((sent_ns, message))
                self._guard.trigger()
            elif key in UNSTAMPED_KEYS:
                self._held.append((sent_ns, key, message))
            else:
                self._feed(key, message)

        return take

    def _hand_on(self) -> None:
        self._silent = False
        arrived, self._odometry = self._odometry, []
        for sent_ns, message in arrived:
            self._release(sent_ns)
            self._feed("odometry", message)

    def _release(self, limit_ns: float) -> None:
        """Hand on what was published until ``limit_ns``."""
        due = [item for item in self._held if item[0] <= limit_ns]
        self._held = [item for item in self._held if item[0] > limit_ns]
        for _, key, message in due:
            self._feed(key, message)

    def _look(self) -> None:
        """Without odometry nothing needs to be held: the listener shall know what there is."""
        if self._silent:
            self._release(math.inf)
        self._silent = True


def run(
    make: Callable[[], Any],
    args: list[str] | None = None,
    poll: Callable[[Any], float] | None = None,
) -> int:
    """Run a node until SIGINT or SIGTERM, quietly; a second signal changes nothing.

    Args:
        make: builds an object with a ``node`` and, if there is something to release, ``close()``;
            may raise :class:`UserError`.
        args: command line, default ``sys.argv``.
        poll: called with that object before each callback, returns the seconds that may pass until
            the next call.

    Returns:
        The exit status: 0, or 2 after a user error (its text goes to stderr).
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    status = 0
    try:
        _serve(make, stop, poll)
    except UserError as error:
        print(f"FATAL: {error}", file=sys.stderr, flush=True)
        status = EXIT_USER_ERROR
    finally:
        # A lifecycle node is in cycles with its services. Without this the middleware would still
        # be there when the process ends: others would take it for alive for 20 s, and what it has
        # locked in shared memory would stay locked.
        gc.collect()
        rclpy.try_shutdown()
        # The interpreter puts its own handlers back when it ends, unless signals are ignored: a
        # second Ctrl-C that comes as late as that would kill the process.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    return status


def _serve(
    make: Callable[[], Any], stop: threading.Event, poll: Callable[[Any], float] | None
) -> None:
    """Make the node and serve it until ``stop``; nothing refers to it afterwards."""
    owner = make()
    try:
        executor = SingleThreadedExecutor()
        executor.add_node(owner.node)
        while not stop.is_set():
            wait_s = min(POLL_S, poll(owner)) if poll else POLL_S
            executor.spin_once(timeout_sec=max(0.0, wait_s))
        executor.shutdown()
    finally:
        if hasattr(owner, "close"):
            owner.close()
        owner.node.destroy_node()


def leave(status: int) -> NoReturn:
    """End the process without the interpreter's own tear-down.

    For nodes that may have imported torch: taking its modules apart can take seconds on a busy
    machine, longer than a launcher waits after Ctrl-C, and nothing in it is needed once :func:`run`
    has returned.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
