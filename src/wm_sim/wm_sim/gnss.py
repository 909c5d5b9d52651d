"""Satellite positioning: the map's geographic reference plus metres east and north."""

from __future__ import annotations

import math
from dataclasses import dataclass

import carla

from wm_sim.lidar_world import sensor_pose
from wm_sim.sensor_clock import Tick
from wm_sim.sensor_spec import SensorSpec
from wm_sim.view import WorldView

EARTH_RADIUS_M = 6378137.0


@dataclass(frozen=True)
class GnssReading:
    """One measurement: latitude and longitude in degrees, altitude in m."""

    latitude: float
    longitude: float
    altitude: float


def move(latitude: float, longitude: float, east_m: float, north_m: float) -> tuple[float, float]:
    """(latitude, longitude) of a point that many metres east and north of another, degrees.

    The spherical Mercator formulas that CARLA's GNSS sensor uses up to 0.9.15. (The conversion of
    the 0.9.16 library is mirrored: its latitude falls towards the north.)
    """
    radius = EARTH_RADIUS_M * math.cos(math.radians(latitude))
    y = radius * math.log(math.tan(math.radians(90.0 + latitude) / 2)) + north_m
    there = 2 * math.degrees(math.atan(math.exp(y / radius))) - 90.0
    return there, longitude + math.degrees(east_m / radius)


class Gnss:
    """``sensor.other.gnss``: north is +y of the map frame.

    Args:
        spec: the sensor; noise of latitude and longitude is in degrees.
        carla_map: the map with its geographic reference (CARLA takes 42°, 2° where it has none).

    Raises:
        UserError: a noise attribute is not a number, or a deviation is negative.
    """

    def __init__(self, spec: SensorSpec, carla_map: carla.Map) -> None:
        self._spec = spec
        self._origin = carla_map.transform_to_geolocation(carla.Location())
        axes = ("lat", "lon", "alt")
        self._bias = [spec.number(f"noise_{axis}_bias", 0.0) for axis in axes]
        self._noise = [spec.number(f"noise_{axis}_stddev", 0.0, 0.0) for axis in axes]

    def measure(self, view: WorldView, tick: Tick) -> GnssReading:
        """Where the sensor is."""
        (east, north, up), _ = sensor_pose(self._spec, view)
        exact = (
            *move(self._origin.latitude, self._origin.longitude, east, north),
            self._origin.altitude + up,
        )
        errors = tick.rng.normal(self._bias, self._noise).tolist()
        return GnssReading(*(float(a + b) for a, b in zip(exact, errors, strict=True)))
