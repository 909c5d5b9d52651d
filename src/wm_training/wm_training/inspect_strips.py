"""Imagination beside truth, as strips of masks and short videos; marked as imagined."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from wm_dynamics.bev import pack_bev
from wm_dynamics.model import WorldModel
from wm_perception.bev import EGO_ROW, METRES_PER_PX, SIZE_PX
from wm_training.inspect_moments import Moments, beliefs, ego_windows
from wm_training.pictures import EGO, TEXT, Video, mask_view
from wm_training.sampler import CLOSE_M, WindowSampler
from wm_training.validation import CONTEXT, filter_context

TILE = 128
MARGIN, HEADER, SIDE = 4, 22, 104
IMAGINED = (230, 90, 220)  # BGR of the frame around everything imagined
PATH = (255, 255, 0)  # of the imagined path; the true one is white
VIDEO_TILE = 320
EGO_SIZE_M = (4.5, 1.9)  # as drawn
SLOWER = 2.0  # videos run at half speed


@dataclass(frozen=True)
class Scenes:
    """Masks of some moments, now and after each of H steps.

    Attributes:
        start: (M,) first frames of the windows.
        truth, imagined: (M, 1 + H, S, S) uint8 bit masks.
        inside: (M, 1 + H) bool, the episode still goes on.
        true_path, path: (M, H, 2) positions after each step, m, ego frame of now.
        dt: seconds per step.
    """

    start: np.ndarray
    truth: np.ndarray
    imagined: np.ndarray
    inside: np.ndarray
    true_path: np.ndarray
    path: np.ndarray
    dt: float


def scenes(model: WorldModel, sampler: WindowSampler, start: np.ndarray) -> Scenes:
    """Masks of the windows that begin at the frames ``start`` (M,)."""
    batch = sampler.windows(start)
    latent = filter_context(model, batch)
    state, actions = batch["state"][:, CONTEXT - 1], batch["action"][:, CONTEXT:]
    steps = [latent, *beliefs(model, latent, state, actions)]
    imagined = np.stack([_masks(model.decode(belief)) for belief in steps], 1)
    truth = batch["bev"][:, CONTEXT - 1 :].numpy()
    inside = batch["mask"][:, CONTEXT - 1 :].numpy() > 0.5
    path = model.imagine(latent, state, actions).path[..., :2].numpy()
    true_path = ego_windows(batch, model.config.dt).path[..., :2]
    return Scenes(start, truth, imagined, inside, true_path, path, model.config.dt)


def _masks(probability: torch.Tensor) -> np.ndarray:
    """(M, C, S/2, S/2) -> (M, S, S) bit masks."""
    return pack_bev((probability > 0.5).numpy()).repeat(2, -1).repeat(2, -2)


def strip(shown: Scenes, row: int) -> np.ndarray:
    """(h, w, 3) BGR: truth above, imagination below, at six moments of the horizon from now on."""
    last = shown.truth.shape[1] - 1
    steps = np.unique(np.linspace(0, last, 6).round().astype(int))
    pitch = TILE + 2 * MARGIN
    canvas = np.full((HEADER + 2 * pitch, SIDE + len(steps) * pitch, 3), 20, np.uint8)
    _write(canvas, "truth", (8, HEADER + pitch // 2))
    _write(canvas, "now: believed", (4, HEADER + pitch + pitch // 2))
    _write(canvas, "+: imagined", (4, HEADER + pitch + pitch // 2 + 20), IMAGINED)
    for place, step in enumerate(steps):
        left = SIDE + place * pitch
        name = "now" if step == 0 else f"+{step * shown.dt:.1f} s"
        _write(canvas, name, (left + 8, HEADER - 6))
        for line, masks in enumerate((shown.truth, shown.imagined)):
            top = HEADER + line * pitch
            if line and step:  # at "now" it is what the model believes it sees
                canvas[top : top + pitch, left : left + pitch] = IMAGINED
            tile = canvas[top + MARGIN : top + MARGIN + TILE, left + MARGIN : left + MARGIN + TILE]
            if line == 0 and not shown.inside[row, step]:
                tile[:] = 40
                _write(tile, "episode over", (14, TILE // 2))
            else:
                tile[:] = _view(masks[row, step], TILE)
            if step == 0:
                goes_on = shown.inside[row, 1:]
                for path, colour in ((shown.true_path, TEXT), (shown.path, PATH)):
                    _draw_path(tile, path[row][goes_on], colour)
    return canvas


def video(shown: Scenes, row: int, path: Path) -> None:
    """Write truth (left) and imagination (right) of one moment as an mp4 at half speed."""
    film = Video(path, 1.0 / (shown.dt * SLOWER))
    for step in range(int(shown.inside[row].sum())):
        views = [_view(m[row, step], VIDEO_TILE) for m in (shown.truth, shown.imagined)]
        if step:
            cv2.rectangle(views[1], (0, 0), (VIDEO_TILE - 1, VIDEO_TILE - 1), IMAGINED, 6)
        for view, name in zip(views, ("truth", "imagined" if step else "believed"), strict=True):
            _write(view, f"{name}  +{step * shown.dt:.1f} s", (12, 24))
        film.add(np.hstack(views))
    film.close()


def _view(mask: np.ndarray, size: int) -> np.ndarray:
    """A mask with the ego vehicle, (size, size, 3) BGR."""
    view = mask_view(mask, size)
    pixel = size / SIZE_PX
    half = np.array([EGO_SIZE_M[1], EGO_SIZE_M[0]]) / METRES_PER_PX / 2  # columns, rows
    centre = np.array([SIZE_PX / 2, SIZE_PX * EGO_ROW])
    corners = (np.array([centre - half, centre + half]) * pixel).round().astype(int).tolist()
    cv2.rectangle(view, corners[0], corners[1], EGO, cv2.FILLED)
    return view


def _draw_path(tile: np.ndarray, path: np.ndarray, colour: tuple[int, int, int]) -> None:
    """A path (n, 2) in m from the ego vehicle on, into a tile."""
    pixel = tile.shape[0] / SIZE_PX
    points = np.vstack([np.zeros((1, 2)), path]) / METRES_PER_PX
    places = np.stack([SIZE_PX / 2 - points[:, 1], SIZE_PX * EGO_ROW - points[:, 0]], 1) * pixel
    cv2.polylines(tile, [(places * 8).round().astype(np.int32)], False, colour, 1, cv2.LINE_AA, 3)


def _write(canvas: np.ndarray, text: str, at: tuple[int, int], colour=TEXT) -> None:
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
