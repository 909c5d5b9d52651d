"""Two worlds to test with: synthetic episodes to train on, and a straight road to drive on.

In the synthetic episodes, what the labels say is visible in the inputs. And lets tests import
``drive_recorder.py`` beside them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from wm_dynamics.heads import LABELS
from wm_perception.frame import EgoState, LightBox, LightState, Objects, SceneFrame
from wm_perception.route import Route
from wm_perception.scene import Scene
from wm_training.store import StoreWriter

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module")
def one_thread():
    """Two runs can only be equal to the bit with one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _episode(rng: np.random.Generator, frames: int = 90) -> dict[str, np.ndarray]:
    """One episode: a block in the masks is the leader, its row the gap; the end is a collision."""
    speed = 5.0 + 2.0 * np.sin(np.arange(frames) / 20.0 + rng.uniform(0, 6))
    yaw_rate = rng.normal(0.0, 0.1, frames)
    command = rng.normal(0.0, 0.2, (frames, 2))
    gap = np.clip(np.linspace(30.0, 2.0, frames) + rng.normal(0, 0.2), 1.0, 40.0)
    bev = np.ones((frames, 64, 64), np.uint8)
    for t, row in enumerate((46 - gap / 0.8).astype(int)):
        bev[t, max(row, 0) : row + 4, 30:34] |= 8
    labels = dict.fromkeys(LABELS, np.zeros(frames))
    labels |= {
        "lateral": rng.normal(0, 0.2, frames),
        "leader_present": (gap < 28).astype(float),
        "leader_gap": gap,
        "leader_speed": speed,
        "stop_present": np.arange(frames) % 40 < 10,
        "stop_distance": gap,
        "collision": np.arange(frames) == frames - 1,
        "progress": speed * 0.1,
        "reward": speed * 0.1,
        "cont": np.arange(frames) < frames - 1,
    }
    zero = np.zeros(frames)
    return {
        "bev": bev,
        "state": np.stack([speed / 10, yaw_rate, command[:, 0], command[:, 1], zero], 1),
        "route": rng.normal(0, 0.1, (frames, 20)),
        "command": command,
        "motion": np.stack([speed * 0.1, zero, yaw_rate * 0.1], 1),
        "labels": np.stack([labels[name] for name in LABELS], 1),
    }


def _write_store(path: Path, episodes: int = 6, seed: int = 0, frames: int = 90) -> Path:
    """A store of synthetic episodes."""
    rng = np.random.default_rng(seed)
    with StoreWriter(path) as writer:
        for index in range(episodes):
            writer.append_episode(_episode(rng, frames), {"index": index})
    return path


@pytest.fixture(scope="session")
def episode():
    """The function that makes one synthetic episode."""
    return _episode


@pytest.fixture(scope="session")
def write_store():
    """The function that writes a store of synthetic episodes."""
    return _write_store


NOBODY = Objects()


class StraightRoad:
    """A 10 m wide road along y = 0; the route leads 200 m along x; light 7 stops it at x = 50."""

    stop_x, light = 50.0, 7

    @staticmethod
    def scene() -> Scene:
        road = np.zeros((400, 1600), np.uint8)
        road[180:220] = 255  # 4 px per metre, 400 m long from x = -100
        town = SimpleNamespace(
            name="straight",
            road=road,
            line=np.zeros_like(road),
            origin=np.array([-100.0, -50.0]),
            is_off_road=lambda ego: abs(ego.y) > 5.0,
        )
        route = Route(np.array([[0.0, 0.0], [200.0, 0.0]]))
        return Scene(town, route, (LightBox(StraightRoad.light, (48.0, 0.0), 0.0, 4.0, 3.0),))

    @staticmethod
    def frame(
        x: float,
        y: float = 0.0,
        *,
        number: int = 0,
        speed: float = 5.0,
        cars: Objects = NOBODY,
        light: LightState = LightState.GREEN,
        collided: bool = False,
    ) -> SceneFrame:
        """Frame ``number`` of 10 a second, the ego (4 m x 2 m) at (x, y) along the road."""
        ego = EgoState(x, y, 0.0, speed, length=4.0, width=2.0)
        states = {StraightRoad.light: light}
        return SceneFrame(number * 100_000_000, ego, cars, states, collided)

    @staticmethod
    def car(x: float, y: float = 0.0, speed: float = 0.0) -> Objects:
        """One other car (4 m x 2 m) that drives along the road."""
        return Objects(
            np.array([1]),
            np.array([[x, y, 0.0]]),
            np.array([[speed, 0.0]]),
            np.array([[4.0, 2.0]]),
        )


@pytest.fixture
def road() -> type[StraightRoad]:
    """A straight road, small enough to check by hand."""
    return StraightRoad
