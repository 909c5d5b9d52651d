"""Imagination beside truth, as strips of masks and pictures and short videos; marked as such."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch

from wm_dynamics.beliefs import beliefs
from wm_dynamics.bev import pack_bev
from wm_dynamics.model import WorldModel
from wm_perception.bev import EGO_ROW, METRES_PER_PX, SIZE_PX
from wm_perception.bev_picture import mask_tile
from wm_training.inspect_moments import Moments, ego_windows
from wm_training.pictures import TEXT, Video
from wm_training.sampler import CLOSE_M, WindowSampler
from wm_training.validation import CONTEXT, filter_context

TILE = 128
MARGIN, HEADER, SIDE = 4, 22, 104
IMAGINED = (230, 90, 220)  # BGR of the frame around everything imagined
PATH = (255, 255, 0)  # of the imagined path; the true one is white
VIDEO_TILE = 320
SLOWER = 2.0  # videos run at half speed


@dataclass(frozen=True)
class Scenes:
    """What there was at some moments, now and after each of H steps, and what is drawn of it.

    Attributes:
        start: (M,) first frames of the windows.
        truth, imagined: (M, 1 + H, S, S) uint8 bit masks.
        inside: (M, 1 + H) bool, the episode still goes on.
        true_path, path: (M, H, 2) positions after each step, m, ego frame of now.
        dt: seconds per step.
        cameras: stream -> (M, 1 + H, h, w, 3) uint8 RGB pictures, and those the model draws.
    """

    start: np.ndarray
    truth: np.ndarray
    imagined: np.ndarray
    inside: np.ndarray
    true_path: np.ndarray
    path: np.ndarray
    dt: float
    cameras: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


def scenes(model: WorldModel, sampler: WindowSampler, start: np.ndarray) -> Scenes:
    """What is to be seen in the windows that begin at the frames ``start`` (M,)."""
    batch = sampler.windows(start)
    latent = filter_context(model, batch)
    state, actions = batch["state"][:, CONTEXT - 1], batch["action"][:, CONTEXT:]
    path = model.imagine(latent, state, actions).path
    seen = batch["bev"][:, CONTEXT - 1]
    ahead = model.draw(beliefs(model, latent, state, actions), seen, path)
    drawn = [model.decode(latent), *ahead]
    imagined = np.stack([_masks(probability) for probability in drawn], 1)
    truth = batch["bev"][:, CONTEXT - 1 :].numpy()
    inside = batch["mask"][:, CONTEXT - 1 :].numpy() > 0.5
    true_path = ego_windows(batch, model.config.dt).path[..., :2]
    states = [latent, *beliefs(model, latent, state, actions)] if model.config.cameras else []
    pictures = [model.decode_cameras(belief) for belief in states]
    cameras = {
        name: (
            batch[name][:, CONTEXT - 1 :].numpy(),
            np.stack([colours(p[name]) for p in pictures], 1),
        )
        for name in model.config.cameras
    }
    imagined_path, dt = path[..., :2].numpy(), model.config.dt
    return Scenes(start, truth, imagined, inside, true_path, imagined_path, dt, cameras)


def colours(drawn: torch.Tensor) -> np.ndarray:
    """(M, 3, h, w) in [0, 1] as a model draws a picture -> (M, h, w, 3) uint8 RGB."""
    return (drawn.movedim(1, -1) * 255.0).round().to(torch.uint8).numpy()


def _masks(probability: torch.Tensor) -> np.ndarray:
    """(M, C, S/2, S/2) -> (M, S, S) bit masks."""
    return pack_bev((probability > 0.5).numpy()).repeat(2, -1).repeat(2, -2)


def strip(shown: Scenes, row: int) -> np.ndarray:
    """(h, w, 3) BGR: truth above, imagination below, at six moments of the horizon from now on.

    The masks first, then each camera's pictures.
    """
    last = shown.truth.shape[1] - 1
    steps = np.unique(np.linspace(0, last, 6).round().astype(int))
    lines = [
        ("truth", [mask_tile(shown.truth[row, step], TILE) for step in steps]),
        ("", [mask_tile(shown.imagined[row, step], TILE) for step in steps]),
    ]
    for step, tiles in zip(steps, zip(*(tiles for _, tiles in lines), strict=True), strict=True):
        if step == 0:
            goes_on = shown.inside[row, 1:]
            for path, colour in ((shown.true_path, TEXT), (shown.path, PATH)):
                for tile in tiles:
                    _draw_path(tile, path[row][goes_on], colour)
    for name, (truth, drawn) in shown.cameras.items():
        lines.append((name, [picture_tile(truth[row, step], TILE) for step in steps]))
        lines.append(("", [picture_tile(drawn[row, step], TILE) for step in steps]))
    return _sheet(lines, steps, shown.inside[row, steps], shown.dt)


def _sheet(
    lines: list[tuple[str, list[np.ndarray]]], steps: np.ndarray, inside: np.ndarray, dt: float
) -> np.ndarray:
    """Lines of tiles in turn true and drawn, over their times; the drawn ones framed."""
    pitch = TILE + 2 * MARGIN
    heights = [tiles[0].shape[0] + 2 * MARGIN for _, tiles in lines]
    canvas = np.full((HEADER + sum(heights), SIDE + len(steps) * pitch, 3), 20, np.uint8)
    for place, step in enumerate(steps):
        name = "now" if step == 0 else f"+{step * dt:.1f} s"
        write(canvas, name, (SIDE + place * pitch + 8, HEADER - 6))
    top = HEADER
    for (name, tiles), height in zip(lines, heights, strict=True):
        write(canvas, name or "now: believed", (4, top + height // 2))
        if not name:
            write(canvas, "+: imagined", (4, top + height // 2 + 20), IMAGINED)
        for place, tile in enumerate(tiles):
            left = SIDE + place * pitch
            if not name and steps[place]:  # at "now" it is what the model believes it sees
                canvas[top : top + height, left : left + pitch] = IMAGINED
            if name and not inside[place]:
                tile = np.full_like(tile, 40)
                write(tile, "episode over", (14, tile.shape[0] // 2))
            canvas[top + MARGIN : top + height - MARGIN, left + MARGIN : left + MARGIN + TILE] = (
                tile
            )
        top += height
    return canvas


def picture_tile(image: np.ndarray, width: int) -> np.ndarray:
    """A camera's picture (h, w, 3) RGB as a tile of a width, BGR."""
    height = round(image.shape[0] * width / image.shape[1])
    return cv2.resize(image[..., ::-1], (width, height), interpolation=cv2.INTER_LINEAR)


def video(shown: Scenes, row: int, path: Path) -> None:
    """Write truth (left) and imagination (right) of one moment as an mp4 at half speed."""
    film = Video(path, 1.0 / (shown.dt * SLOWER))
    for step in range(int(shown.inside[row].sum())):
        views = [mask_tile(m[row, step], VIDEO_TILE) for m in (shown.truth, shown.imagined)]
        if step:
            cv2.rectangle(views[1], (0, 0), (VIDEO_TILE - 1, VIDEO_TILE - 1), IMAGINED, 6)
        for view, name in zip(views, ("truth", "imagined" if step else "believed"), strict=True):
            write(view, f"{name}  +{step * shown.dt:.1f} s", (12, 24))
        cameras = [
            np.hstack([picture_tile(part[row, step], VIDEO_TILE) for part in pair])
            for pair in shown.cameras.values()
        ]
        film.add(np.vstack([np.hstack(views), *cameras]))
    film.close()


def _draw_path(tile: np.ndarray, path: np.ndarray, colour: tuple[int, int, int]) -> None:
    """A path (n, 2) in m from the ego vehicle on, into a tile."""
    pixel = tile.shape[0] / SIZE_PX
    points = np.vstack([np.zeros((1, 2)), path]) / METRES_PER_PX
    places = np.stack([SIZE_PX / 2 - points[:, 1], SIZE_PX * EGO_ROW - points[:, 0]], 1) * pixel
    cv2.polylines(tile, [(places * 8).round().astype(np.int32)], False, colour, 1, cv2.LINE_AA, 3)


def write(
    canvas: np.ndarray, text: str, at: tuple[int, int], colour: tuple[int, int, int] = TEXT
) -> None:
    """Small text, its baseline beginning at (x, y)."""
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)


def telling(moments: Moments) -> dict[str, int]:
    """Rows of moments worth looking at, by what is there: whole horizon, each row once."""
    now, whole = moments.labels_now, moments.ego.inside.all(1)
    turn = np.abs(moments.ego.path[:, -1, 2])
    kinds = {
        "a leader": np.where(now["leader_present"] > 0.5, CLOSE_M - now["leader_gap"], 0.0),
        "a red stop line": np.where(now["stop_present"] > 0.5, CLOSE_M - now["stop_distance"], 0.0),
        "a turn": np.where(turn > 0.3, turn, 0.0),
        "driving on": np.where(turn < 0.1, moments.ego.state[:, 0], 0.0),
    }
    chosen: dict[str, int] = {}
    for name, score in kinds.items():
        score = np.where(whole, score, 0.0)
        score[list(chosen.values())] = 0.0
        if (score > 0.0).any():
            # The middle of the fitting ones: neither the clearest nor the faintest.
            fitting = np.flatnonzero(score > 0.0)
            chosen[name] = int(fitting[np.argsort(score[fitting])[len(fitting) // 2]])
    return chosen


def worst(moments: Moments, errors: np.ndarray, count: int, apart: int) -> list[int]:
    """Rows with the largest path error (N, H) at the horizon's end.

    One per episode; when there are fewer episodes, more that begin ``apart`` frames apart.
    """
    last = np.nan_to_num(errors[:, -1], nan=-1.0)
    order = [row for row in np.argsort(-last) if last[row] >= 0.0]
    rows: list[int] = []
    for distance in (np.inf, apart):
        for row in order:
            same = [r for r in rows if moments.episode[r] == moments.episode[row]]
            free = all(abs(moments.start[r] - moments.start[row]) >= distance for r in same)
            if free and len(rows) < count:
                rows.append(int(row))
    return rows
