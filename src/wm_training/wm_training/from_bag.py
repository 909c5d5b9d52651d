"""Training stores from recorded bags: the same observation and labelling code as everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from rich.console import Console

from wm_dynamics.errors import UserError
from wm_perception.frame import SceneFrame
from wm_perception.scene import Scene
from wm_perception.sync import FrameAssembler
from wm_training.collect import FRAMES_AFTER_END, episode_arrays
from wm_training.labels import LabelledFrame, Labeller
from wm_training.recording import BagReader, find_role, read_frames
from wm_training.store import StoreWriter

SHORTEST_EPISODE_S = 3.0
DT_GRID_S = 0.01  # frame periods are multiples of this


def frame_period(stamps_ns: Iterable[int]) -> float:
    """Seconds between frames: the median difference, on a grid of 10 ms.

    Raises:
        UserError: fewer than two frames.
    """
    steps = np.diff(np.asarray(list(stamps_ns), np.int64)) * 1e-9
    steps = steps[steps > 0]
    if not len(steps):
        raise UserError("the recording holds fewer than two complete frames")
    return max(DT_GRID_S, round(float(np.median(steps)) / DT_GRID_S) * DT_GRID_S)


def episodes(
    frames: Iterable[tuple[SceneFrame, Scene]], frame_dt: float
) -> Iterator[list[LabelledFrame]]:
    """Labelled frames, cut where the scene changes, the pose or the time jumps, or a crash ends it.

    Episodes shorter than ``SHORTEST_EPISODE_S`` are left out.
    """
    shortest = SHORTEST_EPISODE_S / frame_dt
    labeller, scene_now = None, None
    current: list[LabelledFrame] = []
    after_end = 0
    for frame, scene in frames:
        if labeller is None or scene is not scene_now:
            labeller, scene_now = Labeller(scene, frame_dt), scene
        labelled = labeller.label(frame)
        if labelled.observation.reset:
            if len(current) >= shortest:
                yield current
            current, after_end = [], 0
        if after_end > FRAMES_AFTER_END or labelled.observation.arrived:
            continue  # what follows a crash or the end of the route, until the next one begins
        current.append(labelled)
        if labelled.ended or after_end:
            after_end += 1
    if len(current) >= shortest:
        yield current


def build_store(bags: Iterable[Path], out: Path, role: str | None, console: Console) -> None:
    """Append every bag's episodes to the store ``out``, reporting what was used and why not.

    Raises:
        UserError: a path is no recording, no frame could be built, or the store does not fit.
    """
    for path in bags:
        reader = BagReader(path)
        name = role or find_role(reader)
        assembler = FrameAssembler(name)
        synchronised = read_frames(BagReader(path), assembler, name)
        # An assembler that wants scenes, as this one does, gives one with every frame.
        frames = [(frame, scene) for frame, scene in synchronised if scene is not None]
        if not frames:
            raise UserError(
                f"{path}: no complete frame; {_why_no_frame(assembler)} (role name '{name}')"
            )
        frame_dt = frame_period(frame.stamp_ns for frame, _ in frames)
        used, count = 0, 0
        with StoreWriter(out, frame_dt=frame_dt) as writer:
            for labelled in episodes(frames, frame_dt):
                writer.append_episode(episode_arrays(labelled), {"bag": path.name})
                used += len(labelled)
                count += 1
        if not count:
            raise UserError(f"{path}: no stretch of driving is longer than {SHORTEST_EPISODE_S} s")
        problems = ", ".join(f"{k} {n}" for k, n in assembler.health.problems.items() if n)
        console.print(
            f"{path}: {len(frames)} frames at {1 / frame_dt:.0f} Hz, {used} used in {count} "
            f"episodes" + (f"; problems: {problems}" if problems else "")
        )


def _why_no_frame(assembler: FrameAssembler) -> str:
    waiting = assembler.health.waiting_for
    if waiting:
        return f"still waiting for {waiting}"
    texts = list(assembler.health.texts.values())
    return texts[0] if texts else "a topic of the frame is missing from the recording"
