"""Damaged engine images, and an engine that tries them: none may crash it.

    python tests/tools/damaged_images.py 10000 --seed 1

prints how many were taken, and why the others were refused, as JSON. Without torch, so that it also
runs under sanitizers and valgrind.
"""

from __future__ import annotations

import argparse
import json
import struct
import zlib
from collections import Counter
from dataclasses import dataclass

import numpy as np

from wm_dynamics.config import SIZES, ModelConfig
from wm_dynamics.engine import extension
from wm_dynamics.engine_image import MAGIC, VERSION, engine_image, image_layout
from wm_dynamics.weights import Weights

HEADER = 12  # magic, version, checksum
FIXED = 56  # sizes and numbers behind the header
VARIANTS: tuple[dict, ...] = (
    {},
    {"ensemble": 2, "latent": "gaussian", "gaussian_width": 13},
    {"ensemble": 2, "core": "block_gru"},
)


@dataclass(frozen=True)
class Whole:
    """An image that is as it should be, and the belief that its model reads."""

    image: bytes
    deter: np.ndarray
    stoch: np.ndarray


def random_weights(changes: dict) -> Weights:
    """Weights of a tiny model, without torch."""
    config = ModelConfig.model_validate({**SIZES["tiny"].model_dump(), **changes})
    rng = np.random.default_rng(0)
    tensors = {
        name: (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)
        for name, shape in image_layout(config)
    }
    return Weights(config, tensors)


def whole(changes: dict) -> Whole:
    """Of a tiny model."""
    weights = random_weights(changes)
    c = weights.config
    gaussian = c.latent == "gaussian"
    stoch = np.zeros((1, c.gaussian_width), np.float32) if gaussian else np.zeros(
        (1, c.groups), np.int64
    )  # fmt: skip
    return Whole(engine_image(weights), np.zeros((1, c.deter), np.float32), stoch)


def sealed(payload: bytes, version: int = VERSION) -> bytes:
    """An image whose checksum is right, whatever it holds."""
    return MAGIC + struct.pack("<II", version, zlib.crc32(payload)) + payload


def damaged(rng: np.random.Generator, image: bytes) -> bytes:
    """Truncated, prolonged, of another version, or with flipped bits.

    Nine in ten have the checksum of what they hold, so that the checks behind it are reached.
    """
    payload = bytearray(image[HEADER:])
    kind = rng.integers(6)
    if kind == 0:
        payload = payload[: rng.integers(len(payload))]
    elif kind == 1:
        payload += rng.bytes(int(rng.integers(1, 64)))
    elif kind == 2:
        return sealed(bytes(payload), int(rng.integers(2**32)))
    else:
        end = FIXED if kind < 5 else len(payload)
        for _ in range(rng.integers(1, 8)):
            payload[rng.integers(end)] ^= 1 << rng.integers(8)
    if rng.random() < 0.1:
        stale = bytearray(image[:HEADER] + payload)
        stale[rng.integers(HEADER)] ^= 1 << rng.integers(8)
        return bytes(stale)
    return sealed(bytes(payload))


def outcome(image: bytes, belief: Whole) -> str:
    """Why the engine refused it, or "taken"; what it takes must run."""
    try:
        engine = extension().Engine(image)
    except ValueError as error:
        return str(error).partition(";")[0]
    actions = np.zeros((2, 3, 2), np.float32)
    try:
        path = engine.imagine(belief.deter, belief.stoch, np.zeros(5, np.float32), actions)[0]
    except ValueError:  # other sizes that happen to need as many numbers
        return "taken"
    assert path.shape == (2, 3, 3)
    return "taken"


def try_many(count: int, seed: int) -> Counter[str]:
    """Outcomes of ``count`` damaged images."""
    rng = np.random.default_rng(seed)
    images = [whole(changes) for changes in VARIANTS]
    found: Counter[str] = Counter()
    for i in range(count):
        start = images[i % len(images)]
        reason = outcome(damaged(rng, start.image), start)
        found["version" if "version" in reason else reason] += 1
    return found


def main() -> None:
    """Try them and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(json.dumps(try_many(arguments.count, arguments.seed), indent=2))


if __name__ == "__main__":
    main()
