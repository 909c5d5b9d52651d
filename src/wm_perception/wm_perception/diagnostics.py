"""Diagnostics of a node: on /diagnostics, and in the log when something is new."""

from __future__ import annotations

import time
from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from wm_perception.node_tools import publisher

REPEAT_S = 5.0
# Kinds of trouble that are not worth a warning: a new episode always jumps.
EXPECTED = ("jump", "held")


class DiagnosticsPublisher:
    """Collects the statuses of one report and sends them."""

    def __init__(self, node, prefix: str, role: str):
        """Args: node; prefix: the node's name in status names; role: hardware id, may change."""
        self._node, self._prefix, self.role = node, prefix, role
        self._publisher = publisher(node, "diagnostics", role)
        self._statuses: list[DiagnosticStatus] = []
        self._counts: dict[str, dict[str, int]] = {}
        self._logged: dict[str, float] = {}

    def add(
        self,
        name: str,
        errors: list[str],
        counts: Mapping[str, int] | None = None,
        texts: Mapping[str, str] | None = None,
        values: Mapping[str, object] | None = None,
        log: bool = True,
    ) -> None:
        """One status: ERROR with ``errors``, WARN when a count rose since the last report.

        Args:
            name: of the part.
            errors: what is wrong right now.
            counts: kind of problem -> count since the start.
            texts: kind -> latest text.
            values: figures to show that are no problems.
            log: what is wrong goes to the node's log too.
        """
        counts, texts = dict(counts or {}), texts or {}
        before = self._counts.get(name, {})
        self._counts[name] = counts
        risen = [k for k, n in counts.items() if n > before.get(k, 0) and k not in EXPECTED]
        warnings = [f"{k} x{counts[k] - before.get(k, 0)}: {texts.get(k, k)}" for k in risen]
        level = DiagnosticStatus.OK
        if warnings:
            level = DiagnosticStatus.WARN
        if errors:
            level = DiagnosticStatus.ERROR
        self._statuses.append(
            DiagnosticStatus(
                level=level,
                name=f"{self._prefix}: {name}",
                message="; ".join(errors + warnings) or "ok",
                hardware_id=self.role,
                values=[
                    KeyValue(key=k, value=str(n))
                    for k, n in sorted({**counts, **(values or {})}.items())
                ],
            )
        )
        for text in (errors or warnings) if log else []:
            self._warn(text)

    def _warn(self, text: str) -> None:
        """Log a text once per few seconds; digits do not make it another text."""
        key = "".join(c for c in text if not c.isdigit())
        now = time.monotonic()
        if now - self._logged.get(key, -REPEAT_S) >= REPEAT_S:
            self._logged[key] = now
            self._node.get_logger().warning(text)

    def send(self) -> None:
        """Publish what was added since the last time."""
        message = DiagnosticArray(status=self._statuses)
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)
        self._statuses = []
