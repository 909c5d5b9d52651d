"""What a planner has been doing of late: its last proposal, and what was wrong with some."""

from __future__ import annotations

import math

from wm_planner.gate_config import LimitsConfig
from wm_planner.gate_events import Proposal
from wm_planner.gate_frames import STAMP_TOLERANCE_NS
from wm_planner.gate_rules import RecentCount, Rule


class History:
    """The last proposal that was judged, and counts over the last second of frames."""

    def __init__(self, limits: LimitsConfig):
        self._stops = limits.persistent_stops
        self._last: Proposal | None = None
        self._clamps = RecentCount("persistent_clamping", limits.persistent_count)
        self._conflicts = RecentCount("conflicting_proposals", limits.persistent_count)

    def silence_s(self, wall_s: float) -> float:
        """Time since the last proposal was judged; infinite before the first."""
        return math.inf if self._last is None else wall_s - self._last.wall_s

    def is_repeated(self, proposal: Proposal) -> bool:
        """Whether its frame has one already. If it says something else, there are two planners."""
        last = self._last
        if last is None or proposal.stamp_ns > last.stamp_ns + STAMP_TOLERANCE_NS:
            return False
        same_frame = proposal.stamp_ns >= last.stamp_ns - STAMP_TOLERANCE_NS
        differs = (proposal.steer, proposal.accel) != (last.steer, last.accel)
        self._conflicts.add(last.stamp_ns, same_frame and differs)
        return True

    def judged(self, proposal: Proposal) -> None:
        """A proposal for a new frame."""
        self._last = proposal
        self._conflicts.add(proposal.stamp_ns, False)

    def limited(self, stamp_ns: int, clamped: bool) -> None:
        """It passed the limits, or was clamped by them."""
        self._clamps.add(stamp_ns, clamped)

    @property
    def problem(self) -> str:
        """What has gone on for too long to drive on, empty when nothing has."""
        if not self._stops:
            return ""
        if self._conflicts.rule.tripped:
            return "proposals contradict each other: is there a second planner?"
        return "proposals keep exceeding the limits" if self._clamps.rule.tripped else ""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The counts."""
        return self._clamps.rule, self._conflicts.rule
