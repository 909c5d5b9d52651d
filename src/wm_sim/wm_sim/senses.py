"""The ego's sensors: the front camera of every frame, and those of a rig, read on demand."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.town_map import TownMap
from wm_sim.rig import Rig, SensorSpec
from wm_sim.scenery import Scenery
from wm_sim.view import WorldView


class Senses:
    """What is mounted on the ego.

    Args:
        town: the map.
        scenery: what stands beside the roads.
        rig: sensors to begin with, or None.
        camera: front camera of every frame (:class:`wm_sim.camera.CameraConfig`), or None.

    Raises:
        UserError: an attribute of a sensor is not possible.
        wm_sim.camera.CameraUnavailable: a camera is asked for and EGL is missing.
    """

    def __init__(self, town: TownMap, scenery: Scenery, rig: Rig | None, camera) -> None:
        self._town, self._scenery = town, scenery
        self.rig = rig or Rig()
        self._started = (0, 0)
        self._camera, self._renderer = camera, None
        if camera is not None:
            from wm_sim.camera import Renderer

            self._renderer = Renderer(town, scenery, camera.paint)
        if self.rig.sensors:
            self._suite  # noqa: B018  # refuses an impossible sensor at once

    @cached_property
    def _suite(self):
        from wm_sim.sensors import SensorSuite

        suite = SensorSuite(self._town, self._scenery, self.rig)
        suite.start(*self._started)
        return suite

    def start(self, seed: int, stamp_ns: int) -> None:
        """Begin an episode: the noise depends on ``seed`` alone."""
        self._started = seed, stamp_ns
        if "_suite" in self.__dict__:
            self._suite.start(seed, stamp_ns)

    def picture(self, view: WorldView) -> np.ndarray | None:
        """(H, W, 3) uint8 RGB of the front camera, None without one."""
        if self._renderer is None:
            return None
        return self._renderer.render(self._camera.spec, view)

    def read(self, sensor_id: str, view: WorldView) -> Any:
        """See :meth:`wm_sim.sensors.SensorSuite.read`."""
        return self._suite.read(sensor_id, view)

    def mount(self, spec: SensorSpec) -> None:
        """Put one more sensor on the ego.

        Raises:
            UserError: its name is taken, or an attribute is not possible; nothing changes then.
        """
        if any(spec.id == other.id for other in self.rig.sensors):
            raise UserError(f"the ego has a sensor '{spec.id}' already")
        before = self.rig
        self._use(replace(before, sensors=(*before.sensors, spec)))
        try:
            self._suite  # noqa: B018
        except UserError:
            self._use(before)
            raise

    def unmount(self, sensor_id: str) -> None:
        """Take a sensor off the ego.

        Raises:
            UserError: the ego has no such sensor.
        """
        gone = self.rig.sensor(sensor_id)
        left = tuple(spec for spec in self.rig.sensors if spec is not gone)
        self._use(replace(self.rig, sensors=left))

    def _use(self, rig: Rig) -> None:
        self._drop_suite()
        self.rig = rig

    def _drop_suite(self) -> None:
        suite = self.__dict__.pop("_suite", None)
        if suite is not None:
            suite.close()

    def close(self) -> None:
        """Release the cameras."""
        self._drop_suite()
        if self._renderer is not None:
            self._renderer.close()
