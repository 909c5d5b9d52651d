"""Whether the topics of a node are as they must be before it may act.

A topic can be there and still carry nothing: discovered but not matched, offered with a QoS or a
type that does not fit, or written by two nodes at once. Each is said in words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, qos_check_compatible
from rclpy.topic_endpoint_info import TopicEndpointInfo, TopicEndpointTypeEnum

from wm_perception.topics import topic


@dataclass(frozen=True)
class Essential:
    """Topics (keys of ``wm_perception.topics``) without which a node must not act.

    Attributes:
        inputs: exactly one other node publishes each, and it is matched.
        outputs: nobody else publishes them, and everyone who reads them is matched, at least one.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def problems(node: Node, essential: Essential, role: str, acting: bool = False) -> list[str]:
    """What keeps a node from acting; empty when nothing does.

    Args:
        node: whose publishers and subscriptions the topics are.
        essential: the topics.
        role: role name of the ego vehicle.
        acting: it already acts: who is just being matched, or has gone, is no problem of its own
            (silence has its own remedies), a second publisher or a QoS that does not fit is.
    """
    found = [_twin(node)]
    for key in essential.inputs:
        name = node.resolve_topic_name(topic(key).name(role))
        writers = node.get_publishers_info_by_topic(name)
        readers = [e for e in node.get_subscriptions_info_by_topic(name) if _is_of(e, node)]
        found += [_second(name, writers), *_misfits(name, writers, readers)]
        matched = sum(s.get_publisher_count() for s in node.subscriptions if s.topic_name == name)
        if not acting:
            found.append(_unmatched(name, "publishes", writers, matched))
    for key in essential.outputs:
        name = node.resolve_topic_name(topic(key).name(role))
        writers = node.get_publishers_info_by_topic(name)
        readers = node.get_subscriptions_info_by_topic(name)
        own = [e for e in writers if _is_of(e, node)]
        found += [_second(name, writers), *_misfits(name, readers, own)]
        matched = sum(p.get_subscription_count() for p in node.publishers if p.topic_name == name)
        if not acting:
            found.append(_unmatched(name, "reads", readers, matched))
    return [text for text in found if text]


def _is_of(endpoint: TopicEndpointInfo, node: Node) -> bool:
    return (endpoint.node_name, endpoint.node_namespace) == (
        node.get_name(),
        node.get_namespace(),
    )


def _names(endpoints: Iterable[TopicEndpointInfo]) -> str:
    return ", ".join(sorted(endpoint.node_name for endpoint in endpoints))


def _twin(node: Node) -> str:
    name = (node.get_name(), node.get_namespace())
    count = node.get_node_names_and_namespaces().count(name)
    if count < 2:
        return ""
    return (
        f"{count} nodes are called {node.get_fully_qualified_name()}: end the others (one that was "
        "killed is forgotten after 20 s), or choose another ROS_DOMAIN_ID"
    )


def _second(name: str, writers: list[TopicEndpointInfo]) -> str:
    if len(writers) < 2:
        return ""
    return f"{len(writers)} nodes publish {name}: {_names(writers)}; end all but one"


def _unmatched(name: str, does: str, there: list[TopicEndpointInfo], matched: int) -> str:
    if not there:
        return f"nobody {does} {name}"
    if matched < len(there):
        return f"{name} is connected to {matched} of {len(there)}: {_names(there)}"
    return ""


def _misfits(
    name: str, others: list[TopicEndpointInfo], own: list[TopicEndpointInfo]
) -> Iterable[str]:
    """What of others can never be matched with ours, and why."""
    for other in others:
        for ours in own:
            if other.topic_type != ours.topic_type:
                yield (
                    f"{other.node_name} uses {name} as {other.topic_type}, "
                    f"{ours.node_name} as {ours.topic_type}"
                )
                continue
            pair = (other, ours)
            if other.endpoint_type != TopicEndpointTypeEnum.PUBLISHER:
                pair = (ours, other)
            fits, why = qos_check_compatible(pair[0].qos_profile, pair[1].qos_profile)
            if fits == QoSCompatibility.ERROR:
                yield f"the QoS of {other.node_name} on {name} does not fit: {why.rstrip('; ')}"
