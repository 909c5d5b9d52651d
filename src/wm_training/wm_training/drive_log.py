"""What a drive leaves behind, frame by frame, for the scores that need all of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from wm_perception.frame import ObjectClass, Objects, SceneFrame

# Everybody with wheels: CARLA's "vehicle.*" has bicycles among them.
VEHICLES = (
    ObjectClass.BIKE, ObjectClass.CAR, ObjectClass.TRUCK, ObjectClass.MOTORCYCLE,
    ObjectClass.OTHER_VEHICLE,
)  # fmt: skip
MOVED_MPS = 0.5  # who has never been this fast is parked and not traffic


@dataclass
class DriveLog:
    """Columns with one entry a frame.

    Attributes:
        stamps_ns: simulated time, ns: whole numbers, so that no result depends on where it begins.
        stations_m: furthest arc length reached along the route, m.
        speeds_mps: of the ego.
        yaw_rates_radps: of the ego.
        traffic_mps: mean speed of the vehicles around that have moved on this route; NaN: none has.
        lateral_m: distance from the route.
        off_road: the body is off the road.
    """

    stamps_ns: list[int] = field(default_factory=list)
    stations_m: list[float] = field(default_factory=list)
    speeds_mps: list[float] = field(default_factory=list)
    yaw_rates_radps: list[float] = field(default_factory=list)
    traffic_mps: list[float] = field(default_factory=list)
    lateral_m: list[float] = field(default_factory=list)
    off_road: list[bool] = field(default_factory=list)
    _moved: set[int] = field(default_factory=set)

    def add(self, frame: SceneFrame, station_m: float, lateral_m: float, off_road: bool) -> None:
        """Note one frame.

        Args:
            frame: the frame.
            station_m: furthest arc length so far.
            lateral_m: distance from the route, positive.
            off_road: the body is off the road.
        """
        self.stamps_ns.append(frame.stamp_ns)
        self.stations_m.append(station_m)
        self.speeds_mps.append(frame.ego.speed_mps)
        self.yaw_rates_radps.append(frame.ego.yaw_rate_radps)
        self.traffic_mps.append(self._traffic(frame.objects))
        self.lateral_m.append(lateral_m)
        self.off_road.append(off_road)

    def _traffic(self, objects: Objects) -> float:
        vehicles = objects[np.isin(objects.kinds, VEHICLES)]
        speeds = np.hypot(vehicles.velocities[:, 0], vehicles.velocities[:, 1])
        self._moved.update(vehicles.ids[speeds > MOVED_MPS].tolist())
        known = [
            s for s, i in zip(speeds.tolist(), vehicles.ids.tolist(), strict=True)
            if i in self._moved
        ]  # fmt: skip
        return float(np.mean(known)) if known else float("nan")

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return len(self.stamps_ns)

    @property
    def duration_s(self) -> float:
        """From the first frame to the last."""
        return (self.stamps_ns[-1] - self.stamps_ns[0]) * 1e-9 if self.stamps_ns else 0.0
