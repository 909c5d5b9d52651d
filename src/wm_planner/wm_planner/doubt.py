"""Does the model know what it is doing? Doubt with hysteresis, from two signs, frame by frame.

The signs are how unusual the observation is (novelty) and how much the ensemble disagrees about
the plan. Each is compared with what it is in usual driving: above the 99th percentile for a few
frames in a row, doubt begins; it ends after many frames in a row below the 95th. In doubt risks
weigh more and the vehicle is slower. When what is seen is far from usual for long, a stop is
requested. A pure state machine: no clock, no ROS; it counts frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from wm_planner.planner_config import DoubtConfig

if TYPE_CHECKING:
    from wm_dynamics.novelty import Novelty


class Level(IntEnum):
    """How much doubt."""

    USUAL = 0
    DOUBT = 1  # slower, risks weigh more
    STOP = 2  # a stop is requested


@dataclass(frozen=True)
class DoubtState:
    """What follows for the plan.

    Attributes:
        level: how much doubt.
        speed_cap_mps: not to be exceeded; infinite without doubt.
        risk_factor: what the weights of the risk terms are multiplied by.
        tripped: whether there is doubt at all.
        reason: empty without doubt.
    """

    level: Level = Level.USUAL
    speed_cap_mps: float = float("inf")
    risk_factor: float = 1.0
    tripped: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Band:
    """95th (``low``) and 99th percentile (``high``) of a sign in usual driving."""

    low: float
    high: float


@dataclass(frozen=True)
class Usual:
    """Bands of both signs; None for a sign that nobody has measured for the model."""

    novelty: Band | None = None
    disagreement: Band | None = None


def usual_of(novelty: Novelty | None) -> Usual:
    """The bands that were measured for a model, see ``wm calibrate``."""
    if novelty is None:
        return Usual()
    quantiles = novelty.facts.get("quantiles", {})
    bands = {name: Band(*quantiles[name]) for name in ("disagreement",) if name in quantiles}
    low = quantiles.get("novelty", [novelty.threshold])[0]
    return Usual(Band(low, novelty.threshold), **bands)


class Doubt:
    """The state machine.

    Attributes:
        config: may be replaced between two frames.
        state: the last one.
    """

    def __init__(self, config: DoubtConfig, usual: Usual):
        self.config, self.usual = config, usual
        self.reset()

    def reset(self) -> None:
        """Trust again."""
        self.state = DoubtState()
        self._high = self._far = self._near = self._calm = 0
        self._level, self._reason = Level.USUAL, ""

    def update(
        self, novelty: float | None, disagreement: float | None, degraded: bool = False
    ) -> DoubtState:
        """One frame.

        Args:
            novelty: score of the observation; None: not known; NaN: as unusual as can be.
            disagreement: of the ensemble about the last plan; None: not known.
            degraded: perception asks for caution.
        """
        if not self.config.enabled:
            return DoubtState()
        c = self.config
        signs = [("novelty", novelty, self.usual.novelty)]
        signs += [("disagreement", disagreement, self.usual.disagreement)]
        known = [(name, v, band) for name, v, band in signs if v is not None and band is not None]
        high = [name for name, value, band in known if not value <= band.high]
        high += ["degraded perception"] * degraded
        calm = not degraded and all(value <= band.low for _, value, band in known)
        far = any(n == "novelty" and not v <= c.stop_ratio * band.high for n, v, band in known)
        self._high = self._high + 1 if high else 0
        self._near = 0 if high else self._near + 1
        self._calm = self._calm + 1 if calm else 0
        self._far = self._far + 1 if far else 0
        if high:
            self._reason = "unusual: " + ", ".join(high)
        self._move()
        self.state = self._state()
        return self.state

    def _move(self) -> None:
        """Up at once, down one level at a time."""
        c = self.config
        if c.stop_after and self._far >= c.stop_after:
            self._level = Level.STOP
            return
        steps = {
            Level.USUAL: (self._high >= c.on_after, Level.DOUBT),
            Level.DOUBT: (self._calm >= c.off_after, Level.USUAL),
            Level.STOP: (self._near >= c.off_after, Level.DOUBT),
        }
        due, following = steps[self._level]
        if due:
            self._level = following

    def _state(self) -> DoubtState:
        if self._level is Level.USUAL:
            return DoubtState()
        c = self.config
        return DoubtState(self._level, c.speed_cap_mps, c.risk_factor, True, self._reason)
