"""The embedded simulator: one ego vehicle in a town with traffic, people, weather and sensors."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from wm_sim.actors import Actor, check_speed
from wm_sim.episodes import Episodes
from wm_sim.rig import SensorSpec

_NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})


class Simulator(Episodes):
    """Simulates a town, and lets others put their hands into it.

    ``libsumo`` allows one instance at a time in a process. The arguments are those of
    :class:`wm_sim.episodes.Episodes`.
    """

    def spawn(
        self,
        blueprint: str,
        x: float,
        y: float,
        yaw: float,
        role: str = "",
        attributes: Mapping[str, str] = _NO_ATTRIBUTES,
    ) -> int:
        """Put an actor into the world; it is there from the next frame on, and stands.

        Args:
            blueprint: name from :mod:`wm_sim.blueprints`.
            x, y, yaw: body centre, map frame, m and rad.
            role: role name; the attribute ``role_name`` when empty.
            attributes: of the blueprint; ``role_name`` counts here, and ``siren`` when it is "on".

        Returns:
            The actor's id.

        Raises:
            UserError: unknown blueprint, not a number, outside the town, or the place is occupied.
            RuntimeError: no episode has been started.
        """
        ego, role = self.frame().ego, role or attributes.get("role_name", "")
        siren = attributes.get("siren") == "on"
        return self._population.spawn(blueprint, x, y, yaw, role, ego, siren)

    def destroy(self, actor_id: int) -> bool:
        """Take a spawned or parked actor out of the world; False when there is none."""
        return self._population.destroy(actor_id)

    def move(self, actor_id: int, x: float, y: float, yaw: float, speed_mps: float) -> None:
        """Place a spawned actor for the next frame; without a move it stands still.

        Raises:
            UserError: nobody spawned it, or a value is not a sensible number.
        """
        self._population.move(actor_id, x, y, yaw, speed_mps)

    def walk(self, actor_id: int, direction: float, speed_mps: float) -> None:
        """Let a spawned walker go on in a direction (rad, map frame), as CARLA's WalkerControl.

        Raises:
            UserError: it is not a spawned walker, or a value is not a sensible number.
        """
        self._population.walk(actor_id, direction, speed_mps)

    def actors(self) -> list[Actor]:
        """Everything alive: the ego, road users, what was spawned, traffic lights."""
        rig = self._senses.rig
        ego = Actor(self.ego_id, rig.ego_type, rig.role)
        return [ego, *self._population.actors(self.frame().objects)]

    # The ego.

    def teleport(self, x: float, y: float, yaw: float) -> None:
        """Put the ego elsewhere, standing; the next frame shows it.

        Raises:
            UserError: not a number, or outside the town.
        """
        self._population.check_inside(x, y, yaw)
        self._vehicle.place(x, y, yaw)
        self._velocity = np.zeros(2)
        self._lanes.reset(self._vehicle.ego())

    def push(self, vx: float, vy: float, yaw_rate: float) -> None:
        """Give the ego a velocity: body axes (m/s, left positive) and yaw rate (rad/s).

        Raises:
            UserError: a value is not a sensible number.
        """
        check_speed(vx)
        check_speed(vy)
        check_speed(yaw_rate)
        self._vehicle.push(vx, vy, yaw_rate)

    def read(self, sensor_id: str) -> Any:
        """What a sensor of the rig measures in the current frame, computed when first asked.

        Raises:
            UserError: there is no such sensor, or it gives no data.
        """
        return self._senses.read(sensor_id, self.view())

    def mount(self, spec: SensorSpec) -> None:
        """Put one more sensor on the ego.

        Raises:
            UserError: its name is taken, or an attribute is not possible.
        """
        self._senses.mount(spec)

    def unmount(self, sensor_id: str) -> None:
        """Take a sensor off the ego.

        Raises:
            UserError: the ego has no such sensor.
        """
        self._senses.unmount(sensor_id)
