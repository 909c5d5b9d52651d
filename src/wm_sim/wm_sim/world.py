"""What an episode holds besides the ego and the cars."""

from __future__ import annotations

from dataclasses import dataclass, fields
from numbers import Integral

from wm_dynamics.errors import UserError
from wm_sim.weather import Weather, weather_preset

MAX_COUNT = 1000  # of each kind; SUMO would take all memory for an absurd number


def check_count(name: str, count: int) -> None:
    """Refuse what is not a sensible number of somebody.

    Raises:
        UserError: not a whole number, negative or absurdly large.
    """
    if not (isinstance(count, Integral) and 0 <= count <= MAX_COUNT):
        raise UserError(f"{name} must be a whole number from 0 to {MAX_COUNT}, not {count}")


@dataclass(frozen=True)
class World:
    """The part of an episode that is more than cars; the default is an empty, dry day.

    Attributes:
        trucks: lorries and vans in the traffic, on top of the cars.
        cyclists: on the road.
        pedestrians: on pavements and crossings.
        parked: cars parked at the kerb.
        weather: name of a preset, or :class:`wm_sim.weather.Weather`.
        scenario: name of a scenario that is staged on the route, empty for none.
    """

    trucks: int = 0
    cyclists: int = 0
    pedestrians: int = 0
    parked: int = 0
    weather: str | Weather = "day"
    scenario: str = ""

    def __post_init__(self) -> None:
        for name in ("trucks", "cyclists", "pedestrians", "parked"):
            check_count(name, getattr(self, name))
        self.conditions  # noqa: B018  # refuses an unknown name at once

    @classmethod
    def like(cls, options: object) -> World:
        """The world that an object with the same attributes asks for.

        Raises:
            UserError: a negative number, or an unknown weather.
        """
        return cls(**{field.name: getattr(options, field.name) for field in fields(cls)})

    @property
    def conditions(self) -> Weather:
        """The weather itself."""
        return weather_preset(self.weather) if isinstance(self.weather, str) else self.weather
