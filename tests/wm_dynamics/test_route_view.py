"""The route seen from imagined poses, against straight lines and circles."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from wm_dynamics.route_view import AHEAD_M, VIEW_DIM, fine_route, on_route, view, view_here
from wm_perception.route import Route


def seen(points: np.ndarray, s: float = 0.0) -> torch.Tensor:
    """The line of a route as observed from a vehicle on it that looks along x."""
    route = Route(points)
    ahead = route.sample(s + 3.0 * np.arange(1, 11))
    observed = torch.from_numpy((ahead / 20.0).astype(np.float32).reshape(1, -1))
    return fine_route(observed, 20.0)


def test_straight():
    line = seen(np.array([[0.0, 0.0], [100.0, 0.0]]))
    assert torch.allclose(line[0, :, 1], torch.zeros(31), atol=1e-5)
    assert torch.allclose(line[0, :, 0], torch.arange(31.0), atol=1e-4)
    path = torch.tensor([[[0.0, 0.0, 0.0], [7.3, 0.5, 0.1], [40.0, -2.0, -0.2]]])
    station, lateral, heading = on_route(path, line)
    assert station[0].tolist() == pytest.approx([0.0, 7.3, 40.0], abs=1e-3)
    assert lateral[0].tolist() == pytest.approx([0.0, 0.5, -2.0], abs=1e-3)
    assert heading[0].tolist() == pytest.approx([0.0, 0.1, -0.2], abs=1e-3)


@pytest.mark.parametrize("radius", [12.0, -20.0])
def test_along_a_curve(radius):
    angle = np.linspace(0.0, 2.5, 300)
    points = np.stack([abs(radius) * np.sin(angle), radius * (1 - np.cos(angle))], 1)
    line = seen(points)
    turned = torch.linspace(0.0, 20.0 / abs(radius), 9)
    sign = math.copysign(1.0, radius)
    inner = abs(radius) - 0.3  # 0.3 m towards the centre
    path = torch.stack(
        [inner * turned.sin(), radius - sign * inner * turned.cos(), sign * turned], -1
    )
    station, lateral, heading = on_route(path[None], line)
    wanted = turned * abs(radius)
    # The point beside the vehicle is not observed: the first metres are extrapolated.
    assert torch.allclose(station[0, 1:], wanted[1:], atol=0.3)
    assert torch.allclose(lateral[0, 2:], torch.full((7,), 0.3 * sign), atol=0.06)
    assert heading.abs().max() < 0.08


@pytest.mark.parametrize("rows", [1, 2, 300])
def test_the_view_from_here_is_that_from_the_origin(rows):
    torch.manual_seed(0)
    route = 0.15 * torch.arange(1, 11)[:, None] * torch.tensor([1.0, 0.0])
    route = route.flatten() + 0.1 * torch.randn(rows, 20)
    wanted = view(torch.zeros(rows, 3), fine_route(route, 20.0), 1.0)
    assert torch.allclose(view_here(route, 20.0, 1.0), wanted, atol=2e-5)


def test_what_is_not_finite_is_seen_as_such_and_alone():
    route = 0.15 * torch.ones(2, 20).cumsum(1)
    route[0, 4] = torch.nan
    here = view_here(route, 20.0, 1.0)
    assert here[0].isnan().any() and here[1].isfinite().all()


def test_constants_made_while_driving_serve_training_as_well():
    with torch.inference_mode():
        view(torch.zeros(1, 3), fine_route(torch.rand(1, 14), 20.0), 1.0)
    route = torch.rand(1, 14, requires_grad=True)
    view(torch.zeros(1, 3), fine_route(route, 20.0), 1.0).sum().backward()
    assert route.grad is not None


def test_gradients_say_which_way_is_forward_and_left():
    line = seen(np.array([[0.0, 0.0], [100.0, 0.0]]))
    path = torch.tensor([[[5.0, 1.0, 0.0]]], requires_grad=True)
    station, lateral, _ = on_route(path, line)
    (forward,) = torch.autograd.grad(station.sum(), path, retain_graph=True)
    (left,) = torch.autograd.grad(lateral.sum(), path)
    assert forward[0, 0, :2].tolist() == pytest.approx([1.0, 0.0], abs=1e-4)
    assert left[0, 0, :2].tolist() == pytest.approx([0.0, 1.0], abs=1e-4)


def test_the_view_by_hand():
    line = seen(np.array([[0.0, 0.0], [100.0, 0.0]]))
    pose = torch.tensor([[4.0, 0.5, 0.0], [25.0, 0.0, math.pi / 2]])
    found = view(pose, line.expand(2, -1, -1), 1.0)
    count = len(AHEAD_M)
    assert found.shape == (2, VIEW_DIM)
    # 0.5 m left of the route: its points are half a metre to the right.
    assert found[0].tolist() == pytest.approx(
        [1.0, 0.0, *[0.0] * count, *[-0.25] * count], abs=1e-3
    )
    # Across the route: it goes on to the right, also beyond the last observed point at 30 m.
    assert found[1, 1].item() == pytest.approx(5 * math.pi / 2, abs=1e-3)
    assert (-2.0 * found[1, -count:]).tolist() == pytest.approx(list(AHEAD_M), abs=1e-2)


def test_a_pose_further_on_sees_what_a_vehicle_there_observes():
    angle = np.linspace(0.0, 3.0, 300)
    points = np.stack([20.0 * np.sin(angle), 20.0 * (1.0 - np.cos(angle))], 1)
    turned = 6.0 / 20.0
    pose = torch.tensor([[20 * math.sin(turned), 20 * (1 - math.cos(turned)), turned]])
    ahead = view(pose, seen(points), 1.0)
    here = view(torch.zeros(1, 3), seen(points), 1.0)  # a circle looks the same everywhere
    near = torch.ones(VIEW_DIM, dtype=torch.bool)
    near[[7, 13]] = False  # 20 m ahead of there was not observed
    assert torch.allclose(ahead[:, near], here[:, near], atol=0.3)


def test_what_is_not_finite_stays_so():
    line = seen(np.array([[0.0, 0.0], [100.0, 0.0]]))
    assert view(torch.tensor([[math.nan, 0.0, 0.0]]), line, 1.0).isnan().any()
