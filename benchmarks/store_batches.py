"""Frames a second from a training store to batches: ``python benchmarks/store_batches.py``.

Writes a store of made-up drives, with a camera of 80 x 144 px, and draws 16 windows of 24 steps
from it, again and again: masks alone, with the camera, and with the camera when the pictures are
not in the system's memory. Beside it, in the same run, torchrl's replay buffer over the same frames
in its own memory-mapped storage. Then trains a model on such batches and notes how long the
training step waited for them. Prints one JSON object; all times are wall time.

The peer cuts slices of 24 consecutive frames. Ours take every second frame, sum up what happened in
between, and may end with the episode.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from tensordict import TensorDict
from torchrl.data import LazyMemmapStorage, ReplayBuffer, SliceSampler

from wm_dynamics.heads import LABELS
from wm_dynamics.model import WorldModel
from wm_dynamics.variants import variant
from wm_training.loader import Loader
from wm_training.losses import world_model_loss
from wm_training.sampler import Kind, make_sampler
from wm_training.store import Store, StoreWriter
from wm_training.store_columns import AGE, COLUMNS, IMAGE, camera_columns
from wm_training.train_config import LossConfig

BATCH, LENGTH, STRIDE = 16, 24, 2
HEIGHT, WIDTH = 80, 144
EPISODE = 500  # frames
ROUNDS = 7
CAMERA = "camera_front"


def write_store(path: Path, frames: int) -> None:
    """Drives of random pictures, whose labels have every event now and then."""
    rng = np.random.default_rng(0)
    with StoreWriter(path, columns=(*COLUMNS, *camera_columns(["front"]))) as writer:
        for _ in range(max(1, frames // EPISODE)):
            labels = rng.random((EPISODE, len(LABELS))) < 0.01
            writer.append_episode(
                {
                    "bev": rng.integers(0, 64, (EPISODE, 64, 64), np.uint8),
                    "state": rng.normal(size=(EPISODE, 5)),
                    "route": rng.normal(size=(EPISODE, 20)),
                    "command": rng.uniform(-1, 1, (EPISODE, 2)),
                    "motion": 0.1 * rng.normal(size=(EPISODE, 3)),
                    "labels": labels,
                    IMAGE + "front": rng.integers(0, 255, (EPISODE, HEIGHT, WIDTH, 3), np.uint8),
                    AGE + "front": np.zeros(EPISODE),
                }
            )


def forget(path: Path) -> None:
    """Take the store's files out of the system's memory; nobody may have them mapped."""
    os.sync()
    for file in path.rglob("*.npy"):
        descriptor = os.open(file, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def frames_per_s(draw: Callable[[], object], batches: int, rounds: int = ROUNDS) -> float:
    """Median over rounds of ``batches`` draws each."""
    speeds = []
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(batches):
            draw()
        speeds.append(batches * BATCH * LENGTH / (time.perf_counter() - began))
    return statistics.median(speeds)


def torchrl_buffer(store: Store, folder: Path, camera: bool) -> ReplayBuffer:
    """The same frames in torchrl's memory-mapped storage."""
    streams = {"bev": store.bev} | ({CAMERA: store.pictures(CAMERA)} if camera else {})
    buffer = ReplayBuffer(
        storage=LazyMemmapStorage(store.frames, scratch_dir=folder),
        sampler=SliceSampler(slice_len=LENGTH, traj_key="episode", cache_values=True),
        batch_size=BATCH * LENGTH,
    )
    for index, (first, last) in enumerate(zip(store.starts, store.starts[1:], strict=False)):
        rows = slice(int(first), int(last))
        drive = {name: torch.from_numpy(np.array(part[index])) for name, part in streams.items()}
        drive |= {name: torch.from_numpy(part[rows]) for name, part in store.columns.items()}
        drive["episode"] = torch.full((rows.stop - rows.start,), index)
        buffer.extend(TensorDict(drive, batch_size=[rows.stop - rows.start]))
    return buffer


def stall_fraction(store: Store, inputs: str, steps: int) -> tuple[float, float]:
    """Share of the training time spent waiting for batches, and milliseconds of a step."""
    shape = {"camera": {"height": HEIGHT, "width": WIDTH}} if inputs == "camera" else {}
    config = variant("small", inputs=inputs, **shape)
    model = WorldModel.untrained(config).train()
    learned = [p for name, p in model.named_parameters() if not name.startswith("ego.")]
    optimizer = torch.optim.AdamW(learned, 1e-3)
    columns = {name: i for i, name in enumerate(store.labels)}
    sampler = make_sampler("mixture", store, LENGTH, STRIDE, streams=config.streams)
    loader, began = Loader(sampler, BATCH), 0.0
    for step in range(steps + 1):
        if step == 1:  # the first step warms everything up
            began, loader.waited_s = time.perf_counter(), 0.0
        batch = loader.next()
        with torch.autocast("cpu", torch.bfloat16):
            loss, _ = world_model_loss(model, batch, columns, LossConfig())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    took = time.perf_counter() - began
    loader.close()
    return loader.waited_s / took, 1e3 * took / steps


def cold_frames_per_s(path: Path, batches: int) -> float:
    """With the camera, and the pictures on the disk only."""
    forget(path)
    sampler = make_sampler("uniform", Store.open(path), LENGTH, STRIDE, streams=(CAMERA,))
    return frames_per_s(lambda: sampler.batch(BATCH), batches, rounds=1)


def side_by_side(store: Store, scratch: Path, camera: bool, batches: int) -> tuple[float, float]:
    """Frames a second of ours and of torchrl's, all in memory."""
    streams = (CAMERA,) if camera else ()
    sampler = make_sampler("mixture", store, LENGTH, STRIDE, streams=streams)
    buffer = torchrl_buffer(store, scratch, camera)
    for warm in (lambda: sampler.batch(BATCH), buffer.sample):
        frames_per_s(warm, batches, rounds=2)
    ours = frames_per_s(lambda: sampler.batch(BATCH), batches)
    return ours, frames_per_s(buffer.sample, batches)


def kind_frames_per_s(store: Store, kind: Kind, batches: int) -> float:
    """With one kind of sampler, which is told the losses of every batch."""
    sampler = make_sampler(kind, store, LENGTH, STRIDE)

    def step() -> None:
        draw = sampler.draw(BATCH)
        sampler.read(draw)
        sampler.update(draw, torch.ones(BATCH))

    return frames_per_s(step, batches)


def measure(path: Path, scratch: Path, batches: int, steps: int) -> dict:
    """All figures of one store."""
    cold = cold_frames_per_s(path, max(1, batches // 10))
    store = Store.open(path)
    result: dict = {"camera_cold_frames_per_s": round(cold)}
    for name, camera in (("", False), ("camera_", True)):
        ours, peer = side_by_side(store, scratch / f"peer{name}", camera, batches)
        result[f"{name}frames_per_s"] = round(ours)
        result[f"torchrl_{name}frames_per_s"] = round(peer)
        result[f"{name}speedup_vs_torchrl"] = round(ours / peer, 2)
    result["kinds_frames_per_s"] = {
        kind: round(kind_frames_per_s(store, kind, batches)) for kind in get_args(Kind)
    }
    for name, inputs in (("", "bev"), ("camera_", "camera")):
        stalled, step_ms = stall_fraction(store, inputs, steps)
        result[f"{name}stall_fraction"] = round(stalled, 5)
        result[f"{name}step_ms"] = round(step_ms, 1)
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=15000, help="of the store")
    parser.add_argument("--batches", type=int, default=60, help="of each round")
    parser.add_argument("--steps", type=int, default=12, help="of training")
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary one)")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("torchrl").setLevel(logging.WARNING)  # it tells of every storage
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        write_store(Path(folder, "store"), arguments.frames)
        result = measure(Path(folder, "store"), Path(folder), arguments.batches, arguments.steps)
    result |= {
        "batch": f"{BATCH} x {LENGTH}",
        "camera": f"{HEIGHT} x {WIDTH}",
        "frames": arguments.frames,
        "machine": platform.processor() or platform.machine(),
    }
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.json is not None:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
