"""Lidar and semantic lidar: a spinning column of lasers, as CARLA's ray-cast lidars.

A measurement covers what the head turned since the last one: points_per_second, channels and
rotation_frequency say how many azimuths that are and how far apart. With rotation_frequency equal
to the frame rate every measurement is exactly one full turn.
"""

from __future__ import annotations

import math

import numpy as np

from wm_sim.lidar_cast import GROUND, NOTHING, Hits, cast, pairs_in_sectors
from wm_sim.lidar_world import Ground, Solids, sensor_pose
from wm_sim.scenery import Scenery
from wm_sim.sensor_clock import Tick
from wm_sim.sensor_spec import SensorSpec
from wm_sim.view import WorldView

MAX_POINTS = 4_000_000  # of one measurement
MAX_NOISE_M = 100.0
SEMANTIC_POINT = np.dtype(
    [(name, "<f4") for name in ("x", "y", "z", "CosAngle")]
    + [(name, "<u4") for name in ("ObjIdx", "ObjTag")]
)


class Spin:
    """The lasers of a lidar; defaults of the attributes are those of CARLA's blueprints.

    Raises:
        UserError: an attribute is not a number or out of range.
    """

    def __init__(self, spec: SensorSpec) -> None:
        self.spec = spec
        self.channels = spec.count("channels", 32)
        self.range_m = spec.number("range", 10.0, 0.1)
        self._points_per_s = spec.points_per_second(56000.0, MAX_POINTS)
        self._turns_per_s = spec.number("rotation_frequency", 10.0, 0.0)
        self._fan_deg = spec.number("horizontal_fov", 360.0, 0.1, 360.0)
        upper = spec.number("upper_fov", 10.0, -90.0, 90.0)
        lower = spec.number("lower_fov", -30.0, -90.0, 90.0)
        self._elevations = np.radians(np.linspace(upper, lower, self.channels))

    def azimuths(self, tick: Tick) -> np.ndarray:
        """(A,) azimuths of one measurement, rad, left positive; the head turns clockwise.

        A turn begins and ends at the rear, as in CARLA.
        """
        count = math.floor(self._points_per_s * tick.elapsed_s / self.channels + 0.5)
        before = (tick.time_s - tick.elapsed_s) * self._turns_per_s * self._fan_deg
        turned = tick.elapsed_s * self._turns_per_s * self._fan_deg
        angle = before + turned * np.arange(count) / max(count, 1)
        return -np.radians(angle % self._fan_deg - self._fan_deg / 2)

    def directions(self, azimuths: np.ndarray) -> np.ndarray:
        """(A, C, 3) unit vectors in the sensor's axes, upper channels first."""
        flat, up = np.cos(self._elevations), np.sin(self._elevations)
        return np.stack(
            [
                np.cos(azimuths)[:, None] * flat,
                np.sin(azimuths)[:, None] * flat,
                np.broadcast_to(up, (len(azimuths), self.channels)),
            ],
            -1,
        )

    def shoot(
        self, scenery: Scenery, view: WorldView, tick: Tick
    ) -> tuple[np.ndarray, Hits, Solids, np.ndarray]:
        """Cast all rays of a measurement.

        Returns:
            (A, C, 3) directions in the sensor's axes, the hits, what was there to hit, and
            (A, C, 3) directions in map axes.
        """
        azimuths = self.azimuths(tick)
        local = self.directions(azimuths)
        origin, rotation = sensor_pose(self.spec, view)
        solids = Solids(scenery, view, origin, rotation, self.range_m)
        pairs = pairs_in_sectors(azimuths, *solids.sectors)
        world = local @ rotation.T
        return local, cast(origin, world, solids.boxes, pairs, self.range_m), solids, world


class Lidar:
    """``sensor.lidar.ray_cast``: points with an intensity that falls with the distance."""

    def __init__(self, spec: SensorSpec) -> None:
        self._spin = Spin(spec)
        self._attenuation = spec.number("atmosphere_attenuation_rate", 0.004, 0.0)
        self._noise_m = spec.number("noise_stddev", 0.0, 0.0, MAX_NOISE_M)
        self._drop = spec.number("dropoff_general_rate", 0.45, 0.0, 1.0)
        self._limit = spec.number("dropoff_intensity_limit", 0.8, 0.0, 1.0)
        self._drop_at_zero = spec.number("dropoff_zero_intensity", 0.4, 0.0, 1.0)

    def measure(self, scenery: Scenery, view: WorldView, tick: Tick) -> np.ndarray:
        """(n, 4) float32 x, y, z (sensor's axes, m) and intensity; channel by channel."""
        directions, hits, _, _ = self._spin.shoot(scenery, view, tick)
        by_channel = hits.distance.T
        intensity = np.exp(-self._attenuation * by_channel)  # 0 where nothing is hit
        keep = self._kept(intensity, tick.rng) & np.isfinite(by_channel)
        distance = by_channel[keep]
        if self._noise_m > 0.0:
            noise = tick.rng.normal(0.0, self._noise_m, by_channel.shape)
            distance = distance + noise[keep]
        points = directions.transpose(1, 0, 2)[keep] * distance[:, None]
        return np.concatenate([points, intensity[keep, None]], 1).astype(np.float32)

    def _kept(self, intensity: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Which points survive: some are lost at random, faint ones more often."""
        keep = np.ones(intensity.shape, bool)
        if self._drop > 0.0:
            keep &= rng.random(intensity.shape, np.float32) >= self._drop
        if self._drop_at_zero > 0.0 and self._limit > 0.0:
            chance = 1.0 - self._drop_at_zero * (1.0 - intensity / self._limit)
            keep &= rng.random(intensity.shape, np.float32) < chance
        return keep


class SemanticLidar:
    """``sensor.lidar.ray_cast_semantic``: exact points that say what they hit."""

    def __init__(self, spec: SensorSpec, ground: Ground) -> None:
        self._spin = Spin(spec)
        self._ground = ground

    def measure(self, scenery: Scenery, view: WorldView, tick: Tick) -> np.ndarray:
        """(n,) ``SEMANTIC_POINT`` in the sensor's axes; channel by channel.

        ``ObjIdx`` is the actor's id and 0 for the town, ``ObjTag`` a CARLA semantic tag.
        """
        directions, hits, solids, world = self._spin.shoot(scenery, view, tick)
        seen = hits.box.T != NOTHING
        distance, box = hits.distance.T[seen], hits.box.T[seen]
        cloud = np.zeros(len(distance), SEMANTIC_POINT)
        points = directions.transpose(1, 0, 2)[seen] * distance[:, None]
        for axis, name in enumerate("xyz"):
            cloud[name] = points[:, axis]
        cloud["CosAngle"] = hits.cos_incidence.T[seen]
        solid = box != GROUND
        cloud["ObjIdx"][solid] = solids.ids[box[solid]]
        cloud["ObjTag"][solid] = solids.tags[box[solid]]
        origin, _ = sensor_pose(self._spin.spec, view)
        along = world.transpose(1, 0, 2)[seen][~solid, :2]
        on_ground = origin[:2] + along * distance[~solid, None]
        cloud["ObjTag"][~solid] = self._ground.tags(on_ground)
        return cloud
