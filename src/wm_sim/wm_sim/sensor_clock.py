"""When a sensor measures, and the random numbers of each measurement."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from wm_sim.sensor_spec import SensorSpec
from wm_sim.view import WorldView

NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class Tick:
    """One measurement of one sensor.

    Attributes:
        time_s: s since the episode began.
        elapsed_s: s since the sensor's last measurement, one frame for the first.
        rng: random numbers of this measurement; the same whatever was read before.
    """

    time_s: float
    elapsed_s: float
    rng: np.random.Generator


class SensorClock:
    """Says in which frames a sensor measures: every ``sensor_tick`` seconds, 0 for every frame.

    Raises:
        UserError: ``sensor_tick`` or ``noise_seed`` is not a number, or negative.
    """

    def __init__(self, spec: SensorSpec) -> None:
        self._period_ns = round(spec.number("sensor_tick", 0.0, 0.0) * NS_PER_S)
        self._tag = (zlib.crc32(spec.id.encode()), int(spec.number("noise_seed", 0.0, 0.0)))

    def tick(self, view: WorldView, start_ns: int, seed: int) -> Tick | None:
        """The measurement of this frame, or None when the sensor takes none in it.

        Args:
            view: the frame.
            start_ns: stamp of the first frame of the episode.
            seed: of the episode.
        """
        frame_ns = round(view.dt_s * NS_PER_S)
        now = view.stamp_ns - start_ns
        elapsed = frame_ns
        if self._period_ns > frame_ns:
            count = now // self._period_ns
            if now >= frame_ns and count == (now - frame_ns) // self._period_ns:
                return None
            if count > 0:  # the last measurement was in the first frame of the period before
                before = -(-(count - 1) * self._period_ns // frame_ns) * frame_ns
                elapsed = now - before
        rng = np.random.default_rng([seed, *self._tag, now // max(1, frame_ns)])
        return Tick(now / NS_PER_S, elapsed / NS_PER_S, rng)
