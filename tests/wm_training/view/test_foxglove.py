"""Foxglove's protocol as a client of it sees the graph; and the layout that ships."""

from __future__ import annotations

import asyncio
import json
import re
import struct

import aiohttp
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (pip install . brings it)")

from watcher import PATIENCE_S, running_view

from wm_perception.node_tools import create_node, publisher
from wm_perception.topics import TOPICS, topic
from wm_planner.paths import shared_dir

ROLE = "ego_vehicle"
SUBPROTOCOL = "foxglove.sdk.v1"
MESSAGE = 1  # opcode of binary frames: subscription id, receive time, payload


def layout() -> dict:
    return json.loads((shared_dir("config") / "foxglove.json").read_text())


def quoted_topics() -> set[str]:
    return set(re.findall(r'"(/[\w/]+)(?:\.\w+)*"', json.dumps(layout())))


def test_the_layout_shows_topics_that_exist():
    known = {entry.name(ROLE) for entry in TOPICS}
    assert len(quoted_topics()) > 8
    assert not quoted_topics() - known


def test_the_layout_places_every_panel_once():
    def leaves(place) -> list[str]:
        if isinstance(place, str):
            return [place]
        return leaves(place["first"]) + leaves(place["second"])

    assert sorted(leaves(layout()["layout"])) == sorted(layout()["configById"])


@pytest.mark.ros
def test_topics_are_announced_and_passed_on_when_asked_for(ros_domain):
    pytest.importorskip("foxglove", reason="needs the extra foxglove (foxglove-sdk)")
    import rclpy

    with rclpy.init(domain_id=ros_domain.id), running_view("--foxglove") as address:
        node = create_node("talker")
        speeds = publisher(node, "speedometer", ROLE)
        try:
            asyncio.run(asyncio.wait_for(_converse(address, speeds), PATIENCE_S))
        finally:
            node.destroy_node()


async def _converse(address: str, speeds) -> None:
    name = topic("speedometer").name(ROLE)
    session = aiohttp.ClientSession()
    async with session, session.ws_connect(address, protocols=(SUBPROTOCOL,)) as socket:
        channels: dict[str, dict] = {}
        while not quoted_topics() <= channels.keys():
            said = await socket.receive()
            if said.type == aiohttp.WSMsgType.TEXT:
                answer = json.loads(said.data)
                channels |= {c["topic"]: c for c in answer.get("channels", ())}
        wanted = channels[name]
        assert (wanted["encoding"], wanted["schemaEncoding"]) == ("cdr", "ros2msg")
        assert wanted["schema"].strip() == "float32 data"
        assert speeds.get_subscription_count() == 0, "nobody shows it yet"
        subscription = {"id": 7, "channelId": wanted["id"]}
        await socket.send_json({"op": "subscribe", "subscriptions": [subscription]})
        payload = await _hear(socket, speeds)
        assert struct.unpack("<f", payload[-4:]) == (12.5,)
        await socket.send_json({"op": "unsubscribe", "subscriptionIds": [7]})
        while speeds.get_subscription_count():
            await asyncio.sleep(0.05)


async def _hear(socket, speeds) -> bytes:
    """The first message of subscription 7, which is published until it comes."""
    message = speeds.msg_type(data=12.5)
    while True:
        speeds.publish(message)
        try:
            said = await socket.receive(0.2)
        except asyncio.TimeoutError:
            continue
        if said.type == aiohttp.WSMsgType.BINARY and said.data[0] == MESSAGE:
            assert struct.unpack_from("<I", said.data, 1) == (7,)
            return said.data[13:]
