"""Faults of odometry, objects and lights as they reach the observation: to test doubt with.

They change scene frames, what synchronisation hands over; masks, state and way points follow from
them. All are seeded, none changes its input. Those of cameras are in ``picture_faults``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from wm_perception.frame import EgoState, LightState, Objects, SceneFrame

# Frames -> frames, of one drive in order.
FrameChange = Callable[[Sequence[SceneFrame], np.random.Generator], list[SceneFrame]]

POSE_NOISE_M, YAW_NOISE_RAD, SPEED_NOISE_MPS = 0.4, 0.04, 1.0
YAW_OFFSET_RAD, SPEED_SCALE = 0.2, 0.6
# A pose held longer than this ends in a jump, at which everything downstream starts afresh.
HELD_POSE_FRAMES = 3
HELD_FRAMES, GONE_FRAMES = 20, 10  # how long objects stand still, or are gone
OBJECT_NOISE_M, OBJECT_NOISE_MPS = 1.5, 3.0
SEEN_SHARE = 0.5  # of flickering objects, per frame
DELAY_FRAMES = 8


def _moved(ego: EgoState, dx: float, dy: float, dyaw: float) -> EgoState:
    yaw = (ego.yaw + dyaw + np.pi) % (2.0 * np.pi) - np.pi
    return replace(ego, x=ego.x + dx, y=ego.y + dy, yaw=float(yaw))


def _noisy_odometry(frames: Sequence[SceneFrame], rng: np.random.Generator) -> list[SceneFrame]:
    noise = rng.normal(0.0, [POSE_NOISE_M, POSE_NOISE_M, YAW_NOISE_RAD], (len(frames), 3))
    speed = rng.normal(0.0, SPEED_NOISE_MPS, len(frames))
    return [
        replace(f, ego=replace(_moved(f.ego, *pose), speed_mps=f.ego.speed_mps + float(more)))
        for f, pose, more in zip(frames, noise, speed, strict=True)
    ]


def _turned_odometry(frames: Sequence[SceneFrame], rng: np.random.Generator) -> list[SceneFrame]:
    turn = YAW_OFFSET_RAD * rng.choice([-1.0, 1.0])
    return [replace(f, ego=_moved(f.ego, 0.0, 0.0, turn)) for f in frames]


def _scaled_speed(frames: Sequence[SceneFrame], rng: np.random.Generator) -> list[SceneFrame]:
    return [replace(f, ego=replace(f.ego, speed_mps=SPEED_SCALE * f.ego.speed_mps)) for f in frames]


def _measured(ego: EgoState, now: EgoState) -> EgoState:
    """What odometry said earlier with the command that is reported now."""
    return replace(ego, command=now.command)


def _stuttering_odometry(
    frames: Sequence[SceneFrame], rng: np.random.Generator
) -> list[SceneFrame]:
    return [
        replace(f, ego=_measured(frames[i].ego, f.ego))
        for f, i in zip(frames, _held(len(frames), HELD_POSE_FRAMES, rng), strict=True)
    ]


def _frozen_odometry(frames: Sequence[SceneFrame], rng: np.random.Generator) -> list[SceneFrame]:
    last = int(rng.integers(len(frames) // 4, len(frames) // 2))
    return [
        replace(f, ego=_measured(frames[min(i, last)].ego, f.ego)) for i, f in enumerate(frames)
    ]


def _held(count: int, period: int, rng: np.random.Generator) -> list[int]:
    """Which frame each of ``count`` frames shows when only every ``period``-th is new."""
    first = int(rng.integers(period))
    return [max(i - (i - first) % period, 0) for i in range(count)]


def _late_odometry(frames: Sequence[SceneFrame], rng: np.random.Generator) -> list[SceneFrame]:
    return [
        replace(f, ego=_measured(frames[max(i - DELAY_FRAMES, 0)].ego, f.ego))
        for i, f in enumerate(frames)
    ]


def _flickering_objects(frames: Sequence[SceneFrame], rng: np.random.Generator) -> list[SceneFrame]:
    return [
        replace(f, objects=f.objects[np.flatnonzero(rng.random(len(f.objects)) < SEEN_SHARE)])
        for f in frames
    ]


def _objects_that_come_and_go(
    frames: Sequence[SceneFrame], rng: np.random.Generator
) -> list[SceneFrame]:
    first = int(rng.integers(2 * GONE_FRAMES))
    return [
        replace(f, objects=Objects()) if (i + first) // GONE_FRAMES % 2 else f
        for i, f in enumerate(frames)
    ]


def _noisy_objects(frames: Sequence[SceneFrame], rng: np.random.Generator) -> list[SceneFrame]:
    changed = []
    for frame in frames:
        ids, poses, velocities, *rest = frame.objects.columns()
        shift = np.pad(rng.normal(0.0, OBJECT_NOISE_M, (len(ids), 2)), ((0, 0), (0, 1)))
        speed = rng.normal(0.0, OBJECT_NOISE_MPS, (len(ids), 2))
        objects = Objects(ids, poses + shift, velocities + speed, *rest)
        changed.append(replace(frame, objects=objects))
    return changed


def _stuttering_objects(frames: Sequence[SceneFrame], rng: np.random.Generator) -> list[SceneFrame]:
    held = _held(len(frames), HELD_FRAMES, rng)
    return [replace(f, objects=frames[i].objects) for f, i in zip(frames, held, strict=True)]


def _wild_lights(frames: Sequence[SceneFrame], rng: np.random.Generator) -> list[SceneFrame]:
    states = (LightState.RED, LightState.GREEN)
    return [
        replace(f, light_states={light: states[rng.integers(2)] for light in f.light_states})
        for f in frames
    ]


# Those of odometry reach every model, the others one that sees masks.
ODOMETRY: dict[str, FrameChange] = {
    "odometry_noise": _noisy_odometry,
    "odometry_turned": _turned_odometry,
    "odometry_stutter": _stuttering_odometry,
    "odometry_frozen": _frozen_odometry,
    "odometry_delay": _late_odometry,
    "speed_scale": _scaled_speed,
}
SURROUNDINGS: dict[str, FrameChange] = {
    "objects_flicker": _flickering_objects,
    "objects_gone": _objects_that_come_and_go,
    "objects_noise": _noisy_objects,
    "objects_stutter": _stuttering_objects,
    "lights_wild": _wild_lights,
}
