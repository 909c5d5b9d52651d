"""Which weather cameras learn in, and which they meet in tests only."""

from __future__ import annotations

from wm_sim.weather import PRESETS

# Never collected: how a model tells weather that it has not seen is measured with these. One for
# the day and one for the night; each looks unlike everything that is collected (contrast lost to a
# white haze; darkness with streaks of rain and reflections), though its parts are collected apart.
HELD_OUT = ("fog", "rain_night")
COLLECTED = tuple(name for name in PRESETS if name not in HELD_OUT)
