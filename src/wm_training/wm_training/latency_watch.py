"""Follows every frame of a drive from its picture to its command, from outside.

All messages on the way begin with a header, so they are taken as bytes and only their stamp is
read; when each was sent says the middleware, see :mod:`wm_perception.latency`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from wm_perception.latency import MS, Sent
from wm_perception.topics import topic

NS = 1_000_000_000
KEPT_FRAMES = 100_000  # of one route
# Topic -> what it is called in a report, in the order in which a frame passes them.
STAGES = {
    "image": "camera",
    "odometry": "odometry",
    "latent": "latent",
    "control_proposal": "proposal",
    "vehicle_control_cmd": "command",
}
# What is reported: from when one was sent until the other was.
SPANS = (
    ("camera", "latent"),
    ("latent", "proposal"),
    ("proposal", "command"),
    ("camera", "command"),
    ("odometry", "command"),
)
_HEADER = struct.Struct("<iI")  # seconds and nanoseconds ...
_HEADER_AT = 4  # ... behind the encapsulation of CDR
_LITTLE_ENDIAN = 1


def stamp_of(data: bytes) -> int:
    """The stamp (ns) of a serialised message that begins with a header."""
    order = _HEADER if data[1] & _LITTLE_ENDIAN else struct.Struct(">iI")
    seconds, rest = order.unpack_from(data, _HEADER_AT)
    return seconds * NS + rest


class LatencyWatch:
    """Listens to the topics between sensor and command."""

    def __init__(self, node, role: str):
        """Args: an rclpy node; role name of the ego vehicle."""
        self.forget()
        for key, stage in STAGES.items():
            entry = topic(key)
            node.create_subscription(
                entry.message_type(),
                entry.name(role),
                self._taker(stage),
                entry.subscriber_qos(),
                raw=True,
            )

    def forget(self) -> None:
        """Begin a new route."""
        self._heard: dict[str, list[tuple[int, int]]] = {stage: [] for stage in STAGES.values()}

    def _taker(self, stage: str) -> Callable:
        def take(data, info) -> None:
            stamp = stamp_of(bytes(data[: _HEADER_AT + _HEADER.size]))
            sent_ns = info["source_timestamp"] or info["received_timestamp"]
            self._heard[stage].append((stamp, sent_ns))

        return take

    def times_ms(self) -> dict[str, list[float]]:
        """``FROM_to_UNTIL`` -> ms of each frame that both are known of.

        A command that the gate sent for a frame before there was a proposal is no answer to it.
        """
        sent = {stage: Sent(KEPT_FRAMES) for stage in self._heard}
        for stage, messages in self._heard.items():
            for stamp, sent_ns in messages:
                proposed = sent["proposal"].of(stamp) if stage == "command" else 0
                if proposed is not None and sent_ns >= proposed:
                    sent[stage].note(stamp, sent_ns)
        found: dict[str, list[float]] = {}
        for since, until in SPANS:
            stamps = dict.fromkeys(stamp for stamp, _ in self._heard[until])
            pairs = [(sent[since].of(stamp), sent[until].of(stamp)) for stamp in stamps]
            found[f"{since}_to_{until}"] = [
                (end - begin) * MS for begin, end in pairs if begin is not None and end is not None
            ]
        return found
