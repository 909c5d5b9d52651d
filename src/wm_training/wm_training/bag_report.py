"""What a recording held, what of it was used, and why the rest was not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

IGNORED = "not_needed"


@dataclass
class TopicCount:
    """Messages of one topic.

    Attributes:
        type_name: ``package/msg/Type``.
        messages: as many were recorded.
        dropped: reason -> messages that nothing was made of.
    """

    type_name: str
    messages: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    @property
    def used(self) -> int:
        """Messages that were used."""
        return max(0, self.messages - self.dropped.total())


@dataclass
class BagReport:
    """The account of one recording.

    Attributes:
        path: the recording.
        role: role name of the vehicle.
        clock: ``lockstep`` (the parts of a frame share a stamp) or ``interpolated``.
        frame_dt: seconds between frames, 0 when there are none.
        jitter_s: the 95th percentile of how far steps between frames are from that.
        topics: topic name -> count.
        recording: what was wrong with the file: ``torn``, ``damaged_chunk`` ...
        frames: complete frames.
        interpolated: of these, frames with an interpolated state.
        dropped: reason -> complete frames that are in no episode.
        used: frames in episodes.
        episodes: number of these.
        without_picture: camera -> used or dropped frames that no picture was near enough for.
        texts: kind of problem -> the latest one in words.
        error: why nothing could be made of the recording, empty otherwise.
        seconds: time it took.
    """

    path: Path
    role: str = ""
    clock: str = ""
    frame_dt: float = 0.0
    jitter_s: float = 0.0
    topics: dict[str, TopicCount] = field(default_factory=dict)
    recording: Counter[str] = field(default_factory=Counter)
    frames: int = 0
    interpolated: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    used: int = 0
    episodes: int = 0
    without_picture: dict[str, int] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    error: str = ""
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The account as numbers and texts."""
        return {
            "path": str(self.path),
            "role": self.role,
            "clock": self.clock,
            "frame_dt": self.frame_dt,
            "jitter_s": self.jitter_s,
            "topics": {
                name: {
                    "type": count.type_name,
                    "messages": count.messages,
                    "used": count.used,
                    "dropped": dict(sorted(count.dropped.items())),
                }
                for name, count in sorted(self.topics.items())
            },
            "recording": dict(self.recording),
            "frames": {
                "complete": self.frames,
                "interpolated": self.interpolated,
                "used": self.used,
                "dropped": dict(sorted(self.dropped.items())),
                "without_picture": self.without_picture,
            },
            "episodes": self.episodes,
            "texts": self.texts,
            "error": self.error,
            "seconds": self.seconds,
            "frames_per_s": self.frames / self.seconds if self.seconds else 0.0,
        }

    def show(self, console: Console) -> None:
        """Print the account as a table and a few lines; what was ignored is summed up."""
        table = Table("topic", "messages", "used", "dropped, and why", title=str(self.path))
        ignored = [c for c in self.topics.values() if c.dropped[IGNORED] == c.messages]
        for name, count in sorted(self.topics.items()):
            if count not in ignored:
                table.add_row(name, str(count.messages), str(count.used), listed(count.dropped))
        if ignored:
            messages = sum(count.messages for count in ignored)
            table.add_row(f"other topics: {len(ignored)}", str(messages), "0", "not needed")
        console.print(table)
        for line in self._lines():
            console.print(line, soft_wrap=True, highlight=False, markup=False)

    def _lines(self) -> Iterable[str]:
        if self.recording:
            yield f"recording: {listed(self.recording)}"
        if self.frames:
            yield (
                f"frames: {self.frames} complete at {1 / self.frame_dt:.0f} Hz "
                f"({self.clock}, {self.interpolated} with interpolated states, jitter "
                f"{self.jitter_s * 1e3:.0f} ms), {self.used} used in {self.episodes} episodes"
                + (f", dropped: {listed(self.dropped)}" if self.dropped else "")
            )
        for camera, missing in self.without_picture.items():
            yield f"camera {camera}: {missing} frames without a picture"
        for kind, text in self.texts.items():
            yield f"{kind}: {text}"
        if self.error:
            yield f"nothing could be made of it: {self.error}"


def listed(counts: Counter[str]) -> str:
    """Counts in words: ``late 3, incomplete 2``."""
    return ", ".join(f"{kind} {number}" for kind, number in counts.most_common() if number)


def write_reports(reports: Iterable[BagReport], file: Path) -> None:
    """Write the accounts as JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"bags": [report.as_json() for report in reports]}, indent=1))
