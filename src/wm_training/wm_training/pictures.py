"""Pictures of a drive: camera, top view, what the model sees, and the imagined futures.

Display only; nothing here feeds a model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.bev_picture import mask_view
from wm_perception.conventions import box_corners
from wm_perception.frame import LightState, SceneFrame
from wm_perception.scene import Scene
from wm_perception.town_map import PIXELS_PER_M

TOP_PX, PX_PER_M = 560, 8.0  # top view: 70 m x 70 m
EGO_ROW = 0.72
SIDE_W = 400
MAX_FUTURES = 48
# BGR
GRASS, ROAD, LINE, ROUTE = (52, 66, 56), (78, 74, 72), (190, 190, 190), (214, 150, 70)
CAR, EGO, CHOSEN, TEXT = (64, 150, 240), (110, 210, 110), (255, 240, 120), (235, 235, 235)
LIGHTS = {LightState.RED: (60, 60, 240), LightState.YELLOW: (40, 210, 250)}


@dataclass(frozen=True)
class Imagination:
    """What to draw of a plan, in the map frame.

    Attributes:
        futures: (N, H, 2) imagined positions, m.
        costs: (N,) lower is better.
        chosen: row that was chosen.
    """

    futures: np.ndarray = field(default_factory=lambda: np.zeros((0, 1, 2)))
    costs: np.ndarray = field(default_factory=lambda: np.zeros(0))
    chosen: int = 0


def _affine(pose: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    rotation = PX_PER_M * np.array([[sin, -cos], [-cos, -sin]])
    return np.c_[rotation, np.array([TOP_PX / 2, TOP_PX * EGO_ROW]) - rotation @ pose[:2]]


def _pixels(points: np.ndarray, affine: np.ndarray) -> np.ndarray:
    return np.round((points @ affine[:, :2].T + affine[:, 2]) * 8).astype(np.int32)


def _polyline(canvas, points, affine, colour, thickness) -> None:
    cv2.polylines(canvas, [_pixels(points, affine)], False, colour, thickness, cv2.LINE_AA, 3)


def _cost_colour(rank: float) -> tuple[int, int, int]:
    """Green (0, cheap) to red (1, dear)."""
    hue = np.array([[[int(60 * (1.0 - rank)), 190, 235]]], np.uint8)
    blue, green, red = cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return blue, green, red


def top_view(scene: Scene, frame: SceneFrame, imagination: Imagination | None) -> np.ndarray:
    """(560, 560, 3) BGR: road, route, cars, lights ahead, imagined futures by cost."""
    town, affine = scene.town, _affine(frame.ego.pose)
    metres = 1.0 / PIXELS_PER_M
    top = town.origin[1] + town.road.shape[0] * metres
    to_map_frame = np.array([[metres, 0, town.origin[0]], [0, -metres, top], [0, 0, 1.0]])
    size = (TOP_PX, TOP_PX)
    road = cv2.warpAffine(town.road, affine @ to_map_frame, size, flags=cv2.INTER_LINEAR)
    line = cv2.warpAffine(town.line, affine @ to_map_frame, size, flags=cv2.INTER_LINEAR)
    canvas = np.where(road[..., None] > 127, np.array(ROAD, np.uint8), np.array(GRASS, np.uint8))
    canvas[line > 100] = LINE
    s = scene.route.nearest_index(frame.ego.x, frame.ego.y)
    _polyline(canvas, scene.route.points[max(0, s - 3) : s + 70], affine, ROUTE, 3)
    _draw_lights(canvas, scene, frame, affine, s)
    for pose, size in zip(frame.objects.poses, frame.objects.sizes, strict=True):
        corners = _pixels(box_corners(*pose, *size), affine)
        cv2.fillConvexPoly(canvas, corners, CAR, cv2.LINE_AA, 3)
    if imagination is not None and len(imagination.futures):
        _draw_futures(canvas, frame, imagination, affine)
    ego = frame.ego
    corners = _pixels(box_corners(ego.x, ego.y, ego.yaw, ego.length, ego.width), affine)
    cv2.fillConvexPoly(canvas, corners, EGO, cv2.LINE_AA, 3)
    return canvas


def _draw_lights(canvas, scene: Scene, frame: SceneFrame, affine, s: float) -> None:
    for light in scene.route_lights:
        state = frame.light_states.get(light.id)
        if not -3.0 < light.stop_s - s < 70.0 or state is None:
            continue
        heading = scene.route.headings[min(int(light.stop_s), len(scene.route) - 1)]
        across = 1.8 * np.array([-np.sin(heading), np.cos(heading)])
        centre = scene.route.sample(np.array(light.stop_s))
        colour = LIGHTS.get(state, (90, 200, 90))
        _polyline(canvas, np.stack([centre + across, centre - across]), affine, colour, 4)


def _draw_futures(canvas, frame: SceneFrame, imagination: Imagination, affine) -> None:
    order = np.argsort(imagination.costs)[::-1]
    order = order[:: max(1, len(order) // MAX_FUTURES)]
    start = np.array([[frame.ego.x, frame.ego.y]])
    for place, index in enumerate(order):
        rank = 1.0 - place / max(len(order) - 1, 1)
        path = np.concatenate([start, imagination.futures[index]])
        _polyline(canvas, path, affine, _cost_colour(rank), 1)
    chosen = np.concatenate([start, imagination.futures[imagination.chosen]])
    _polyline(canvas, chosen, affine, CHOSEN, 3)


def compose(
    scene: Scene,
    frame: SceneFrame,
    mask: np.ndarray | None,
    imagination: Imagination | None,
    lines: list[str],
) -> np.ndarray:
    """(560, 960, 3) BGR picture of one frame: top view, camera, model input, text."""
    picture = np.full((TOP_PX, TOP_PX + SIDE_W, 3), 20, np.uint8)
    picture[:, :TOP_PX] = top_view(scene, frame, imagination)
    height = SIDE_W * 9 // 16
    if frame.image is not None:
        camera = cv2.resize(frame.image[..., ::-1], (SIDE_W, height), interpolation=cv2.INTER_AREA)
        picture[:height, TOP_PX:] = camera
    else:
        _text(picture, "no camera", (TOP_PX + 12, 30))
    if mask is not None:
        picture[height + 10 : height + 210, TOP_PX + 10 : TOP_PX + 210] = mask_view(mask, 200)
        _text(picture, "model input", (TOP_PX + 10, height + 228), 0.42)
    for row, line in enumerate(lines):
        _text(picture, line, (TOP_PX + 222, height + 28 + 22 * row), 0.45)
    return picture


def _text(picture, text: str, at: tuple[int, int], scale: float = 0.5) -> None:
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, TEXT, 1, cv2.LINE_AA)


class Video:
    """An mp4 file, written frame by frame; readable up to the last close.

    ``mp4v`` is quick to write; browsers play ``vp09``, which is slow.
    """

    def __init__(self, path: Path, fps: float, codec: str = "mp4v"):
        self.path, self._fps, self._codec = path, fps, codec
        self._writer: cv2.VideoWriter | None = None

    def add(self, picture: np.ndarray) -> None:
        """Append one (H, W, 3) BGR picture."""
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            codec = cv2.VideoWriter.fourcc(*self._codec)
            size = picture.shape[1::-1]
            self._writer = cv2.VideoWriter(str(self.path), codec, self._fps, size)
            if not self._writer.isOpened():
                raise UserError(f"cannot write a video to {self.path}; pass --no-video")
        self._writer.write(picture)

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
