"""A whole graph, and RViz' layout held against it: what nobody watches is not drawn, and all that
the layout shows is there, with its type and QoS, in frames that hang together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

pytest.importorskip("rclpy", reason="needs ROS 2 (pip install . brings it)")

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import (
    DurabilityPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)

from wm_dynamics.checkpoint import save_checkpoint
from wm_dynamics.config import SIZES
from wm_dynamics.model import WorldModel
from wm_perception.node_tools import subscription
from wm_perception.topics import DEFAULT_ROLE, TOPICS, topic
from wm_planner.launcher import Launcher
from wm_planner.node_table import drive_options, node_table
from wm_planner.node_topics import NODE_TOPICS
from wm_planner.paths import shared_dir
from wm_planner.process import node_environment

pytestmark = [pytest.mark.ros, pytest.mark.camera]

PATIENCE_S = 240.0
IDLE_FRAMES = 20  # driven before anybody watches
LIDAR_TYPE = "sensor_msgs/msg/PointCloud2"
COUNTERS = ("wm_perception: shown", "wm_planner: shown", "wm_overlay: drawn",
            "wm_imagination: drawn")  # fmt: skip


def displays(group: dict) -> Iterator[dict]:
    for display in group.get("Displays", []):
        if "Topic" in display:
            yield display
        yield from displays(display)


def layout() -> list[dict]:
    text = (shared_dir("config") / "carla_drive.rviz").read_text()
    return list(displays(yaml.safe_load(text)["Visualization Manager"]))


def quality(display: dict) -> QoSProfile:
    """The QoS with which RViz would subscribe."""
    said = display["Topic"]
    latched = said["Durability Policy"] == "Transient Local"
    reliable = said["Reliability Policy"] == "Reliable"
    return QoSProfile(
        depth=said["Depth"],
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
    )


class Watcher:
    """Somebody on the graph, in a context of its own."""

    def __init__(self, domain_id: int, check: Callable[[], None]):
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self.node = rclpy.create_node("rviz", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._check = check
        self.plans = 0
        self.values: dict[str, dict[str, str]] = {}
        subscription(self.node, "plan_statistics", DEFAULT_ROLE, self._on_plan)
        subscription(self.node, "diagnostics", DEFAULT_ROLE, self._on_diagnostics, depth=100)

    def _on_plan(self, _) -> None:
        self.plans += 1

    def _on_diagnostics(self, message) -> None:
        for status in message.status:
            self.values[status.name] = {value.key: value.value for value in status.values}

    def until(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not condition():
            self._check()
            assert time.monotonic() < end, f"waited in vain for {what}"
            self._executor.spin_once(timeout_sec=0.05)

    @property
    def counts(self) -> dict[str, int]:
        """What was built so far, by the last reports."""
        return {
            f"{name} {key}": int(number)
            for name in COUNTERS
            for key, number in self.values.get(name, {}).items()
            if number.isdigit()
        }

    def counted(self) -> dict[str, int]:
        """What was built so far, by reports that come after this call."""
        self.values = {}
        self.until(lambda: all(name in self.values for name in COUNTERS), "reports")
        return self.counts

    def topics_of(self, name: str) -> tuple[set[str], set[str]]:
        """Keys of the table's topics that a node publishes and reads now."""
        ends = (
            self.node.get_publisher_names_and_types_by_node(name, "/"),
            self.node.get_subscriber_names_and_types_by_node(name, "/"),
        )
        published, read = ({topic_name for topic_name, _ in end} for end in ends)
        keys = {entry.name(): entry.key for entry in TOPICS}
        return {keys[n] for n in published & set(keys)}, {keys[n] for n in read & set(keys)}

    def drive(self) -> None:
        """Let some plans pass."""
        plans = self.plans
        self.until(lambda: self.plans >= plans + IDLE_FRAMES, "plans")

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)


@pytest.fixture
def watcher(ros_domain, tmp_path: Path) -> Iterator[Watcher]:
    """On a graph that drives with an untrained model, as ``rviz:=true`` starts it."""
    save_checkpoint(WorldModel.untrained(SIZES["tiny"], seed=0), tmp_path / "model")
    options = drive_options({"town": "tiny", "traffic": 3, "rviz": True})
    specs = [s for s in node_table(options, tmp_path / "model") if s.key != "rviz"]
    environment = {**node_environment(tmp_path / "log"), "ROS_DOMAIN_ID": str(ros_domain.id)}
    with Launcher(specs, tmp_path, environment) as launcher:
        launcher.start()
        found = Watcher(ros_domain.id, launcher.check)
        yield found
        found.close()


def test_the_layout_against_the_running_graph(watcher: Watcher):
    watcher.drive()
    idle = watcher.counted()
    assert len(idle) >= 10 and set(idle.values()) == {0}, "nobody watches: nothing is built"
    for name in ("wm_overlay", "wm_imagination"):
        assert watcher.values[f"{name}: drawn"]["inputs"] == "none"
    assert watcher.values["wm_imagination: drawn"]["model loaded"] == "False"

    types = {entry.name(): entry for entry in TOPICS}
    heard: dict[str, str] = {}  # topic -> frame
    frames: dict[str, str] = {}  # child -> parent
    subscription(
        watcher.node,
        "tf",
        DEFAULT_ROLE,
        lambda m: frames.update({t.child_frame_id: t.header.frame_id for t in m.transforms}),
    )
    watching = []
    for display in layout():
        name, profile = display["Topic"]["Value"], quality(display)
        (offered,) = watcher.node.get_publishers_info_by_topic(name)
        assert offered.topic_type.endswith(f"/{display['Class'].split('/')[1]}"), name
        fits, why = qos_check_compatible(offered.qos_profile, profile)
        assert fits != QoSCompatibility.ERROR, f"{name}: {why}"
        if name in types:
            kind = types[name].message_type()
        else:
            assert offered.topic_type == LIDAR_TYPE
            kind = type_of(LIDAR_TYPE)

        def note(message, name=name) -> None:
            heard[name] = frame_of(message)

        watching.append(watcher.node.create_subscription(kind, name, note, profile))
    wanted = {display["Topic"]["Value"] for display in layout()}
    watcher.until(lambda: wanted <= set(heard), f"{wanted - set(heard)}")

    for name, frame in heard.items():
        while frame != "map":
            assert frame in frames, f"{name} is in {frame}, which no transform leads from"
            frame = frames[frame]

    watcher.until(lambda: all(watcher.counts.values()), "reports that all was built")
    for name, said in NODE_TOPICS.items():
        assert watcher.topics_of(name) == (set(said.publishes), set(said.reads)), name
    for entity in watching:
        watcher.node.destroy_subscription(entity)
    watcher.until(
        lambda: all(
            watcher.values.get(f"{n}: drawn", {}).get("inputs") == "none"
            for n in ("wm_overlay", "wm_imagination")
        ),
        "the nodes to let go of their inputs",
    )
    watcher.drive()  # what was on its way has arrived
    before = watcher.counted()
    watcher.drive()
    assert watcher.counted() == before, "nobody watches any more: nothing is built"


def type_of(name: str) -> type:
    package, _, kind = name.split("/")
    return getattr(__import__(f"{package}.msg", fromlist=[kind]), kind)


def frame_of(message) -> str:
    """The frame of a message, or the one that all its markers share."""
    if hasattr(message, "markers"):
        (frame,) = {marker.header.frame_id for marker in message.markers}
        return frame
    return message.header.frame_id


def test_every_namespace_of_the_layout_is_drawn_by_somebody():
    shown = {n for display in layout() for n in display.get("Namespaces", {})}
    root = Path(__file__).resolve().parents[2] / "src/wm_planner/wm_planner"
    code = "".join((root / f).read_text() for f in ("markers.py", "overlay.py", "map_markers.py"))
    assert shown and not [name for name in shown if f'"{name}"' not in code]
    assert topic("map_markers").latched
