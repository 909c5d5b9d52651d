"""Frames followed from their picture to their command, from outside."""

from __future__ import annotations

import struct

import pytest

from wm_training.latency_watch import LatencyWatch, stamp_of

MS = 1_000_000


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_stamp_of_a_serialised_message(order):
    kind = 1 if order == "<" else 0
    data = bytes([0, kind, 0, 0]) + struct.pack(f"{order}iI", 12, 500_000_000) + b"more"
    assert stamp_of(data) == 12_500_000_000


class Node:
    """Takes subscriptions."""

    def __init__(self):
        self.takers = {}

    def create_subscription(self, kind, name, callback, qos, raw):
        assert raw
        self.takers[name.rpartition("/")[2]] = callback


def test_a_watch_follows_frames_from_picture_to_command():
    node = Node()
    watch = LatencyWatch(node, "ego_vehicle")

    def send(name: str, frame: int, sent_ms: float) -> None:
        stamp = bytes([0, 1, 0, 0]) + struct.pack("<iI", frame, 0)
        info = {"source_timestamp": int(sent_ms * MS), "received_timestamp": 0}
        node.takers[name](stamp + b"rest", info)

    for frame in range(3):
        start = 100.0 * frame
        send("vehicle_control_cmd", frame, start + 3)  # the gate waited for no proposal
        send("image", frame, start)
        send("odometry", frame, start + 1)
        send("latent", frame, start + 6)
        if frame != 1:
            send("control_proposal", frame, start + 16)
        send("vehicle_control_cmd", frame, start + 17 + frame)
        send("vehicle_control_cmd", frame, start + 60)  # the same frame's, once more
    times = watch.times_ms()
    assert times["camera_to_command"] == [17.0, 19.0], "frame 1 was never answered"
    assert times["odometry_to_command"] == [16.0, 18.0]
    assert times["proposal_to_command"] == [1.0, 3.0]
    assert times["camera_to_latent"] == [6.0] * 3
    assert times["latent_to_proposal"] == [10.0] * 2
    watch.forget()
    assert not any(watch.times_ms().values())
