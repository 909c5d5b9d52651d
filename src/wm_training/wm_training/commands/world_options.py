"""What every command that starts the embedded simulator lets one ask for."""

from __future__ import annotations

from dataclasses import dataclass

from wm_sim.world import World


@dataclass(frozen=True)
class WorldOptions:
    """Who and what is on the road besides the ego."""

    traffic: int = 20
    """Number of other cars."""
    trucks: int = 0
    """Lorries and vans besides."""
    cyclists: int = 0
    """Cyclists on the road."""
    pedestrians: int = 0
    """People on pavements and crossings."""
    parked: int = 0
    """Cars parked at the kerb."""
    weather: str = "day"
    """Preset of the weather, e.g. rain or night."""
    scenario: str = ""
    """Scenario to stage, see docs/scenarios.md; empty for none."""

    @property
    def world(self) -> World:
        """The same as a :class:`World`.

        Raises:
            UserError: a negative number, or an unknown weather.
        """
        return World.like(self)
