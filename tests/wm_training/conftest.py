"""A tiny synthetic world to train on: what the labels say is visible in the inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wm_dynamics.heads import LABELS
from wm_training.store import StoreWriter


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
