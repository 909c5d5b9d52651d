"""What a runtime reads of an observation; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np


class Sight(Protocol):
    """What a backend reads of an observation."""

    @property
    def bev(self) -> np.ndarray:
        """(S, S) uint8 bit mask."""

    @property
    def state(self) -> np.ndarray:
        """(5,) float32 scaled proprioception."""

    @property
    def route(self) -> np.ndarray:
        """(R,) float32 scaled way points."""


@runtime_checkable
class SensorSight(Sight, Protocol):
    """What a backend reads of an observation when its model has cameras or lidar."""

    @property
    def sensors(self) -> Mapping[str, np.ndarray]:
        """Streams beside those of :class:`Sight`, by name, see :mod:`wm_dynamics.streams`."""
