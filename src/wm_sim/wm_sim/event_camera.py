"""Event camera (``sensor.camera.dvs``): brightness changes between successive pictures.

Each pixel remembers the log brightness of its last event and reports another one each time the
brightness has moved on by a threshold, as an ideal sensor would (Rebecq, Gehrig, Scaramuzza, "ESIM:
an open event camera simulator", 2018); times are interpolated between the two pictures. The noise
of the thresholds is not modelled.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from wm_sim.rig import SensorSpec

EVENT = np.dtype([("x", "<u2"), ("y", "<u2"), ("t", "<f8"), ("pol", "i1")])


class EventCamera:
    """Turns the pictures of an ordinary camera into events.

    Args:
        spec: the sensor, with CARLA's attributes ``positive_threshold``, ``negative_threshold``,
            ``use_log`` and ``log_eps``.

    Raises:
        UserError: a threshold is not a positive number.
    """

    def __init__(self, spec: SensorSpec) -> None:
        self._up = spec.number("positive_threshold", 0.3, 1e-3, 100.0)
        self._down = spec.number("negative_threshold", 0.3, 1e-3, 100.0)
        self._eps = spec.number("log_eps", 0.001, 1e-9, 1.0)
        self._log = str(spec.attributes.get("use_log", "true")).lower() in ("true", "1")
        self._level: np.ndarray | None = None  # brightness at the last event of each pixel
        self._before: np.ndarray | None = None
        self._before_ns = 0

    def update(self, pixels: np.ndarray, stamp_ns: int, gap_ns: int) -> np.ndarray:
        """Events since the previous picture.

        Args:
            pixels: (H, W, 3) uint8 RGB.
            stamp_ns: of the picture.
            gap_ns: older pictures than this are not compared with: there are no events then.

        Returns:
            (n,) ``EVENT`` in order of time: column, row, time (ns), 1 for brighter, 0 for darker.
        """
        now = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0
        if self._log:
            now = np.log(self._eps + now)
        before, level, since_ns = self._before, self._level, self._before_ns
        self._before, self._before_ns = now, stamp_ns
        if before is None or level is None or stamp_ns - since_ns > gap_ns:
            self._level = now.copy()
            return np.zeros(0, EVENT)
        found = [
            self._crossings(now, before, level, sign, since_ns, stamp_ns) for sign in (1.0, -1.0)
        ]
        events = np.concatenate(found)
        return events[np.argsort(events["t"], kind="stable")]

    def _crossings(self, now, before, level, sign: float, since_ns: int, stamp_ns: int):
        """Events of one polarity; moves ``level`` on to the last one of each pixel."""
        threshold = self._up if sign > 0 else self._down
        counts = np.maximum(0, np.floor(sign * (now - level) / threshold)).astype(int)
        rows, columns = np.nonzero(counts)
        each = counts[rows, columns]
        pixel = np.repeat(np.arange(len(each)), each)
        number = np.arange(len(pixel)) - np.repeat(np.cumsum(each) - each, each) + 1
        rows, columns = rows[pixel], columns[pixel]
        crossed = level[rows, columns] + sign * threshold * number
        start, moved = before[rows, columns], now[rows, columns] - before[rows, columns]
        fraction = np.divide(crossed - start, moved, out=np.zeros(len(pixel)), where=moved != 0.0)
        events = np.zeros(len(pixel), EVENT)
        events["x"], events["y"], events["pol"] = columns, rows, sign > 0
        events["t"] = since_ns + np.clip(fraction, 0.0, 1.0) * (stamp_ns - since_ns)
        level += sign * threshold * counts
        return events


def gap_limit_ns(frame_dt: float, sensor_tick_s: float) -> int:
    """How old the picture before may be, ns: that of the last measurement, with some tolerance."""
    return math.ceil(1.5e9 * max(frame_dt, sensor_tick_s))
