"""The sensors of a rig: each is computed when it is read, once per frame at most."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.town_map import TownMap
from wm_sim import rig as types
from wm_sim.camera_geometry import CameraSpec
from wm_sim.gnss import Gnss, GnssReading
from wm_sim.imu import Imu, ImuReading
from wm_sim.lidar import Lidar, SemanticLidar
from wm_sim.lidar_world import Ground
from wm_sim.radar import Radar
from wm_sim.rig import Rig
from wm_sim.scenery import Scenery
from wm_sim.sensor_clock import SensorClock, Tick
from wm_sim.sensor_spec import SensorSpec
from wm_sim.view import WorldView

if TYPE_CHECKING:
    from wm_sim.camera import Renderer

Reading = np.ndarray | ImuReading | GnssReading
Measure = Callable[[WorldView, Tick], Reading]

_CAMERA_KINDS = {
    "sensor.camera.rgb": "rgb",
    "sensor.camera.depth": "depth",
    "sensor.camera.semantic_segmentation": "semantic",
}


def camera_spec(spec: SensorSpec) -> CameraSpec:
    """A rig's camera as the renderer wants it; defaults are those of CARLA's blueprints.

    ``samples``, anti-aliasing samples per pixel, is an attribute of ours.

    Raises:
        UserError: it is no camera, or has an impossible size or field of view.
    """
    if spec.type not in _CAMERA_KINDS:
        raise UserError(
            f"sensor '{spec.id}' is a {spec.type}, not one of {', '.join(types.CAMERAS)}"
        )
    return CameraSpec(
        kind=_CAMERA_KINDS[spec.type],
        width=spec.count("image_size_x", 800),
        height=spec.count("image_size_y", 600),
        fov_deg=spec.number("fov", 90.0),
        x=spec.x,
        y=spec.y,
        z=spec.z,
        roll=spec.roll,
        pitch=spec.pitch,
        yaw=spec.yaw,
        samples=int(spec.number("samples", 0, 0, 16)),
    )


class SensorSuite:
    """Reads the sensors of a rig.

    Args:
        town: the town.
        scenery: what stands beside its roads.
        rig: the sensors; those that report events or are not simulated cannot be read.

    Raises:
        UserError: an attribute of a sensor is not possible.
    """

    def __init__(self, town: TownMap, scenery: Scenery, rig: Rig) -> None:
        self.rig = rig
        self._town = town
        self._scenery = scenery
        self._specs = {s.id: s for s in rig.sensors if s.type in types.MEASURING}
        self._clocks = {name: SensorClock(spec) for name, spec in self._specs.items()}
        self._measure = {name: self._sensor(spec) for name, spec in self._specs.items()}
        self._seed, self._start_ns = 0, 0
        self._view: WorldView | None = None
        self._readings: dict[str, Reading] = {}

    @property
    def readable(self) -> tuple[str, ...]:
        """Ids of the sensors that can be read, in the order of the rig."""
        return tuple(self._specs)

    def start(self, seed: int, stamp_ns: int) -> None:
        """Begin an episode: noise and the lidars' turning depend on nothing that was before.

        Args:
            seed: of the noise.
            stamp_ns: of the episode's first frame.
        """
        self._seed, self._start_ns = seed, stamp_ns
        self._view = None

    def read(self, sensor_id: str, view: WorldView) -> Reading | None:
        """What a sensor measures in a frame, or None in a frame that its ``sensor_tick`` skips.

        Cameras give (H, W, 3) uint8 RGB, (H, W) float32 depth in m or (H, W) uint8 tags; lidars
        and the radar clouds (see :mod:`wm_sim.lidar`, :mod:`wm_sim.radar`).

        Raises:
            UserError: the rig has no such sensor, or it is one that cannot be read.
            wm_sim.camera.CameraUnavailable: it is a camera and there is no OpenGL.
        """
        if sensor_id not in self._specs:
            spec = self.rig.sensor(sensor_id)
            raise UserError(
                f"sensor '{sensor_id}' cannot be read: a {spec.type} gives no data here"
            )
        if view is not self._view:
            self._view, self._readings = view, {}
            self._scenery = self._scenery.with_lights(view.light_boxes)
        if sensor_id not in self._readings:
            tick = self._clocks[sensor_id].tick(view, self._start_ns, self._seed)
            if tick is None:
                return None
            self._readings[sensor_id] = self._measure[sensor_id](view, tick)
        return self._readings[sensor_id]

    def close(self) -> None:
        """Release the cameras."""
        renderer = self.__dict__.pop("_renderer", None)
        if renderer is not None:
            renderer.close()

    def _sensor(self, spec: SensorSpec) -> Measure:
        if spec.type == types.LIDAR:
            lidar = Lidar(spec)
            return lambda view, tick: lidar.measure(self._scenery, view, tick)
        if spec.type == types.SEMANTIC_LIDAR:
            semantic = SemanticLidar(spec, self._ground)
            return lambda view, tick: semantic.measure(self._scenery, view, tick)
        if spec.type == types.RADAR:
            radar = Radar(spec)
            return lambda view, tick: radar.measure(self._scenery, view, tick)
        if spec.type == types.IMU:
            return Imu(spec).measure
        if spec.type == types.GNSS:
            return Gnss(spec, self._town.carla_map).measure
        camera = camera_spec(spec)
        return lambda view, tick: self._renderer.render(camera, view)

    @cached_property
    def _ground(self) -> Ground:
        return Ground(self._town)

    @cached_property
    def _renderer(self) -> Renderer:
        from wm_sim.camera import Renderer

        return Renderer(self._town, self._scenery)
