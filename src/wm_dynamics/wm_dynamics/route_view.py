"""Where imagined poses are on the route and how it goes on, with gradients and without the latent.

The ego net predicts metres and the route is known, so an actor's way along it is geometry; the
latent state blurs it (an offset of two metres in a sharp turn was seen there as two decimetres).
Only what the world does must come from the latent state.

Symbols: N futures, H steps, P observed route points, Q points of the fine line.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch

FINE = 3  # points of the fine line per step between route points
SAME_M = 1e-3  # two points nearer than this have no direction between them
AHEAD_M = (2.0, 5.0, 8.0, 12.0, 16.0, 20.0)  # where a view looks
VIEW_DIM = 2 + 2 * len(AHEAD_M)


@lru_cache(maxsize=4)
def _refine(points: int) -> np.ndarray:
    """(Q, P) weights that turn the route points into a fine line from station 0 on.

    The observed points begin one step ahead of the vehicle. The point beside it and one past the
    last continue the differences; Catmull-Rom splines run through all.
    """
    eye = np.eye(points)
    first = 3 * eye[0] - 3 * eye[1] + eye[2]
    before = 3 * first - 3 * eye[0] + eye[1]
    last = 2 * eye[-1] - eye[-2]
    knots = np.stack([before, first, *eye, last])
    u = np.arange(FINE)[:, None] / FINE
    rows = []
    for i in range(1, len(knots) - 2):
        a, b, c, d = knots[i - 1 : i + 3]
        rows.append(
            0.5 * (2 * b + (c - a) * u + (2 * a - 5 * b + 4 * c - d) * u**2
                   + (3 * b - a - 3 * c + d) * u**3)
        )  # fmt: skip
    return np.concatenate([*rows, knots[-2:-1]])


@lru_cache(maxsize=8)
def _refine_tensor(points: int, device: torch.device) -> torch.Tensor:
    """:func:`_refine`, float32; for training as well, whoever asks first."""
    with torch.inference_mode(False):
        return torch.from_numpy(_refine(points)).to(device, torch.float32)


@lru_cache(maxsize=8)
def _ahead_tensor(device: torch.device) -> torch.Tensor:
    """``AHEAD_M``, float32."""
    with torch.inference_mode(False):
        return torch.tensor(AHEAD_M, device=device)


def fine_route(route: torch.Tensor, scale_m: float) -> torch.Tensor:
    """Observed route (N, 2 P) in units of ``scale_m`` -> line (N, Q, 2) from station 0 on, m."""
    points = route.float().unflatten(-1, (-1, 2)) * scale_m
    return _refine_tensor(points.shape[-2], points.device) @ points


def on_route(path: torch.Tensor, line: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Poses against the route.

    Args:
        path: (N, H, 3) x, y, yaw.
        line: (N, Q, 2) in the same frame.

    Returns:
        Station from the first point of the line on (m), lateral offset (m, left positive) and
        heading error (rad), each (N, H).
    """
    ahead = line.diff(dim=1)
    length = ahead.norm(dim=-1).clamp_min(SAME_M)
    along = ahead / length[..., None]  # (N, Q - 1, 2)
    with torch.no_grad():
        middle = 0.5 * (line[:, 1:] + line[:, :-1])
        nearest = (path[:, :, None, :2] - middle[:, None]).square().sum(-1).argmin(-1)  # (N, H)
    index = nearest[..., None].expand(-1, -1, 2)
    tangent, origin = along.gather(1, index), line[:, :-1].gather(1, index)
    passed = (length.cumsum(1) - length).gather(1, nearest)
    offset = path[..., :2] - origin
    station = passed + (offset * tangent).sum(-1)
    lateral = tangent[..., 0] * offset[..., 1] - tangent[..., 1] * offset[..., 0]
    cos, sin = path[..., 2].cos(), path[..., 2].sin()
    heading = torch.atan2(
        tangent[..., 0] * sin - tangent[..., 1] * cos, tangent[..., 0] * cos + tangent[..., 1] * sin
    )
    return station, lateral, heading


def view(pose: torch.Tensor, line: torch.Tensor, step_m: float) -> torch.Tensor:
    """The route as an actor at ``pose`` sees it.

    Args:
        pose: (N, 3) x, y, yaw.
        line: (N, Q, 2) in the same frame; past its end it goes straight on.
        step_m: between its points.

    Returns:
        (N, VIEW_DIM) of order 1: lateral offset, heading error, and the points ``AHEAD_M`` ahead in
        the frame of the pose, x as difference from the distance.
    """
    station, lateral, heading = on_route(pose[:, None], line)
    points, distance = _points_ahead(station, line, step_m)
    offset = points - pose[:, None, :2]
    cos, sin = pose[:, 2:].cos(), pose[:, 2:].sin()
    x = cos * offset[..., 0] + sin * offset[..., 1] - distance
    y = cos * offset[..., 1] - sin * offset[..., 0]
    return torch.cat([2.0 * lateral, 5.0 * heading, 0.5 * x, 0.5 * y], -1)


def view_here(route: torch.Tensor, scale_m: float, step_m: float) -> torch.Tensor:
    """The view of who has just observed the route: that from the pose of all zeros, no gradients.

    Number by number: for one row the sixty operations of :func:`view` take four times as long.

    Args:
        route: (N, R) in units of ``scale_m``, see :func:`fine_route`.
        scale_m: m.
        step_m: see :func:`view`.

    Returns:
        (N, VIEW_DIM), but for rounding as :func:`view` of the fine route.
    """
    lines = fine_route(route.detach(), scale_m).tolist()
    return torch.tensor([_view_of_row(line, step_m) for line in lines], device=route.device)


def _view_of_row(line: list[list[float]], step_m: float) -> list[float]:
    """Of one fine line; VIEW_DIM numbers."""
    last = len(line) - 2  # number of the last piece
    nearest = min(
        range(last + 1),
        key=lambda i: (line[i][0] + line[i + 1][0]) ** 2 + (line[i][1] + line[i + 1][1]) ** 2,
    )
    lengths = [max(math.dist(line[i], line[i + 1]), SAME_M) for i in range(nearest + 1)]
    (x, y), (next_x, next_y) = line[nearest : nearest + 2]
    along_x, along_y = (next_x - x) / lengths[-1], (next_y - y) / lengths[-1]
    station = sum(lengths[:-1]) - (x * along_x + y * along_y)
    seen_x, seen_y = [], []
    for distance in AHEAD_M:
        place = (station + distance) / step_m
        low = min(max(int(place), 0), last) if math.isfinite(place) else 0
        share, (x0, y0), (x1, y1) = place - low, line[low], line[low + 1]
        seen_x.append(0.5 * ((1.0 - share) * x0 + share * x1 - distance))
        seen_y.append(0.5 * ((1.0 - share) * y0 + share * y1))
    lateral, heading = along_y * x - along_x * y, math.atan2(-along_y, along_x)
    return [2.0 * lateral, 5.0 * heading, *seen_x, *seen_y]


def _points_ahead(
    station: torch.Tensor, line: torch.Tensor, step_m: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (N, P, 2) of the line ``AHEAD_M`` ahead of stations (N, 1); the distances (P,)."""
    distance = _ahead_tensor(line.device)
    place = (station + distance) / step_m  # (N, points)
    # A pose that is not finite finds some point, and its view is not finite either.
    low = place.long().clamp(0, line.shape[1] - 2)
    index = low[..., None].expand(-1, -1, 2)
    share = (place - low)[..., None]
    points = (1.0 - share) * line.gather(1, index) + share * line.gather(1, index + 1)
    return points, distance
