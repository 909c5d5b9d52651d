"""From weather to light: what the shaders need to know, a continuous function of the weather."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wm_perception.frame import ObjectClass
from wm_sim.camera_shaders import MAX_HEADLIGHTS
from wm_sim.view import WorldView
from wm_sim.weather import Weather

SIGHT_M = 320.0  # town parts beyond are lost in the haze
HAZE_DISTANCE_M = 170.0  # at the default fog density
_DEFAULT_FOG, _FOG_DECAY = 2.0, 36.7  # haze is 170 m away at density 2 and 35 m at 60
_HIDDEN = 2.83  # haze distances until 0.5 % of the contrast are left: ln(200) ** (1 / 1.6)
# CARLA leaves the zero of the azimuth to the engine. Here the default sun stands 37 degrees left
# of the map's x axis, and a growing azimuth turns it clockwise.
_AZIMUTH_ZERO_DEG = 81.87
# Sun altitude (deg) -> sunlight, skylight, horizon and zenith, RGB as fractions of a clear day's.
_ALTITUDES = (-12.0, -6.0, 0.0, 6.0, 20.0, 45.0)
_COLOURS = np.array(
    [
        [(0.00, 0.00, 0.00), (0.13, 0.15, 0.21), (0.085, 0.090, 0.13), (0.020, 0.028, 0.07)],
        [(0.00, 0.00, 0.00), (0.24, 0.26, 0.36), (0.28, 0.24, 0.30), (0.05, 0.08, 0.20)],
        [(0.55, 0.28, 0.12), (0.46, 0.45, 0.54), (0.88, 0.58, 0.42), (0.17, 0.25, 0.46)],
        [(1.00, 0.66, 0.40), (0.66, 0.65, 0.70), (0.90, 0.71, 0.57), (0.23, 0.37, 0.63)],
        [(1.00, 0.92, 0.78), (0.91, 0.92, 0.95), (0.74, 0.78, 0.85), (0.28, 0.46, 0.76)],
        [(1.00, 1.00, 1.00), (1.00, 1.00, 1.00), (0.68, 0.77, 0.88), (0.30, 0.50, 0.80)],
    ]
)
_LIT = (ObjectClass.CAR, ObjectClass.TRUCK, ObjectClass.MOTORCYCLE, ObjectClass.OTHER_VEHICLE)
HEADLIGHT_REACH_M, HEADLIGHT_Z_M, HEADLIGHT_DIP = 60.0, 0.68, 0.05
_STREET_RGB = np.array([0.075, 0.065, 0.05])  # what street lamps add to fog at night
_GLOW_RGB = np.array([0.55, 0.28, 0.10])


@dataclass(frozen=True)
class Lighting:
    """Uniforms of the shaders.

    Attributes:
        sun: (3,) unit vector to the sun, map frame.
        sunlight, skylight: (3,) RGB factors on direct and ambient light.
        haze, zenith: (3,) RGB of the sky at the horizon and overhead; haze is the fog's colour.
        glow: (3,) RGB of the sky around a low sun.
        clouds: share of the sky that clouds cover, 0 to 1.
        fog_start, haze_distance: m from the eye to where fog begins, and its reach beyond.
        fog_on_lamps: how much of the fog dims lamps, 0 to 1.
        wet, puddles, rain: 0 to 1.
        darkness: 0 by day, 1 at night: windows, street lamps and head lamps light the town.
        lamps: how bright vehicles' lamps look, 0 to 1; also in fog and rain.
    """

    sun: np.ndarray
    sunlight: np.ndarray
    skylight: np.ndarray
    haze: np.ndarray
    zenith: np.ndarray
    glow: np.ndarray
    clouds: float
    fog_start: float
    haze_distance: float
    fog_on_lamps: float
    wet: float
    puddles: float
    rain: float
    darkness: float
    lamps: float

    @property
    def sight_m(self) -> float:
        """Nothing beyond can be told from the haze."""
        return min(SIGHT_M, self.fog_start + _HIDDEN * self.haze_distance)


def _ramp(value: float, low: float, high: float) -> float:
    """0 at ``low`` to 1 at ``high``, linear in between."""
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _sun(weather: Weather) -> np.ndarray:
    """(3,) unit vector to the sun."""
    azimuth = math.radians(_AZIMUTH_ZERO_DEG - weather.sun_azimuth_angle)
    altitude = math.radians(weather.sun_altitude_angle)
    flat = math.cos(altitude)
    return np.array([flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(altitude)])


def lighting(weather: Weather) -> Lighting:
    """Light, sky, fog and wetness of a weather."""
    altitude = weather.sun_altitude_angle
    sunlight, skylight, haze, zenith = np.array(
        [np.interp(altitude, _ALTITUDES, column) for column in _COLOURS.reshape(6, 12).T]
    ).reshape(4, 3)
    clouds = _ramp(weather.cloudiness, 10.0, 90.0)
    rain = weather.precipitation / 100.0
    fog = _ramp(weather.fog_density, _DEFAULT_FOG, 60.0)
    darkness = _ramp(-altitude, -7.0, 3.0)
    # Under clouds and in fog the sun is hidden, colours fade to grey, and fog swallows the sky.
    grey = max(0.85 * clouds, fog)
    haze = (1.0 - grey) * haze + grey * haze.mean() * np.array([0.97, 1.0, 1.03])
    haze *= 1.0 - 0.12 * clouds - 0.10 * rain
    zenith = (1.0 - grey) * zenith + grey * 0.82 * haze
    zenith = (1.0 - fog) * zenith + fog * haze
    haze += darkness * fog * _STREET_RGB
    shade = 1.0 - 0.22 * rain
    return Lighting(
        sun=_sun(weather),
        sunlight=sunlight * (1.0 - 0.92 * max(clouds, fog)) * shade,
        skylight=skylight * (1.0 + 0.10 * max(clouds, fog)) * shade,
        haze=haze,
        zenith=zenith,
        glow=_GLOW_RGB * max(0.0, 1.0 - abs(altitude - 2.0) / 14.0) * (1.0 - grey),
        clouds=clouds * (1.0 - fog),
        fog_start=weather.fog_distance,
        haze_distance=HAZE_DISTANCE_M
        * math.exp((_DEFAULT_FOG - weather.fog_density) / _FOG_DECAY)
        * (1.0 - 0.45 * rain),
        fog_on_lamps=0.8 * fog,
        wet=max(weather.wetness, 0.9 * weather.precipitation) / 100.0,
        puddles=weather.precipitation_deposits / 100.0,
        rain=rain,
        darkness=darkness,
        lamps=max(_ramp(-altitude, -10.0, 0.0), 0.7 * fog, 0.7 * _ramp(rain, 0.2, 0.5)),
    )


def headlights(view: WorldView, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Beams of the ego, first, and of the vehicles nearest to it.

    Returns:
        (MAX_HEADLIGHTS, 4) x, y, z and strength, 0 for none; (MAX_HEADLIGHTS, 3) directions.
    """
    ego, near = view.ego, view.objects.within(view.ego.x, view.ego.y, HEADLIGHT_REACH_M)
    near = near[np.isin(near.kinds, _LIT)]
    away = np.hypot(near.poses[:, 0] - ego.x, near.poses[:, 1] - ego.y)
    near = near[np.argsort(away, kind="stable")[: MAX_HEADLIGHTS - 1]]
    poses = np.concatenate([ego.pose[None], near.poses])
    noses = np.concatenate([[ego.length], near.sizes[:, 0]]) / 2
    cos, sin = np.cos(poses[:, 2]), np.sin(poses[:, 2])
    at, to = np.zeros((MAX_HEADLIGHTS, 4)), np.zeros((MAX_HEADLIGHTS, 3))
    count = len(poses)
    at[:count, 0] = poses[:, 0] + noses * cos
    at[:count, 1] = poses[:, 1] + noses * sin
    at[:count, 2:] = HEADLIGHT_Z_M, strength
    to[:count] = np.column_stack([cos, sin, np.full(count, -HEADLIGHT_DIP)])
    return at, to / math.hypot(1.0, HEADLIGHT_DIP)
