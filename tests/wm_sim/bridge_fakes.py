"""What the bridge's parts are tested with: publishers that keep what is sent, and a fake source."""

from __future__ import annotations

import fake_source as fake

__all__ = ["FakeOutputs", "fake"]


class FakeOutputs:
    """Stands where :class:`wm_sim.bridge_outputs.Outputs` stands; everything is wanted."""

    def __init__(self):
        self.entries, self.sent = {}, []
        self.unwanted: set[str] = set()

    def add(self, entry) -> None:
        self.entries[entry.key] = entry

    def remove(self, key: str) -> None:
        del self.entries[key]

    def __contains__(self, entry) -> bool:
        return any(entry.name() == other.name() for other in self.entries.values())

    def publish(self, key: str, message) -> None:
        self.sent.append((key, message))

    def wanted(self, key: str) -> bool:
        return key in self.entries and key not in self.unwanted

    def last(self, key: str):
        return next(message for k, message in reversed(self.sent) if k == key)
