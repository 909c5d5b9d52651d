"""ROS node: records topics, serialised as they come, into a rosbag2 directory."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from wm_dynamics.errors import UserError
from wm_perception.diagnostics import DiagnosticsPublisher
from wm_perception.node_tools import create_node, parameters, run, steady_timer
from wm_perception.topics import RECORDED_KEYS, Topic, key_of, topic
from wm_training.bag_writer import FLUSH_S, BagWriter

# Deeper than any publisher's history: the recorder may stall on the disk without losing samples.
DEPTH = 500
SURVEY_S = 1.0


class RecorderConfig(BaseModel):
    """Parameters of ``recorder_node``; unknown ones are errors.

    Attributes:
        output: bag directory to create.
        role_name: role name of the ego vehicle.
        topics: topic names to record; empty for everything the stack reads, and the command.
        extra_topics: topic names beside these.
        images: record the front camera too.
        flush_s: seconds of data that a killed recorder may lose.
    """

    model_config = ConfigDict(extra="forbid")

    output: str = Field(min_length=1)
    role_name: str = Field("ego_vehicle", min_length=1)
    topics: tuple[str, ...] = ()
    extra_topics: tuple[str, ...] = ()
    images: bool = False
    flush_s: float = Field(FLUSH_S, gt=0)


def chosen_topics(config: RecorderConfig) -> list[str]:
    """Names of the topics to record, in subscription order."""
    keys = [k for k in RECORDED_KEYS if k != "image" or config.images]
    names = list(config.topics) or [topic(key).name(config.role_name) for key in keys]
    if config.images and config.topics:
        names.append(topic("image").name(config.role_name))
    if config.images:
        names.append(topic("camera_info").name(config.role_name))
    return list(dict.fromkeys([*names, *config.extra_topics]))


@dataclass
class Recorded:
    """A topic being recorded: its table entry and the subscription with the QoS it has now."""

    entry: Topic
    reliable: bool
    latched: bool
    subscription: Any = None


class RecorderNode:
    """A bag writer behind subscriptions that adapt to what publishers offer."""

    def __init__(self):
        self.node = create_node("wm_recorder")
        config = parameters(self.node, RecorderConfig)
        self._log = self.node.get_logger()
        self._role = config.role_name
        self._waiting = []
        self._recorded: dict[str, Recorded] = {}
        names = chosen_topics(config)
        self._writer = BagWriter(config.output, config.flush_s)
        for name in names:
            key = key_of(name, config.role_name)
            if key is None:
                self._waiting.append(name)  # its type is known once somebody publishes it
            else:
                entry = topic(key)
                self._record(name, entry, not entry.best_effort, entry.latched)
        self._diagnostics = DiagnosticsPublisher(self.node, "wm_recorder", config.role_name)
        steady_timer(self.node, SURVEY_S, self._survey)
        self._log.info(f"recording {len(names)} topics to {config.output}")

    def _record(self, name: str, entry: Topic, reliable: bool, latched: bool) -> None:
        """Subscribe, or subscribe again with another QoS."""
        previous = self._recorded.get(name)
        if previous is None:
            self._writer.add_topic(name, entry.type_name, entry.depth, entry.latched)
        else:
            self.node.destroy_subscription(previous.subscription)
        profile = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )

        def write(raw: bytes, info: dict) -> None:
            # The publisher's time orders messages as they were sent, however late they are taken.
            stamp_ns = info["source_timestamp"] or info["received_timestamp"]
            self._writer.write(name, stamp_ns, raw)

        created = self.node.create_subscription(
            entry.message_type(), name, write, profile, raw=True
        )
        self._recorded[name] = Recorded(entry, reliable, latched, created)

    def _survey(self) -> None:
        """Find late topics, follow the publishers' QoS, report."""
        types = dict(self.node.get_topic_names_and_types()) if self._waiting else {}
        for name in [n for n in self._waiting if n in types]:
            self._waiting.remove(name)
            entry = Topic(name, name, types[name][0])
            try:
                self._record(name, entry, *self._offered(name, True, False))
            except (ImportError, AttributeError, UserError) as error:
                self._log.error(f"{name} is not recorded: {error}")
        for name, recorded in list(self._recorded.items()):
            reliable, latched = self._offered(name, recorded.reliable, recorded.latched)
            if (reliable, latched) != (recorded.reliable, recorded.latched):
                self._record(name, recorded.entry, reliable, latched)
        self._writer.flush()
        silent = [f"no publisher of {name} yet" for name in self._waiting]
        self._diagnostics.add("messages", silent, values=self._writer.counts)
        self._diagnostics.send()

    def _offered(self, name: str, reliable: bool, latched: bool) -> tuple[bool, bool]:
        """The strongest QoS that every publisher of a topic offers; as it was without any."""
        profiles = [i.qos_profile for i in self.node.get_publishers_info_by_topic(name)]
        if not profiles:
            return reliable, latched
        return (
            all(p.reliability == ReliabilityPolicy.RELIABLE for p in profiles),
            all(p.durability == DurabilityPolicy.TRANSIENT_LOCAL for p in profiles),
        )

    def close(self) -> None:
        """Finish the bag and say what is in it."""
        self._writer.close()
        total = sum(self._writer.counts.values())
        self._log.info(f"recorded {total} messages on {len(self._writer.counts)} topics")


def main(args: list[str] | None = None) -> int:
    """Entry point of ``recorder_node``."""
    return run(RecorderNode, args)


if __name__ == "__main__":
    sys.exit(main())
