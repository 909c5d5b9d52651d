"""What a sensor may look at: the world at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from wm_perception.frame import EgoState, LightBox, LightState, Objects
from wm_sim.weather import Weather


@dataclass(frozen=True)
class WorldView:
    """The world at one frame, as sensors see it.

    Attributes:
        stamp_ns: simulation time, ns.
        dt_s: s since the previous frame.
        ego: the vehicle that carries the sensors.
        accel_xy: (2,) acceleration of the ego's centre in body axes, m/s^2.
        objects: other road users.
        props: static obstacles on the road.
        light_boxes: trigger volumes of the traffic lights.
        light_states: light id -> state.
        weather: light, rain, fog and wetness.
        sirens: ids of the vehicles whose blue lights flash.
    """

    stamp_ns: int
    dt_s: float
    ego: EgoState
    accel_xy: np.ndarray = field(default_factory=lambda: np.zeros(2))
    objects: Objects = field(default_factory=Objects)
    props: Objects = field(default_factory=Objects)
    light_boxes: tuple[LightBox, ...] = ()
    light_states: dict[int, LightState] = field(default_factory=dict)
    weather: Weather = field(default_factory=Weather)
    sirens: frozenset[int] = frozenset()
