"""The plans of another model for the frames of a recording, as the page shows them beside it."""

from __future__ import annotations

from typing import Any

import numpy as np

from wm_training.replay_difference import difference
from wm_training.replay_plans import AHEAD_S, Pair, Wish
from wm_training.view import compact
from wm_training.view.parts import Parts

TOLERANCE_S = 0.02  # between a frame of the recording and the one that was planned again
LAST = len(AHEAD_S) - 1


class PlannedAgain:
    """Pairs of wishes by their place on the time line."""

    def __init__(self, name: str, dt: float, pairs: list[Pair]):
        """Args: name of who planned again; dt: s per imagined step; pairs: in order of time."""
        self._name, self._dt, self._pairs = name, dt, pairs
        self._times = np.array([pair.t for pair in pairs])

    def about(self) -> dict[str, Any]:
        """Who planned, and the moments at which the plans differ most."""
        worst = [row["t"] for row in difference(self._pairs)["worst"]]
        return {"name": self._name, "ahead_s": AHEAD_S[LAST], "worst": worst}

    def apart(self, times_s: np.ndarray) -> list[float | None]:
        """How far the plans are apart at moments of the time line, m."""
        found = (self._at(float(t)) for t in times_s)
        return [None if pair is None else compact.number(pair.apart_m(LAST)) for pair in found]

    def show(self, parts: Parts, time_s: float) -> None:
        """Make the part ``again`` that of a moment; empty where nothing was planned again."""
        pair = self._at(time_s)
        if pair is None:
            parts.put("again", b"")
            return
        about = {
            "dt": self._dt,
            "apart": compact.number(pair.apart_m(LAST)),
            "recorded": _figures(pair.before),
            "now": _figures(pair.after),
        }
        parts.put("again", np.array(pair.after.path, "<f4").tobytes(), about)

    def _at(self, time_s: float) -> Pair | None:
        """The pair of a frame."""
        number = int(np.abs(self._times - time_s).argmin())
        return self._pairs[number] if abs(self._times[number] - time_s) < TOLERANCE_S else None


def _figures(wish: Wish) -> dict[str, float | None]:
    names = ("steer", "accel", "collision", "surprise", "plan_ms", "doubt")
    return {name: compact.number(getattr(wish, name), 4) for name in names}
