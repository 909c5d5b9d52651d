"""The time limit of the NoCrash benchmark.

Source: carla100.py of github.com/carla-simulator/driving-benchmarks ("CARLA100", the name NoCrash
had before its paper): the route at 5 km/h and 20 s.
"""

from __future__ import annotations

SLOWEST_KMH = 5.0
EXTRA_S = 20.0


def time_limit_s(length_m: float) -> float:
    """Simulated seconds that a route may take."""
    return length_m / 1000.0 / SLOWEST_KMH * 3600.0 + EXTRA_S
