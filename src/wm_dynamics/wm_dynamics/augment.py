"""Augmentation of training windows: pure functions, what is changed is returned.

Pretend that the vehicle had stood a little beside or askew, and change masks, route, motion, labels
and images to match: once per window, so that a window stays one drive.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch.nn import functional as F

EVENTS = ("near", "collision", "off_road")  # what a displaced vehicle may or may not have met


@dataclass(frozen=True)
class GroundView:
    """Where the vehicle stands in a bird's-eye view: up is forward, centred sideways.

    Attributes:
        metres_per_px: of the grid.
        ego_row: rows above the vehicle, as a share of the height.
    """

    metres_per_px: float
    ego_row: float


# ---------------------------------------------------------------------- images


def shift_images(images: torch.Tensor, right: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """Move what (B, ..., C, h, w) images show by pixels, right (B,) and down (B,); edges repeat."""
    affine = torch.eye(3, device=images.device).repeat(len(images), 1, 1)
    affine[:, 0, 2], affine[:, 1, 2] = -right, -down
    return _warp(images, affine, "border", "bilinear")


# ---------------------------------------------------------------------- displaced vehicle


def draw_offsets(
    labels: torch.Tensor,
    columns: Mapping[str, int],
    generator: torch.Generator,
    sideways_m: float = 0.3,
    turn_rad: float = 0.03,
) -> torch.Tensor:
    """Small displacements for windows with ``labels`` (B, T, columns): (B, 3) dx, dy, dyaw.

    Windows with an event (contact, near miss, off the road) keep their place: whether it had
    happened half a metre aside, nobody knows.
    """
    draw = 2.0 * torch.rand(len(labels), 3, generator=generator).to(labels.device) - 1.0
    offsets = draw * draw.new_tensor([0.0, sideways_m, turn_rad])
    eventful = (labels[..., [columns[name] for name in EVENTS]] > 0.5).flatten(1).any(1)
    return offsets.masked_fill(eventful[:, None], 0.0)


def displace(
    window: Mapping[str, torch.Tensor],
    offsets: torch.Tensor,
    columns: Mapping[str, int],
    views: Mapping[str, GroundView],
    route_scale_m: float,
    camera_fov_rad: float = math.pi / 2,
    lateral_cost: float = 0.0,
) -> dict[str, torch.Tensor]:
    """The window as if the vehicle had driven displaced by ``offsets``, all along.

    Args:
        window: raw streams, "motion" and "labels", (B, T, ...); what is absent stays absent, what
            no displacement changes stays the same.
        offsets: (B, 3) dx, dy [m], dyaw [rad] in the vehicle's frame, small.
        columns: label name -> column.
        views: geometry of each bird's-eye stream in the window.
        route_scale_m: metres per route unit.
        camera_fov_rad: horizontal field of view of the cameras. An image can be turned, not moved.
        lateral_cost: reward lost per metre of lateral deviation and model step.

    Raises:
        ValueError: the window has cameras and an offset moves the vehicle.
    """
    new = dict(window)
    for name, value in window.items():
        if name in views:
            new[name] = warp_ground(value, offsets, views[name])
        elif name.startswith("camera_"):
            if offsets[:, :2].any():
                raise ValueError("camera images can be turned, not moved: set sideways_m to 0")
            new[name] = turn_images(value.movedim(-1, -3), offsets[:, 2], camera_fov_rad).movedim(
                -3, -1
            )
    if "route" in window:
        new["route"] = move_route(window["route"], offsets, route_scale_m)
    if "motion" in window:
        new["motion"] = move_motion(window["motion"], offsets)
    if "labels" in window:
        new["labels"] = move_labels(window["labels"], offsets, columns, lateral_cost)
    return new


def warp_ground(grid: torch.Tensor, offsets: torch.Tensor, view: GroundView) -> torch.Tensor:
    """Bird's-eye grids (B, ..., S, S) seen from the displaced vehicle, nearest cell.

    Bit masks may stay packed. What comes into view from outside is 0.
    """
    size = grid.shape[-1]
    column, row, metres = size / 2, size * view.ego_row, view.metres_per_px
    x, y, yaw = offsets.unbind(-1)
    cos, sin = yaw.cos(), yaw.sin()
    # New pixel (c, r) is (row - r, column - c) * metres ahead and left; turn, move, and back.
    affine = torch.eye(3, device=grid.device).repeat(len(grid), 1, 1)
    affine[:, 0, 0], affine[:, 0, 1] = cos, sin
    affine[:, 1, 0], affine[:, 1, 1] = -sin, cos
    affine[:, 0, 2] = column - y / metres - cos * column - sin * row
    affine[:, 1, 2] = row - x / metres + sin * column - cos * row
    return _warp(grid.unsqueeze(-3), affine, "zeros", "nearest").squeeze(-3)


def turn_images(images: torch.Tensor, yaw: torch.Tensor, fov_rad: float) -> torch.Tensor:
    """Images (B, ..., C, h, w) of cameras turned left by a small ``yaw`` (B,) [rad]."""
    focal_px = images.shape[-1] / 2 / math.tan(fov_rad / 2)
    return shift_images(images, focal_px * yaw.tan(), torch.zeros_like(yaw))


def move_route(route: torch.Tensor, offsets: torch.Tensor, scale_m: float) -> torch.Tensor:
    """Way points (B, ..., R), x and y in turn in units of ``scale_m``, from the displaced pose."""
    points = route.unflatten(-1, (-1, 2))
    place = offsets.view(len(offsets), *[1] * (points.dim() - 2), 3)
    return _turn(points - place[..., :2] / scale_m, -place[..., 2]).flatten(-2)


def move_motion(motion: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Steps (B, T, 3) of the displaced vehicle: there, the old step, and back."""
    place = offsets[:, None]
    shift, yaw = place[..., :2], place[..., 2]
    across = motion[..., :2] + _turn(shift.expand_as(motion[..., :2]), motion[..., 2]) - shift
    return torch.cat([_turn(across, -yaw), motion[..., 2:]], -1)


def move_labels(
    labels: torch.Tensor,
    offsets: torch.Tensor,
    columns: Mapping[str, int],
    lateral_cost: float = 0.0,
) -> torch.Tensor:
    """Labels (B, T, columns) of the displaced vehicle; the route is taken as straight nearby."""
    moved = labels.clone()
    heading, lateral = labels[..., columns["heading"]], labels[..., columns["lateral"]]
    shift = _turn(offsets[:, None, :2].expand(*heading.shape, 2), heading)  # along, left of route
    moved[..., columns["lateral"]] = aside = lateral + shift[..., 1]
    turned = heading + offsets[:, 2:]
    moved[..., columns["heading"]] = torch.atan2(turned.sin(), turned.cos())
    for name, presence in (("leader_gap", "leader_present"), ("stop_distance", "stop_present")):
        distance = labels[..., columns[name]]
        nearer = (distance - shift[..., 0]).clamp_min(0.0)
        present = labels[..., columns[presence]] > 0.5
        moved[..., columns[name]] = torch.where(present, nearer, distance)
    moved[..., columns["reward"]] += lateral_cost * (lateral.abs() - aside.abs())
    return moved


def _turn(points: torch.Tensor, yaw: torch.Tensor) -> torch.Tensor:
    """Rotate points (..., 2) by yaw (...)."""
    cos, sin = yaw.cos(), yaw.sin()
    x, y = points.unbind(-1)
    return torch.stack([cos * x - sin * y, sin * x + cos * y], -1)


def _warp(images: torch.Tensor, affine: torch.Tensor, padding: str, mode: str) -> torch.Tensor:
    """Resample (B, ..., C, h, w): new pixel (c, r) is taken from old ``affine`` (B, 3, 3) @ it."""
    height, width = images.shape[-2:]
    flat = images.reshape(len(images), -1, height, width).float()
    c = torch.arange(width, device=images.device, dtype=torch.float32).expand(height, width)
    r = torch.arange(height, device=images.device, dtype=torch.float32)[:, None].expand_as(c)
    pixel = torch.stack([c, r, torch.ones_like(c)], -1)  # (h, w, 3)
    source = torch.einsum("bij,hwj->bhwi", affine[:, :2], pixel)
    grid = 2.0 * source / source.new_tensor([width - 1, height - 1]) - 1.0
    warped = F.grid_sample(flat, grid, mode, padding, align_corners=True)
    if not images.is_floating_point():
        warped = warped.round()
    return warped.to(images.dtype).reshape(images.shape)
