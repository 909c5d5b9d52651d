"""What a filter step shows of how usual it was: numbers by group, for :mod:`wm_dynamics.novelty`.

======== ===================================================== ===================================
group    numbers                                               what stands out
======== ===================================================== ===================================
scene    the encoder's embedding                               weather, streets never seen
doubt    log surprise, log disagreement of the one-step prior  a world that behaves strangely
motion   measured motion and state less the ego network's      odometry that is wrong, poor grip
masks    per channel, what appears, vanishes and changes when  objects or lights that flicker,
         the masks of a step ago are moved with the vehicle    jump or stand still
camera_X brightness, contrast, sharpness and change by block   black, frozen, noisy, dirty pictures
======== ===================================================== ===================================

A group is there when its streams are, now and a step ago.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from wm_dynamics.bev import pack_bev
from wm_dynamics.config import ModelConfig

# Residuals this small are noise: dx, dy (m), dyaw (rad); speed/10, yaw rate, steer, accel, accel/5.
RESIDUAL_SCALE = np.array([0.02, 0.02, 0.01, 0.02, 0.05, 0.05, 0.05, 0.05], np.float32)
LEAST_DISAGREEMENT = 1e-4
VEHICLE, HEADING = 3, 4  # channels of the masks: vehicles, and where they go next
MARGIN_PX = 5  # at the border of the masks things enter and leave
BLOCKS = 4  # per side of a picture
CODES = 255.0


class Expectation(Protocol):
    """How the vehicle should move; any runtime's ego network."""

    def expected(self, state: Any, action: Any) -> tuple[np.ndarray, np.ndarray]:
        """State (B, 5), action (B, 2) -> next state (B, 5), motion (B, 3)."""


class Seen(Protocol):
    """What a runtime made of a look at the world, see :class:`wm_dynamics.rollout.Observed`."""

    @property
    def latent(self) -> Any:
        """The belief now."""

    @property
    def surprise(self) -> Any:
        """(B,) nats."""

    @property
    def disagreement(self) -> Any:
        """(B,)."""

    @property
    def embedding(self) -> Any:
        """(B, E) float32."""


@dataclass(frozen=True)
class Glimpse:
    """One observed step of B sequences; numpy arrays, or tensors that convert to them.

    Attributes:
        action: (B, 2) that led here.
        motion: (B, 3) dx, dy (m), dyaw (rad) that led here.
        streams: raw streams by name, see :mod:`wm_dynamics.streams`.
        observed: what the model made of it.
    """

    action: Any
    motion: Any
    streams: Mapping[str, Any]
    observed: Seen


def signs(
    now: Glimpse, before: Glimpse, ego: Expectation, config: ModelConfig
) -> dict[str, np.ndarray]:
    """The numbers of one step, group -> (B, d) float32.

    Args:
        now: the step.
        before: the one before it.
        ego: the model's ego network.
        config: of the model.
    """
    seen = now.observed
    disagreement = np.log(_array(seen.disagreement) + np.float32(LEAST_DISAGREEMENT))
    found = {
        "scene": _array(seen.embedding),
        "doubt": np.stack([np.log1p(_array(seen.surprise)), disagreement], -1),
    }
    both = now.streams.keys() & before.streams.keys()
    if "state" in both:
        found["motion"] = _residual(now, before.streams["state"], ego)
    if "bev" in both:
        masks, old = (_packed(step.streams["bev"]) for step in (now, before))
        found["masks"] = mask_signs(masks, old, np.asarray(now.motion), config)
    for name in config.cameras:
        if name in both:
            pictures = (np.asarray(step.streams[name]) for step in (now, before))
            found[name] = picture_signs(*pictures)
    return found


def _array(values: Any) -> np.ndarray:
    """As float32."""
    return np.asarray(values, np.float32)


def _residual(now: Glimpse, state_before: Any, ego: Expectation) -> np.ndarray:
    """(B, 8) what the ego network did not expect, on a scale that is linear near 0, then log."""
    state, motion = ego.expected(state_before, now.action)
    rest = np.concatenate([_array(now.motion) - motion, _array(now.streams["state"]) - state], -1)
    return np.sign(rest) * np.log1p(np.abs(rest) / RESIDUAL_SCALE)


def _packed(masks: Any) -> np.ndarray:
    """(B, S, S) uint8 bit masks, whatever form they came in."""
    given = np.asarray(masks)
    return given if given.ndim == 3 else pack_bev(given)


def mask_signs(
    now: np.ndarray, before: np.ndarray, motion: np.ndarray, config: ModelConfig
) -> np.ndarray:
    """(B, d) logarithms of counts of cells, and the way driven.

    Per channel: cells that appear, that vanish, that change, and that are set. A cell appears when
    nothing of its channel was within a cell of it in the moved masks of a step ago, and vanishes
    the other way round. Of vehicles also: those that appear where none was heading; the way ahead
    of moving ones, how much of it they took, and how much of them stayed where it was.

    Args:
        now, before: (B, S, S) uint8 bit masks.
        motion: (B, 3) of the vehicle between them.
        config: gives channels and geometry of the masks.
    """
    moved = moved_masks(before, motion, config)
    planes = [now & ~_grown(moved), moved & ~_grown(now), now ^ moved, now]
    bits = [1 << channel for channel in range(config.bev_channels)]
    shown = [plane & bit for plane in planes for bit in bits]
    if config.bev_channels > HEADING:
        there, was, heading = (
            plane >> channel & 1
            for plane, channel in ((now, VEHICLE), (moved, VEHICLE), (moved, HEADING))
        )
        ahead = heading & ~was
        shown += [there & ~_grown(was | heading), ahead, there & ahead]
        shown.append(there & was & _grown(heading))
    inner = (slice(None), slice(MARGIN_PX, -MARGIN_PX), slice(MARGIN_PX, -MARGIN_PX))
    counts = np.stack([np.count_nonzero(plane[inner], (1, 2)) for plane in shown], 1)
    way = np.hypot(motion[:, 0], motion[:, 1])[:, None]
    return np.concatenate([np.log1p(counts), way], 1).astype(np.float32)


def moved_masks(masks: np.ndarray, motion: np.ndarray, config: ModelConfig) -> np.ndarray:
    """(B, S, S) bit masks as they look after ``motion`` (B, 3); 0 where nothing was seen."""
    side, metres = config.bev_size, config.bev_metres_per_px
    ego_row, ego_column = config.bev_ego_row * side, side / 2
    row, column = np.mgrid[:side, :side] + 0.5
    x, y = (ego_row - row) * metres, (ego_column - column) * metres
    dx, dy, yaw = (part[:, None, None] for part in motion.T)
    cos, sin = np.cos(yaw), np.sin(yaw)
    source_row = np.floor(ego_row - (cos * x - sin * y + dx) / metres)
    source_column = np.floor(ego_column - (sin * x + cos * y + dy) / metres)
    inside = (np.minimum(source_row, source_column) >= 0) & (
        np.maximum(source_row, source_column) < side
    )
    rows, columns = (np.where(inside, s, 0).astype(np.intp) for s in (source_row, source_column))
    return np.where(inside, masks[np.arange(len(masks))[:, None, None], rows, columns], 0)


def _grown(masks: np.ndarray) -> np.ndarray:
    """Bit masks with every set cell's eight neighbours set too."""
    for axis in (1, 2):
        padded = np.pad(masks, [(1, 1) if a == axis else (0, 0) for a in range(3)])
        low, high = (np.take(padded, np.arange(masks.shape[axis]) + d, axis) for d in (0, 2))
        masks = masks | low | high
    return masks


def picture_signs(now: np.ndarray, before: np.ndarray) -> np.ndarray:
    """(B, 3 * BLOCKS^2 + 4): by block brightness, log contrast and log change; hue, sharpness.

    Args:
        now, before: (B, h, w, 3) uint8.
    """
    rows = len(now)
    grey, old = (p.mean(-1, dtype=np.float32) for p in (now, before))
    blocks, changes = _blocks(grey), _blocks(np.abs(grey - old))
    colours = now.reshape(rows, -1, 3).mean(1, dtype=np.float32)
    edges = np.abs(4 * grey[:, 1:-1, 1:-1] - grey[:, :-2, 1:-1] - grey[:, 2:, 1:-1]
                   - grey[:, 1:-1, :-2] - grey[:, 1:-1, 2:])  # fmt: skip
    return np.concatenate(
        [
            blocks.mean(-1) / CODES,
            np.log1p(blocks.std(-1)),
            np.log1p(changes.mean(-1)),
            (colours - colours.mean(1, keepdims=True)) / CODES,
            np.log1p(edges.mean((1, 2)))[:, None],
        ],
        1,
    ).astype(np.float32)


def _blocks(grey: np.ndarray) -> np.ndarray:
    """(B, h, w) -> (B, BLOCKS^2, pixels of a block)."""
    rows, height, width = grey.shape
    split = grey.reshape(rows, BLOCKS, height // BLOCKS, BLOCKS, width // BLOCKS)
    return split.swapaxes(2, 3).reshape(rows, BLOCKS * BLOCKS, -1)
