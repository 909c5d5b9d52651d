"""A model as the C++ engine reads it: one block of bytes, see ``runtime/model.hpp``."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator

import numpy as np

from wm_dynamics.config import ModelConfig
from wm_dynamics.errors import UserError
from wm_dynamics.heads import HEADS
from wm_dynamics.scales import DRIVE_DIM
from wm_dynamics.weights import Weights

MAGIC, VERSION = b"WMRT", 1
CORES = ("gru", "block_gru")
LATENTS = ("discrete", "gaussian")


def engine_image(weights: Weights) -> bytes:
    """The image of a model.

    Raises:
        UserError: the engine cannot run such a model, or a weight is missing or has another shape.
    """
    c = weights.config
    if c.core not in CORES:
        raise UserError(f"the C++ engine has no {c.core} core; use the torch backend")
    gaussian = c.latent == "gaussian"
    sizes = (
        CORES.index(c.core), LATENTS.index(c.latent), c.deter, c.hidden,
        0 if gaussian else c.groups, 0 if gaussian else c.classes,
        c.gaussian_width if gaussian else 0, c.ensemble,
        c.core_blocks if c.core == "block_gru" else 0, len(HEADS), c.ego_hidden,
    )  # fmt: skip
    body = struct.pack("<11i3f", *sizes, c.unimix, c.gaussian_min_std, c.dt)
    parts = [body]
    for name, shape in image_layout(c):
        tensor = weights.tensors.get(name)
        if tensor is None or tensor.shape != shape:
            found = "absent" if tensor is None else tensor.shape
            raise UserError(f"the weight {name} is {found}, the configuration says {shape}")
        parts.append(np.ascontiguousarray(tensor, "<f4").tobytes())
    parts.append(_heads().astype("<f4").tobytes())
    payload = b"".join(parts)
    return MAGIC + struct.pack("<II", VERSION, zlib.crc32(payload)) + payload


def _heads() -> np.ndarray:
    """(3, L): whether it is a logit, scale, shift; value = f(scale * output - shift)."""
    return np.array(
        [
            (1.0, 1.0, math.log(head.positive_weight)) if head.kind == "logit"
            else (0.0, head.scale, 0.0)
            for head in HEADS
        ]
    ).T.copy()  # fmt: skip


Shape = tuple[int, ...]


def image_layout(c: ModelConfig) -> Iterator[tuple[str, Shape]]:
    """Names and shapes of all tensors, in the order of the image."""
    outputs = 2 * c.stoch if c.latent == "gaussian" else c.stoch
    yield from _dense("ego.net.0", 7, c.ego_hidden)
    yield from _dense("ego.net.2", c.ego_hidden, c.ego_hidden)
    yield from _dense("ego.net.4", c.ego_hidden, 6)
    yield "ego.scale", (6,)
    yield from _dense("rssm.inp", c.stoch + DRIVE_DIM, c.hidden)
    yield from _norm("rssm.inp_norm", c.hidden)
    yield from _core(c)
    for k in range(c.ensemble):
        yield from _dense(f"rssm.priors.{k}.0", c.deter, c.hidden)
        yield from _norm(f"rssm.priors.{k}.1", c.hidden)
        yield from _dense(f"rssm.priors.{k}.3", c.hidden, outputs)
    yield from _dense("head.0", c.deter + c.stoch, c.hidden)
    yield from _norm("head.1", c.hidden)
    yield from _dense("head.3", c.hidden, c.hidden)
    yield from _norm("head.4", c.hidden)
    yield from _dense("head.6", c.hidden, len(HEADS))


def _core(c: ModelConfig) -> Iterator[tuple[str, Shape]]:
    cell = "rssm.cell"
    if c.core == "gru":
        yield f"{cell}.linear.weight", (3 * c.deter, c.hidden + c.deter)
        yield from _norm(f"{cell}.norm", 3 * c.deter)
        return
    blocks, width = c.core_blocks, c.deter // c.core_blocks
    yield f"{cell}.summary.weight", (c.hidden, c.deter)
    yield f"{cell}.summary_norm.weight", (c.hidden,)
    yield f"{cell}.hidden.weight", (blocks, width + 2 * c.hidden, width)
    yield f"{cell}.hidden.bias", (blocks, 1, width)
    yield f"{cell}.hidden_norm.weight", (c.deter,)
    yield f"{cell}.gates.weight", (blocks, width, 3 * width)
    yield f"{cell}.gates.bias", (blocks, 1, 3 * width)


def _dense(name: str, inputs: int, outputs: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def _norm(name: str, width: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)
