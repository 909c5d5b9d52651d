"""The front camera of the embedded simulator: moderngl on EGL, on a GPU or on Mesa's llvmpipe."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.frame import EgoState, LightBox, LightState, Objects
from wm_perception.town_map import TownMap
from wm_sim import camera_shaders as shaders
from wm_sim.camera_props import INSTANCE_FLOATS, instances
from wm_sim.camera_scene import cube, town_mesh

NEAR_M, FAR_M = 0.3, 400.0
SIGHT_M = 320.0  # town parts beyond are lost in the haze
PROP_REACH_M = 150.0
MAX_INSTANCES = 4096
HAZE_RGB = (0.68, 0.77, 0.88)
HAZE_DISTANCE_M = 170.0
SUN = (0.4, 0.3, 0.866)


class CameraUnavailable(UserError):
    """No OpenGL context can be made here; everything but the camera still works."""


@dataclass(frozen=True)
class CameraConfig:
    """The front camera.

    Attributes:
        width, height: px.
        fov_deg: horizontal field of view.
        x_m: forward of the vehicle's centre.
        z_m: above the ground.
        pitch_rad: downwards is negative.
        samples: anti-aliasing samples per pixel, 0 for none.
    """

    width: int = 256
    height: int = 144
    fov_deg: float = 90.0
    x_m: float = 1.2
    z_m: float = 1.8
    pitch_rad: float = -0.07
    samples: int = 4

    @property
    def focal_px(self) -> float:
        """Focal length, px; the principal point is the middle of the picture."""
        return self.width / (2.0 * math.tan(math.radians(self.fov_deg) / 2.0))


def _projection(config: CameraConfig) -> np.ndarray:
    """(4, 4) OpenGL perspective projection."""
    x, y = 2.0 * config.focal_px / config.width, 2.0 * config.focal_px / config.height
    depth = NEAR_M - FAR_M
    return np.array(
        [
            [x, 0, 0, 0],
            [0, y, 0, 0],
            [0, 0, (FAR_M + NEAR_M) / depth, 2 * FAR_M * NEAR_M / depth],
            [0, 0, -1, 0],
        ]
    )


def _view(eye: np.ndarray, yaw: float, pitch: float) -> np.ndarray:
    """(4, 4) map frame -> OpenGL camera frame (x right, y up, z backwards)."""
    cos, sin = math.cos(yaw), math.sin(yaw)
    forward = np.array([cos * math.cos(pitch), sin * math.cos(pitch), math.sin(pitch)])
    right = np.array([sin, -cos, 0.0])
    view = np.eye(4)
    view[:3, :3] = right, np.cross(right, forward), -forward
    view[:3, 3] = -view[:3, :3] @ eye
    return view


class Camera:
    """Renders what a camera on the ego vehicle sees.

    Args:
        town: the town to look at.
        config: picture size and mounting.

    Raises:
        CameraUnavailable: moderngl or EGL is missing.
    """

    def __init__(self, town: TownMap, config: CameraConfig) -> None:
        self.config = config
        settings: dict[str, Any] = {"backend": "egl"}  # moderngl declares each value as a dict
        try:
            import moderngl

            self._gl = moderngl.create_standalone_context(**settings)
        except Exception as error:  # moderngl and glcontext raise several plain types
            raise CameraUnavailable(
                f"the camera needs OpenGL through EGL, which is not available here ({error}). "
                "Install it (Debian/Ubuntu: apt-get install -y libegl1 libgl1-mesa-dri; "
                "Python: pip install moderngl), or run without the camera."
            ) from error
        self._projection = _projection(config)
        size = (config.width, config.height)
        self._target = self._gl.simple_framebuffer(size, components=3)
        self._buffer = self._target
        if config.samples:
            self._buffer = self._gl.framebuffer(
                [self._gl.renderbuffer(size, 3, samples=config.samples)],
                self._gl.depth_renderbuffer(size, samples=config.samples),
            )
        self._gl.enable(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        self._build(town)

    def _build(self, town: TownMap) -> None:
        gl = self._gl
        static = gl.program(shaders.STATIC_VERTEX, shaders.FRAGMENT)
        moving = gl.program(shaders.INSTANCE_VERTEX, shaders.FRAGMENT)
        sky = gl.program(shaders.SKY_VERTEX, shaders.SKY_FRAGMENT)
        self._programs = (static, moving)
        for program in self._programs:
            program["sun"], program["haze"] = SUN, HAZE_RGB
            program["haze_distance"] = HAZE_DISTANCE_M
        sky["haze"], sky["pitch"] = HAZE_RGB, self.config.pitch_rad
        sky["tan_half_height"] = self.config.height / (2.0 * self.config.focal_px)
        vertices, self._tiles = town_mesh(town)
        mesh = gl.buffer(vertices.tobytes())
        layout = ("3f 3f 4f", "position", "normal", "colour")
        self._static = gl.vertex_array(static, [(mesh, *layout)])
        box = gl.buffer(np.concatenate(cube(), 1).astype(np.float32).tobytes())
        self._rows = gl.buffer(reserve=MAX_INSTANCES * INSTANCE_FLOATS * 4, dynamic=True)
        per_row = ("4f 3f 3f 4f 1f/i", "pose", "offset", "size", "colour", "taper")
        self._moving = gl.vertex_array(
            moving, [(box, "3f 3f", "position", "normal"), (self._rows, *per_row)]
        )
        corners = gl.buffer(np.array([-1, -1, 3, -1, -1, 3], np.float32).tobytes())
        self._sky = gl.vertex_array(sky, [(corners, "2f", "corner")])

    def render(
        self,
        ego: EgoState,
        objects: Objects,
        boxes: tuple[LightBox, ...],
        states: dict[int, LightState],
    ) -> np.ndarray:
        """(height, width, 3) uint8 RGB picture; the ego's own body is not in it."""
        config = self.config
        cos, sin = math.cos(ego.yaw), math.sin(ego.yaw)
        eye = np.array([ego.x + cos * config.x_m, ego.y + sin * config.x_m, config.z_m])
        matrix = self._projection @ _view(eye, ego.yaw, config.pitch_rad)
        by_column = tuple(matrix.T.astype(np.float32).ravel().tolist())
        for program in self._programs:
            program["view_projection"] = by_column
            program["eye"] = tuple(eye)
        rows = instances(ego.x, ego.y, objects, boxes, states, PROP_REACH_M)[:MAX_INSTANCES]
        self._gl.enable_only(self._gl.DEPTH_TEST | self._gl.CULL_FACE)
        self._buffer.use()
        self._buffer.clear(*HAZE_RGB)
        for first, count in self._visible(eye, ego.yaw):
            self._static.render(vertices=count, first=first)
        if len(rows):
            self._rows.write(np.ascontiguousarray(rows).tobytes())
            self._moving.render(instances=len(rows))
        self._sky.render()
        if self._buffer is not self._target:
            self._gl.copy_framebuffer(self._target, self._buffer)
        pixels = np.frombuffer(self._target.read(components=3, alignment=1), np.uint8)
        return pixels.reshape(config.height, config.width, 3)[::-1].copy()

    def _visible(self, eye: np.ndarray, yaw: float) -> list[tuple[int, int]]:
        """(first, count) vertex ranges of the tiles that may be in the picture."""
        half = math.radians(self.config.fov_deg) / 2.0
        cos, sin, cos_half, sin_half = math.cos(yaw), math.sin(yaw), math.cos(half), math.sin(half)
        ranges = []
        for tile in self._tiles:
            dx, dy = tile.x - eye[0], tile.y - eye[1]
            ahead, aside = cos * dx + sin * dy, abs(cos * dy - sin * dx)
            beyond = aside * cos_half - ahead * sin_half  # distance outside the field of view
            if -tile.radius < ahead < SIGHT_M + tile.radius and beyond < tile.radius:
                ranges.append((tile.first, tile.count))
        return ranges

    def close(self) -> None:
        """Release the OpenGL context."""
        self._gl.release()
