"""The bridge against the table of what carla-ros-bridge offers, over DDS, with CARLA's own rig."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import ModuleType

import contract_facts_ego
import contract_facts_sensors
import contract_facts_services
import contract_facts_world
import numpy as np
import pytest
from bridge_process import running_bridge
from contract_client import Client
from contract_recording import Recording, planar
from contract_session import Session
from contract_table import PUBLISHED, ROWS, SECTIONS, SERVICES, SUBSCRIBED, Row
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from sensor_msgs.msg import PointField

from wm_perception import topics
from wm_perception.sensor_topics import SENSOR_TOPICS, sensor_topics

pytestmark = [pytest.mark.ros, pytest.mark.camera]

ROLE = "hero"
WARM_UP_FRAMES = 3  # of a phase: steering and body need them


def functions(module: ModuleType) -> dict[str, Callable[[Recording, Row], None]]:
    """The facts in a module: what takes a recording and a row."""
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isfunction(value)
        and list(inspect.signature(value).parameters) == ["record", "row"]
    }


FACTS = {
    **functions(contract_facts_world),
    **functions(contract_facts_ego),
    **functions(contract_facts_sensors),
    **functions(contract_facts_services),
}


@pytest.fixture(scope="module")
def record(module_ros_domain) -> Iterator[Recording]:
    """Everything that one bridge said during one drive."""
    with running_bridge(module_ros_domain.env, ROLE):
        client = Client(module_ros_domain.id, ROLE)
        try:
            yield Session(client, ROLE).play()
        finally:
            client.close()


# The table itself.


def test_every_row_is_checked_or_an_exception():
    used = set()
    for row in ROWS:
        assert row.section in SECTIONS
        if row.exception:
            assert len(row.exception) > 20, f"{row.name} needs a reason"
            continue
        endpoint = row.direction in ("publish", "subscribe", "service")
        assert endpoint != (row.direction == "fact")
        assert bool(row.type) == endpoint, row.name
        assert row.direction == "publish" or row.facts, f"nothing checks what {row.name} does"
        assert set(row.facts) <= set(FACTS), row.name
        used |= set(row.facts)
    assert used == set(FACTS), "every fact belongs to a row"


def test_every_endpoint_of_the_code_has_a_row():
    offered = {row.topic(ROLE) for row in ROWS if row.offered}
    for entry in topics.TOPICS:
        own = entry.template.startswith("/wm_sim/") or entry.key == "ackermann_control_cmd"
        if entry.publisher in ("source", "user") and not own:
            assert entry.name(ROLE) in offered, entry.key
    for service in topics.SERVICES:
        assert service.name(ROLE) in offered or service.name().startswith("/wm_sim/")
    kinds = {row.type for row in ROWS if row.section == "sensors" and row.offered}
    for endpoints in SENSOR_TOPICS.values():
        assert {type_name for _, type_name in endpoints} <= kinds


# Names, types and quality of service.


def named(rows: list[Row]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", rows, ids=[row.name for row in rows])


def depth_in_code(row: Row) -> int:
    """Depth is no part of discovery; what the publisher is made from says it."""
    key = topics.key_of(row.topic(ROLE), ROLE)
    if key is not None:
        return topics.topic(key).depth
    sensor = row.topic(ROLE).split("/")[3]
    kinds = [k for k, found in SENSOR_TOPICS.items() if row.type in {t for _, t in found}]
    known = sensor_topics(kinds[0], sensor).by_suffix.values()
    return next(t.depth for t in known if t.type_name == row.type)


@named(PUBLISHED + SUBSCRIBED)
def test_name_type_and_qos(record: Recording, row: Row):
    node, name = record.client.node, row.topic(ROLE)
    if row.direction == "publish":
        found = node.get_publishers_info_by_topic(name)
    else:
        found = node.get_subscriptions_info_by_topic(name)
    (info,) = [i for i in found if i.node_name == "carla_ros_bridge"]
    assert info.topic_type == row.type
    assert info.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    latched = info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert latched == row.latched
    assert depth_in_code(row) == row.depth


@named(SERVICES)
def test_service(record: Recording, row: Row):
    services = dict(record.client.node.get_service_names_and_types())
    assert services[row.topic(ROLE)] == [row.type]


# Contents.


@named([row for row in PUBLISHED if row.frame_id])
def test_frame_id(record: Recording, row: Row):
    messages = record.messages(row.name)
    assert messages, f"{row.name} said nothing"
    assert {m.header.frame_id for m in messages} == {row.frame_id.replace("ROLE", ROLE)}


@named([row for row in PUBLISHED if row.encoding])
def test_encoding(record: Recording, row: Row):
    for message in record.messages(row.name):
        assert (message.encoding, message.is_bigendian) == (row.encoding, 0)
        assert message.step == row.step_per_pixel * message.width
        assert len(message.data) == message.step * message.height > 0


@named([row for row in PUBLISHED if row.fields])
def test_fields(record: Recording, row: Row):
    messages = record.messages(row.name)
    assert messages
    for message in messages:
        layout = [[f.name, f.offset, f.datatype, f.count] for f in message.fields]
        assert layout == [[n, o, getattr(PointField, kind), 1] for n, o, kind in row.fields]
        assert (message.height, message.point_step) == (1, row.point_step)
        assert message.row_step == message.point_step * message.width == len(message.data)
        assert not message.is_bigendian


def quantity(record: Recording, row: Row, phase: str, name: str) -> float:
    """A field, or a derived quantity, late in a phase."""
    messages = record.messages(row.name, phase)[WARM_UP_FRAMES:]
    if name.startswith("@"):
        return DERIVED[name](record, messages, phase)
    values = []
    for message in messages:
        value = message
        for part in name.split("."):
            value = getattr(value, part)
        values.append(value)
    return float(np.mean(values))


def _accel(messages, axis: int) -> float:
    """Mean acceleration in body axes of a message that has it in map axes."""
    found = []
    for m in messages:
        yaw, a = 2 * math.atan2(m.orientation.z, m.orientation.w), m.acceleration.linear
        along = a.x * math.cos(yaw) + a.y * math.sin(yaw)
        found.append((along, -a.x * math.sin(yaw) + a.y * math.cos(yaw))[axis])
    return float(np.mean(found))


def _lateral(record: Recording, messages, phase: str) -> float:
    """How far the ego moved to the left of where it headed when the phase began to show."""
    x0, y0, yaw = planar(messages[0].pose.pose)
    x1, y1, _ = planar(messages[-1].pose.pose)
    return -(x1 - x0) * math.sin(yaw) + (y1 - y0) * math.cos(yaw)


def _yaw(record: Recording, messages, phase: str) -> float:
    yaws = [planar(m.pose.pose)[2] for m in messages]
    return sum(math.remainder(b - a, 2 * math.pi) for a, b in pairwise(yaws))


def _radar_velocity(record: Recording, messages, phase: str) -> float:
    """Median over what stands; what comes closer has a negative one."""
    return float(
        np.median(np.concatenate([contract_facts_sensors.points(m)["Velocity"] for m in messages]))
    )


DERIVED = {
    "@forward_accel": lambda record, messages, phase: _accel(messages, 0),
    "@left_accel": lambda record, messages, phase: _accel(messages, 1),
    "@lateral": _lateral,
    "@yaw": _yaw,
    "@radar_velocity": _radar_velocity,
    "@slower": lambda record, messages, phase: messages[0].data - messages[-1].data,
}
SIGNS = [
    pytest.param(row, phase, name, sign, id=f"{row.name}-{phase}-{name}")
    for row in PUBLISHED
    for phase, expected in row.signs.items()
    for name, sign in expected.items()
]


@pytest.mark.parametrize(("row", "phase", "name", "sign"), SIGNS)
def test_sign(record: Recording, row: Row, phase: str, name: str, sign: str):
    value = quantity(record, row, phase, name)
    assert abs(value) > 1e-3
    assert (value > 0) == (sign == "+"), f"{name} is {value:.3f} while {phase}"


@pytest.mark.parametrize(
    ("row", "fact"),
    [pytest.param(row, fact, id=f"{row.name}-{fact}") for row in ROWS for fact in row.facts],
)
def test_fact(record: Recording, row: Row, fact: str):
    FACTS[fact](record, row)
