"""Augmented windows stay true: what is painted, named and labelled moves together."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from wm_dynamics import augment
from wm_dynamics.augment import GroundView
from wm_dynamics.ego import integrate
from wm_dynamics.heads import LABELS
from wm_perception.bev import EGO_ROW, METRES_PER_PX, SIZE_PX, map_to_bev
from wm_perception.conventions import to_ego
from wm_perception.observation import ROUTE_SCALE_M

COLUMNS = {name: i for i, name in enumerate(LABELS)}
VIEW = GroundView(METRES_PER_PX, EGO_ROW)
OFFSETS = torch.tensor([[0.0, 0.0, 0.0], [0.8, -1.6, 0.1], [-0.5, 2.0, -0.2]])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def displaced(pose: np.ndarray, offset: torch.Tensor) -> np.ndarray:
    """Map pose of the vehicle displaced by ``offset`` in its own frame."""
    dx, dy, dyaw = offset.tolist()
    x, y, yaw = pose
    cos, sin = math.cos(yaw), math.sin(yaw)
    return np.array([x + cos * dx - sin * dy, y + sin * dx + cos * dy, yaw + dyaw])


def labels_on_a_straight_route(pose: np.ndarray) -> torch.Tensor:
    """Labels of a vehicle at ``pose``; the route is the map's x axis, a stop line at x = 60."""
    labels = torch.zeros(len(LABELS))
    labels[COLUMNS["lateral"]], labels[COLUMNS["heading"]] = float(pose[1]), float(pose[2])
    for name, presence in (("stop_distance", "stop_present"), ("leader_gap", "leader_present")):
        labels[COLUMNS[name]], labels[COLUMNS[presence]] = 60.0 - float(pose[0]), 1.0
    labels[COLUMNS["reward"]] = -0.1 * abs(float(pose[1]))
    return labels


@pytest.mark.parametrize("offset", OFFSETS)
def test_masks_show_what_the_painter_would_paint(offset):
    pose, landmark = np.array([30.0, -4.0, 0.7]), np.array([45.0, 10.0, 1.0])

    def painted(at: np.ndarray) -> tuple[int, int]:
        column, row = map_to_bev(at) @ landmark
        return round(row), round(column)

    masks = torch.zeros(1, 2, SIZE_PX, SIZE_PX, dtype=torch.uint8)
    row, column = painted(pose)
    masks[0, :, row - 1 : row + 2, column - 1 : column + 2] = 0b100101
    moved = augment.warp_ground(masks, offset[None], VIEW)
    assert moved.dtype == torch.uint8 and set(moved.unique().tolist()) == {0, 0b100101}
    rows, columns = (moved[0, 1] > 0).nonzero().float().mean(0).tolist()
    expected = painted(displaced(pose, offset))
    assert (rows, columns) == pytest.approx(expected, abs=1.0)


@pytest.mark.parametrize("offset", OFFSETS)
def test_way_points_are_those_of_the_displaced_pose(offset):
    pose = np.array([30.0, -4.0, 0.7])
    points = np.random.default_rng(0).normal(0.0, 20.0, (10, 2)) + pose[:2]

    def seen(at: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(to_ego(points, at) / ROUTE_SCALE_M).float().flatten()[None, None]

    moved = augment.move_route(seen(pose), offset[None], ROUTE_SCALE_M)
    torch.testing.assert_close(moved, seen(displaced(pose, offset)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("offset", OFFSETS)
def test_labels_are_those_of_the_displaced_pose(offset):
    pose = np.array([30.0, 0.6, 0.15])
    labels = labels_on_a_straight_route(pose)[None, None]
    moved = augment.move_labels(labels, offset[None], COLUMNS, lateral_cost=0.1)
    expected = labels_on_a_straight_route(displaced(pose, offset))
    torch.testing.assert_close(moved[0, 0], expected, rtol=1e-4, atol=1e-5)


def test_absent_things_stay_absent_and_headings_wrap():
    labels = torch.zeros(1, 1, len(LABELS))
    labels[..., COLUMNS["stop_distance"]] = 40.0
    labels[..., COLUMNS["heading"]] = 3.1
    moved = augment.move_labels(labels, torch.tensor([[1.0, 0.0, 0.1]]), COLUMNS)[0, 0]
    assert moved[COLUMNS["stop_distance"]] == 40.0
    assert moved[COLUMNS["heading"]] == pytest.approx(3.2 - 2 * math.pi, abs=1e-5)


@pytest.mark.parametrize("offset", OFFSETS)
def test_the_displaced_vehicle_drives_the_displaced_path(offset):
    motion = 0.3 * torch.randn(1, 12, 3, generator=generator())
    path = integrate(motion)[0]
    poses = torch.from_numpy(np.array([displaced(p.numpy(), offset) for p in path])).float()
    start = displaced(np.zeros(3), offset)
    expected = torch.from_numpy(to_ego(poses[:, :2].numpy(), start)).float()
    moved = integrate(augment.move_motion(motion, offset[None]))[0]
    torch.testing.assert_close(moved[:, :2], expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(moved[:, 2], path[:, 2])


def test_a_window_moves_as_one():
    window = {
        "bev": torch.randint(0, 64, (3, 2, 64, 64), generator=generator(), dtype=torch.uint8),
        "route": torch.randn(3, 2, 20, generator=generator()),
        "motion": torch.randn(3, 2, 3, generator=generator()),
        "labels": torch.rand(3, 2, len(LABELS), generator=generator()),
        "state": torch.randn(3, 2, 5, generator=generator()),
    }
    before = {name: value.clone() for name, value in window.items()}
    moved = augment.displace(window, OFFSETS, COLUMNS, {"bev": VIEW}, ROUTE_SCALE_M)
    assert set(moved) == set(window)
    for name, value in moved.items():
        assert torch.equal(window[name], before[name]), "inputs are left alone"
        torch.testing.assert_close(value[0], window[name][0])  # no offset, no change
        assert torch.equal(value[1], window[name][1]) == (name == "state")


def test_cameras_turn_but_do_not_move():
    image = torch.zeros(1, 1, 32, 64, 3, dtype=torch.uint8)
    image[..., 32, :] = 200
    window = {"camera_front": image}
    arguments = (COLUMNS, {}, ROUTE_SCALE_M, math.pi / 2)
    moved = augment.displace(window, torch.tensor([[0.0, 0.0, 0.125]]), *arguments)
    # Turned left by 0.125 rad, what was ahead is right of the centre by f * tan = 32 * 0.1257 px.
    assert moved["camera_front"][0, 0, 5, :, 0].argmax() == 36
    with pytest.raises(ValueError, match="turned, not moved"):
        augment.displace(window, OFFSETS[1:2], *arguments)


def test_offsets_are_bounded_reproducible_and_spare_events():
    labels = torch.zeros(64, 4, len(LABELS))
    labels[5, 2, COLUMNS["collision"]] = 1.0
    offsets = augment.draw_offsets(labels, COLUMNS, generator(), sideways_m=0.4, turn_rad=0.05)
    assert (offsets.abs().amax(0) <= torch.tensor([0.0, 0.4, 0.05])).all()
    assert (offsets[5] == 0).all() and (offsets[6, 1:] != 0).all()
    again = augment.draw_offsets(labels, COLUMNS, generator(), sideways_m=0.4, turn_rad=0.05)
    assert torch.equal(offsets, again)


def test_shifted_images_repeat_their_edge():
    image = torch.arange(5.0).expand(2, 1, 3, 5).clone()
    moved = augment.shift_images(image, torch.tensor([2.0, -1.0]), torch.zeros(2))
    torch.testing.assert_close(moved[0, 0, 0], torch.tensor([0.0, 0.0, 0.0, 1.0, 2.0]))
    torch.testing.assert_close(moved[1, 0, 0], torch.tensor([1.0, 2.0, 3.0, 4.0, 4.0]))
