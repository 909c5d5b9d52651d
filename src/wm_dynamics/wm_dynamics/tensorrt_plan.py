"""Where everything lies when a whole rollout is one CUDA graph: buffers, and who reads which.

All device memory of a plan is one arena, and so is its pinned mirror on the host. What goes in lies
first, what comes out last: one copy each way. A step reads what the step before wrote, where it
wrote it; nothing is moved in between. Blocks begin at multiples of 256 bytes, as TensorRT wants it.

Known before any GPU is met: this module is arithmetic only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import ml_dtypes  # noqa: F401 (numpy learns the name bfloat16)
import numpy as np

from wm_dynamics.config import ModelConfig
from wm_dynamics.heads import HEADS
from wm_dynamics.scales import checked_steps

ALIGNMENT = 256  # bytes; of every address that TensorRT is given


@dataclass(frozen=True)
class Buffer:
    """Equal blocks one after the other.

    Attributes:
        name: of the buffer.
        dtype: numpy's name.
        shape: of one block.
        blocks: how many.
        offset: bytes from the start of the arena.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    blocks: int
    offset: int

    @property
    def stride(self) -> int:
        """Bytes from block to block."""
        size = math.prod(self.shape) * np.dtype(self.dtype).itemsize
        return -(-size // ALIGNMENT) * ALIGNMENT

    @property
    def end(self) -> int:
        """First byte behind it."""
        return self.offset + self.blocks * self.stride

    def address(self, block: int) -> int:
        """Bytes from the start of the arena to a block.

        Raises:
            IndexError: there is no such block.
        """
        if not 0 <= block < self.blocks:
            raise IndexError(f"{self.name} has no block {block}")
        return self.offset + block * self.stride

    def views(self, arena: np.ndarray) -> list[np.ndarray]:
        """Its blocks in an arena of bytes on the host."""
        return [
            np.ndarray(self.shape, self.dtype, arena.data, self.address(i))
            for i in range(self.blocks)
        ]


@dataclass(frozen=True)
class Launch:
    """One run of a graph.

    Attributes:
        graph: "step" or "step_checked".
        tensors: name of each of its inputs and outputs -> buffer and block.
    """

    graph: str
    tensors: Mapping[str, tuple[str, int]]


@dataclass(frozen=True)
class RolloutPlan:
    """All that a rollout of one shape needs.

    Attributes:
        rows: N, candidates of one chunk.
        chunks: 1, or K where every member imagines all candidates by itself.
        horizon: H.
        buffers: by name, in the order they lie.
        launches: in their order.
        members: (H, chunks) which member moves at each step, the contents of buffer "member".
        checked: steps at which the ensemble is compared.
        inputs_end: bytes of the arena that are copied in, from its start.
        outputs_start: from here to its end it is copied out.
        size: bytes of the arena.
    """

    rows: int
    chunks: int
    horizon: int
    buffers: Mapping[str, Buffer]
    launches: tuple[Launch, ...]
    members: np.ndarray
    checked: tuple[int, ...]
    inputs_end: int
    outputs_start: int
    size: int


def plan_rollout(
    config: ModelConfig, rows: int, horizon: int, every_member: bool = False
) -> RolloutPlan:
    """Lay out a rollout.

    Args:
        config: of the model.
        rows: N.
        horizon: H.
        every_member: each member alone imagines all candidates; else member t % K moves at step t
            and the ensemble is compared at some steps.
    """
    members = config.ensemble
    chunks = members if every_member else 1
    checked = () if every_member or members == 1 else tuple(checked_steps(horizon))
    steps = np.arange(horizon)[:, None]
    mover = np.broadcast_to(np.arange(chunks) if every_member else steps % members,
                            (horizon, chunks))  # fmt: skip
    buffers = _lay_out(config, rows, horizon, chunks, len(checked))
    launches = tuple(
        Launch(
            "step_checked" if t in checked else "step",
            _tensors(config, t, chunk, chunks, horizon, checked),
        )
        for t in range(horizon)
        for chunk in range(chunks)
    )
    return RolloutPlan(
        rows,
        chunks,
        horizon,
        buffers,
        launches,
        np.ascontiguousarray(mover, np.int64),
        checked,
        buffers["member"].end,
        buffers["motion"].offset,
        max(buffer.end for buffer in buffers.values()),
    )


def _lay_out(
    config: ModelConfig, rows: int, horizon: int, chunks: int, checked: int
) -> dict[str, Buffer]:
    kind = "int64" if config.stoch_classes else "float32"
    compact = config.groups if config.stoch_classes else config.gaussian_width
    state = (rows, config.state_dim)
    deter, stoch = ("float32", (rows, config.deter)), (kind, (rows, compact))
    memory = ("float32", (rows, *config.memory_shape))
    wanted: list[tuple[str, str, tuple[int, ...], int]] = [
        ("deter", *deter, 1),
        ("stoch", *stoch, 1),
        *([("memory", *memory, 1)] if config.memory_shape else []),
        ("ego_state", "float32", state, 1),
        ("action", "float32", (rows, 2), horizon),
        ("member", "int64", (), horizon * chunks),
        # Between: two of each, written in turns.
        ("moving_deter", *deter, 2 * chunks),
        ("moving_stoch", *stoch, 2 * chunks),
        *([("moving_memory", *memory, 2 * chunks)] if config.memory_shape else []),
        # What comes out.
        ("motion", "float32", (rows, 3), horizon * chunks),
        ("heads", "float32", (rows, len(HEADS)), horizon * chunks),
        ("next_ego_state", "float32", state, horizon * chunks),
        ("spread", "float32", (rows,), checked),
        ("last_deter", *deter, chunks),
        ("last_stoch", *stoch, chunks),
    ]
    buffers, offset = {}, 0
    for name, dtype, shape, blocks in wanted:
        buffers[name] = Buffer(name, dtype, shape, blocks, offset)
        offset = buffers[name].end
    return buffers


def _tensors(
    config: ModelConfig, t: int, chunk: int, chunks: int, horizon: int, checked: tuple[int, ...]
) -> dict[str, tuple[str, int]]:
    """Name of a tensor -> buffer and block, at step t of a chunk."""
    here = t * chunks + chunk
    tensors = {"action": ("action", t), "motion": ("motion", here), "heads": ("heads", here)}
    if config.ensemble > 1:
        tensors["member"] = ("member", here)
    tensors["ego_state"] = ("next_ego_state", here - chunks) if t else ("ego_state", 0)
    tensors["next_ego_state"] = ("next_ego_state", here)
    for name in ("deter", "stoch", *(["memory"] if config.memory_shape else [])):
        before, now = (2 * chunk + (t - 1) % 2, 2 * chunk + t % 2)
        tensors[name] = (f"moving_{name}", before) if t else (name, 0)
        last = t == horizon - 1 and name != "memory"
        tensors[f"next_{name}"] = (f"last_{name}", chunk) if last else (f"moving_{name}", now)
    if t in checked:
        tensors["spread"] = ("spread", checked.index(t))
    return tensors
