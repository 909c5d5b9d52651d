"""Vehicles that SUMO does not drive but must know of: the ego and what was spawned.

They are moved by hand in every step (``moveToXY``), and the traffic follows them, yields to them
and queues behind them.
"""

from __future__ import annotations

import math

import libsumo
from libsumo import constants as sumo

from wm_perception.conventions import wrap_angle

_ANY_ANGLE = sumo.INVALID_DOUBLE_VALUE

# Where SUMO looks for the lane that a vehicle is on. Its own 100 m cost twice the time; below 50 m
# it takes other lanes for vehicles that drive against the traffic.
ROAD_WITHIN_M = 60.0


class Puppets:
    """The foreign vehicles of one episode.

    Args:
        spare_edge: a street to name when a vehicle is put down inside a junction.
    """

    def __init__(self, spare_edge: str) -> None:
        self._spare_edge = spare_edge
        self._types: dict[str, str] = {}
        self._routes = 0

    def __len__(self) -> int:
        return len(self._types)

    def __contains__(self, name: str) -> bool:
        return name in self._types

    def add(self, name: str, type_id: str, x: float, y: float) -> None:
        """Announce a vehicle; the next :meth:`move` puts it in its place."""
        self._types[name] = type_id
        self._routes += 1
        route = f"{name}.{self._routes}"
        edge = libsumo.simulation.convertRoad(x, y)[0]
        libsumo.route.add(route, [self._spare_edge if edge.startswith(":") else edge])
        libsumo.vehicle.add(name, route, type_id, departPos="0")
        libsumo.vehicle.setSpeedMode(name, 0)
        libsumo.vehicle.setLaneChangeMode(name, 0)

    def move(self, name: str, x: float, y: float, yaw: float | None, length: float) -> None:
        """Say where a vehicle is after the next step.

        Args:
            name: of the vehicle.
            x, y: body centre, map frame, m.
            yaw: rad; None for the direction of the lane it stands on.
            length: of the body, m.

        Raises:
            ValueError: the pose is not finite (SUMO would hang on it).
        """
        if not all(map(math.isfinite, (x, y, yaw or 0.0))):
            raise ValueError(f"pose of {name} is not finite: {x}, {y}, {yaw}")
        if yaw is None:
            at, angle = (x, y), _ANY_ANGLE
        else:
            yaw = wrap_angle(yaw)
            at = (x + length / 2 * math.cos(yaw), y + length / 2 * math.sin(yaw))
            angle = 90.0 - math.degrees(yaw)
        try:
            libsumo.vehicle.moveToXY(name, "", -1, *at, angle, 2, ROAD_WITHIN_M)
        except libsumo.TraCIException:  # far from any road, or gone from SUMO at a road's end
            self.add(name, self._types[name], x, y)
            libsumo.vehicle.moveToXY(name, "", -1, *at, angle, 2)

    def remove(self, name: str) -> None:
        """Forget a vehicle."""
        if self._types.pop(name, None) is not None and name in libsumo.vehicle.getIDList():
            libsumo.vehicle.remove(name)
