"""Weather in CARLA's own parameters, the presets, and what it does to grip and sight."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from wm_dynamics.errors import UserError

NIGHT_BELOW_DEG = 0.0  # sun under the horizon
WET_GRIP_LOSS = 0.35  # a wet street keeps 65 % of the dry friction (0.6-0.7 in the literature)


@dataclass(frozen=True)
class Weather:
    """Weather; names, units and ranges are carla.WeatherParameters'.

    Attributes:
        cloudiness: 0 clear to 100 overcast.
        precipitation: rain falling, 0 to 100.
        precipitation_deposits: puddles, 0 to 100.
        wind_intensity: 0 to 100; nothing moves in it here.
        fog_density: 0 to 100.
        fog_distance: m from the eye at which fog begins.
        wetness: of the road surface, 0 to 100.
        sun_azimuth_angle: deg.
        sun_altitude_angle: deg, -90 midnight to 90 noon.
    """

    cloudiness: float = 10.0
    precipitation: float = 0.0
    precipitation_deposits: float = 0.0
    wind_intensity: float = 5.0
    fog_density: float = 2.0
    fog_distance: float = 0.75
    wetness: float = 0.0
    sun_azimuth_angle: float = 45.0
    sun_altitude_angle: float = 60.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            low, high = LIMITS.get(field.name, (0.0, 100.0))
            if not low <= value <= high:  # a NaN fails too
                raise UserError(f"weather {field.name} must be {low:g} to {high:g}, not {value}")

    @property
    def night(self) -> bool:
        """The sun is down; vehicles and streets are lit."""
        return self.sun_altitude_angle < NIGHT_BELOW_DEG

    @property
    def grip(self) -> float:
        """Tyre friction as a fraction of the dry road's, 0.65 to 1."""
        water = max(self.wetness, self.precipitation_deposits, self.precipitation) / 100.0
        return 1.0 - WET_GRIP_LOSS * water


LIMITS = {
    "fog_distance": (0.0, 1e5),
    "sun_azimuth_angle": (-360.0, 360.0),
    "sun_altitude_angle": (-90.0, 90.0),
}

_CLEAR = Weather()
_RAIN = replace(
    _CLEAR, cloudiness=85.0, precipitation=70.0, precipitation_deposits=60.0, wetness=80.0,
    wind_intensity=30.0, fog_density=8.0,
)  # fmt: skip
_FOG = replace(_CLEAR, cloudiness=60.0, fog_density=60.0, fog_distance=0.0)

PRESETS: dict[str, Weather] = {
    "day": _CLEAR,
    "cloudy": replace(_CLEAR, cloudiness=80.0),
    "dusk": replace(_CLEAR, sun_altitude_angle=4.0, sun_azimuth_angle=-60.0, cloudiness=30.0),
    "night": replace(_CLEAR, sun_altitude_angle=-40.0),
    "fog": _FOG,
    "rain": _RAIN,
    "wet": replace(_CLEAR, precipitation_deposits=50.0, wetness=60.0, cloudiness=30.0),
    "rain_night": replace(_RAIN, sun_altitude_angle=-40.0),
    "fog_night": replace(_FOG, sun_altitude_angle=-40.0),
}


def weather_preset(name: str) -> Weather:
    """The preset called ``name``.

    Raises:
        UserError: there is no such preset.
    """
    if name not in PRESETS:
        raise UserError(f"unknown weather '{name}'; known: {', '.join(PRESETS)}")
    return PRESETS[name]
