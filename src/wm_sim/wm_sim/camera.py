"""The cameras of the embedded simulator: moderngl on EGL, on a GPU or on Mesa's llvmpipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.frame import EgoState
from wm_perception.semantics import SemanticTag
from wm_perception.town_map import TownMap
from wm_sim.camera_geometry import FAR_M, CameraSpec, Eye, eye_of
from wm_sim.camera_light import headlights, lighting
from wm_sim.camera_paint import repaint
from wm_sim.camera_programs import Program, Programs, Value
from wm_sim.camera_props import ego_rows, instances, no_instances
from wm_sim.camera_scene import TownMesh, town_mesh
from wm_sim.camera_target import Target
from wm_sim.scenery import Scenery
from wm_sim.view import WorldView
from wm_sim.weather import Weather

BEYOND_M = 1000.0  # depth where nothing is, CARLA's far plane
BODY_MARGIN_M = 0.3  # a camera this near to the ego's footprint does not see the ego's body
MAX_INSTANCES = 8192
INSTANCE_REACH_M = 15.0  # from an object's middle, or a light's pole, to its farthest part
RAIN_LOOP_NS = 3_600_000_000_000  # the hour keeps the shader's clock precise


class CameraUnavailable(UserError):
    """No OpenGL context can be made here; everything but the camera still works."""


def make_context() -> Any:
    """An OpenGL context without a window.

    Raises:
        CameraUnavailable: moderngl or EGL is missing.
    """
    settings: dict[str, Any] = {"backend": "egl"}  # moderngl declares each value as a dict
    try:
        import moderngl

        return moderngl.create_standalone_context(**settings)
    except Exception as error:  # moderngl and glcontext raise several plain types
        raise CameraUnavailable(
            f"the camera needs OpenGL through EGL, which is not available here ({error}). "
            "Install it (Debian/Ubuntu: apt-get install -y libegl1 libgl1-mesa-dri; "
            "Python: pip install moderngl), or run without the camera."
        ) from error


class Renderer:
    """Renders what any number of cameras on the ego vehicle see, over one OpenGL context.

    Args:
        town: the town to look at.
        scenery: what stands beside its roads.
        paint: other colours than the town's own, see :mod:`wm_sim.camera_paint`.
        mesh: of the town with this scenery, where somebody has made it already.

    Raises:
        CameraUnavailable: moderngl or EGL is missing.
        UserError: there is no such paint.
    """

    def __init__(
        self, town: TownMap, scenery: Scenery, paint: str = "", mesh: TownMesh | None = None
    ) -> None:
        self._town, self._scenery = town, scenery
        self._gl = make_context()
        self._gl.enable_only(self._gl.DEPTH_TEST | self._gl.CULL_FACE)
        vertices, (*tiles, ground) = mesh or town_mesh(town, scenery)
        self._standing = [(t.first, t.standing) for t in tiles]
        self._lying = [(t.first + t.standing, t.count - t.standing) for t in tiles]
        self._ground = (ground.first, ground.count)
        self._centres = np.array([tile.centre for tile in tiles])
        self._radii = np.array([tile.radius for tile in tiles])
        self._programs = Programs(self._gl, repaint(vertices, paint), MAX_INSTANCES)
        self._targets: dict[tuple, Target] = {}
        self._view: WorldView | None = None
        self._weather = Weather()
        self._light = lighting(self._weather)
        self._near = no_instances()
        self._counts = (0, 0)

    def render(self, spec: CameraSpec, view: WorldView) -> np.ndarray:
        """One picture.

        Args:
            spec: the camera.
            view: the world now.

        Returns:
            "rgb": (H, W, 3) uint8; "depth": (H, W) float32 m along the optical axis, 1000 where
            nothing is; "semantic": (H, W) uint8 :class:`SemanticTag`. The ego's own body is in it
            only when the camera stands off the ego.
        """
        with self._gl:
            eye = eye_of(spec, view.ego)
            self._look(view)
            self._load(eye, view, with_ego=_off_body(spec, view.ego))
            target = self._target(spec)
            target.start()
            if spec.kind == "rgb":
                self._draw_colour(eye, view)
            else:
                self._draw_measure(eye, spec.kind == "semantic")
            return target.read()

    def close(self) -> None:
        """Release the OpenGL context."""
        self._gl.release()

    def _look(self, view: WorldView) -> None:
        """Take over what is near, unless the camera before has looked at the same."""
        if view is self._view:
            return
        self._view = view
        self._scenery = self._scenery.with_lights(view.light_boxes)
        if view.weather != self._weather:
            self._weather, self._light = view.weather, lighting(view.weather)
        self._near = instances(view, self._town, self._scenery)

    def _load(self, eye: Eye, view: WorldView, with_ego: bool) -> None:
        """Hand over the instances that may be in the picture."""
        rows = [near[eye.sees(near[:, :3], INSTANCE_REACH_M, FAR_M)] for near in self._near]
        if with_ego:
            own = ego_rows(view.ego)
            rows = [np.concatenate(pair) for pair in zip(rows, own, strict=True)]
        self._counts = self._programs.load(*rows)

    def _target(self, spec: CameraSpec) -> Target:
        """Where a camera draws; cameras that differ only in their pose share it."""
        key = (spec.kind, spec.width, spec.height, spec.samples)
        if key not in self._targets:
            self._targets[key] = Target(self._gl, *key)
        return self._targets[key]

    def _draw_colour(self, eye: Eye, view: WorldView) -> None:
        light = self._light
        frame: dict[str, Value] = {"eye": eye.position, "view_projection": eye.matrix.T}
        roads = {"WET"} if max(light.wet, light.puddles) > 0.0 else set()
        if light.darkness > 0.0:
            roads |= {"DARK"}
            frame["beam_at"], frame["beam_to"] = headlights(view, light.darkness)
        features = frozenset(roads)
        self._gl.clear(*light.haze)
        self._draw_solids("", features, eye, frame, light.sight_m)
        sky = self._lit("sky", frozenset({"CLOUDS"}) if light.clouds > 0.0 else frozenset())
        sky.set({"rays": eye.rays})
        sky.arrays[0].render()
        if light.rain > 0.0:
            self._draw_rain(eye, view.stamp_ns)

    def _draw_measure(self, eye: Eye, tagging: bool) -> None:
        frame: dict[str, Value] = {
            "eye": eye.position,
            "view_projection": eye.matrix.T,
            "axis": eye.axes[:, 0],
            "tagging": int(tagging),
        }
        self._gl.clear(float(SemanticTag.SKY) if tagging else BEYOND_M)
        self._draw_solids("_measure", frozenset(), eye, frame, FAR_M)

    def _draw_solids(
        self,
        purpose: str,
        features: frozenset[str],
        eye: Eye,
        frame: dict[str, Value],
        sight_m: float,
    ) -> None:
        """Draw what moves and then the town, nearest first, with the programs for a purpose."""
        moving = self._lit("moving" + purpose, features)
        moving.set(frame)
        for array, count in zip(moving.arrays, self._counts, strict=True):
            if count:
                array.render(instances=count)
        standing, lying = self._visible(eye, sight_m)
        for feature, ranges in (("WALLS", standing), ("GROUND", [*lying, self._ground])):
            static = self._lit("static" + purpose, features | {feature})
            static.set(frame)
            for first, count in ranges:
                static.arrays[0].render(vertices=count, first=first)

    def _draw_rain(self, eye: Eye, stamp_ns: int) -> None:
        gl = self._gl
        rain = self._lit("rain", frozenset())
        seconds = stamp_ns % RAIN_LOOP_NS / 1e9
        rain.set(
            {"rays": eye.rays, "seconds": seconds, "aspect": eye.tangents[0] / eye.tangents[1]}
        )
        gl.enable_only(gl.BLEND)
        rain.arrays[0].render()
        gl.enable_only(gl.DEPTH_TEST | gl.CULL_FACE)

    def _lit(self, name: str, features: frozenset[str]) -> Program:
        """A program whose light is that of the weather now."""
        program = self._programs.get(name, features)
        if program.lit is not self._light:
            program.set(vars(self._light))
            program.lit = self._light
        return program

    def _visible(self, eye: Eye, sight_m: float) -> tuple[list, list]:
        """(first, count) vertex ranges of what may be in the picture: what stands, what lies flat.

        They go from near to far, so that what is hidden by something nearer is not shaded. From
        where the rest of the ground up to the horizon is less than a pixel high, nothing lies.
        """
        seen = np.flatnonzero(eye.sees(self._centres, self._radii, sight_m))
        ahead = (self._centres[seen] - eye.position) @ eye.axes[:, 0]
        order = np.argsort(ahead, kind="stable")
        near = (ahead - self._radii[seen])[order] < eye.position[2] * eye.focal_px
        seen = seen[order]
        standing = [self._standing[tile] for tile in seen.tolist()]
        lying = [self._lying[tile] for tile in seen[near].tolist()]
        return [part for part in standing if part[1]], [part for part in lying if part[1]]


def _off_body(spec: CameraSpec, ego: EgoState) -> bool:
    """Whether a camera stands off the ego, so that it may see the ego's body."""
    return (
        abs(spec.x) > ego.length / 2 + BODY_MARGIN_M or abs(spec.y) > ego.width / 2 + BODY_MARGIN_M
    )


@dataclass(frozen=True)
class CameraConfig:
    """The front camera of every frame.

    Attributes:
        width, height: px.
        fov_deg: horizontal field of view.
        x_m: forward of the vehicle's centre.
        z_m: above the ground.
        pitch_rad: downwards is negative.
        samples: anti-aliasing samples per pixel, 0 for none.
        paint: other colours than the town's own, see :mod:`wm_sim.camera_paint`; empty: its own.
    """

    width: int = 256
    height: int = 144
    fov_deg: float = 90.0
    x_m: float = 1.2
    z_m: float = 1.8
    pitch_rad: float = -0.07
    samples: int = 4
    paint: str = ""

    @property
    def spec(self) -> CameraSpec:
        """The same camera for a :class:`Renderer`."""
        return CameraSpec(
            width=self.width,
            height=self.height,
            fov_deg=self.fov_deg,
            x=self.x_m,
            z=self.z_m,
            pitch=-self.pitch_rad,
            samples=self.samples,
        )
