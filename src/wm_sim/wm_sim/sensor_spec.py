"""One sensor on the ego: what it is, where it is, and its attributes as CARLA names them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.conventions import rotation_from_euler

LONG_FRAME_S = 0.5  # no frame of a simulation is longer


@dataclass(frozen=True)
class SensorSpec:
    """One sensor on the ego.

    Attributes:
        id: name, the last part of its topic.
        type: CARLA blueprint, such as ``sensor.lidar.ray_cast``.
        x, y, z: position in the ego's frame (origin on the ground under the centre), m.
        roll, pitch, yaw: orientation in the ego's frame, rad, REP-103 (pitch down is positive).
        attributes: blueprint attributes by name, as text.
        parent: id of the sensor it is attached to, empty for the ego itself.
    """

    id: str
    type: str
    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    roll: float = 0.0
    pitch: float = 0.0
    yaw: float = 0.0
    attributes: Mapping[str, str] = field(default_factory=dict)
    parent: str = ""

    @cached_property
    def position(self) -> np.ndarray:
        """(3,) position in the ego's frame, m."""
        return np.array([self.x, self.y, self.z])

    @cached_property
    def rotation(self) -> np.ndarray:
        """(3, 3) rotation from the sensor's axes to the ego's."""
        return rotation_from_euler(self.roll, self.pitch, self.yaw)

    def number(
        self, name: str, default: float, low: float = -math.inf, high: float = math.inf
    ) -> float:
        """A numeric attribute.

        Raises:
            UserError: it is not a finite number, or out of range.
        """
        text = self.attributes.get(name, default)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and low <= value <= high):
            limits = [
                f"{limit:g} or {word}"
                for limit, word in ((low, "more"), (high, "less"))
                if math.isfinite(limit)
            ]
            wanted = " and ".join(["a number", *limits])
            raise UserError(f"sensor '{self.id}': {name} must be {wanted}, not '{text}'")
        return value

    def count(self, name: str, default: int) -> int:
        """A numeric attribute that is a positive whole number.

        Raises:
            UserError: it is not.
        """
        value = self.number(name, default, 1.0)
        if value != int(value):
            raise UserError(f"sensor '{self.id}': {name} must be a whole number, not {value:g}")
        return int(value)

    def points_per_second(self, default: float, most: int) -> float:
        """The attribute of that name.

        Args:
            default: where it is not given.
            most: points of one measurement; more would take the machine's memory.

        Raises:
            UserError: it is not a number, or asks for more points.
        """
        period_s = max(self.number("sensor_tick", 0.0, 0.0), LONG_FRAME_S)
        return self.number("points_per_second", default, 1.0, most / period_s)
