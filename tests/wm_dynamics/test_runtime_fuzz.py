"""Damaged engine images and weight files are refused or run; they never crash the process."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from wm_dynamics.artefact_files import METADATA, WEIGHTS, file_sha256
from wm_dynamics.checkpoint import save_checkpoint
from wm_dynamics.config import SIZES
from wm_dynamics.engine import Engine, extension, instruction_sets
from wm_dynamics.engine_image import MAGIC, VERSION, engine_image
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_dynamics.weights import read_weights, weights_of

pytestmark = pytest.mark.skipif(not instruction_sets(), reason="built without a compiler")
HEADER = 12
FIXED = 56  # sizes and numbers behind the header
MODEL = WorldModel.untrained(SIZES["tiny"], seed=0)
IMAGE = engine_image(weights_of(MODEL))


def sealed(payload: bytes, version: int = VERSION) -> bytes:
    """An image whose checksum is right, whatever it holds."""
    return MAGIC + struct.pack("<II", version, zlib.crc32(payload)) + payload


def damaged(rng: np.random.Generator) -> bytes:
    """Truncated, prolonged, or with flipped bits; mostly with a checksum that hides it."""
    payload = bytearray(IMAGE[HEADER:])
    kind = rng.integers(5)
    if kind == 0:
        payload = payload[: rng.integers(len(payload))]
    elif kind == 1:
        payload += rng.bytes(int(rng.integers(1, 64)))
    else:
        end = FIXED if kind < 4 else len(payload)
        for _ in range(rng.integers(1, 8)):
            payload[rng.integers(end)] ^= 1 << rng.integers(8)
    if rng.random() < 0.1:
        image = bytearray(MAGIC + IMAGE[4:HEADER] + payload)
        image[rng.integers(HEADER)] ^= 1 << rng.integers(8)
        return bytes(image)
    return sealed(bytes(payload))


def try_image(image: bytes) -> bool:
    """Whether the engine took it; what it took must run."""
    try:
        engine = extension().Engine(image)
    except ValueError:
        return False
    try:
        found = engine.imagine(
            np.zeros((1, 32), np.float32),
            np.zeros((1, 4), np.int64),
            np.zeros(5, np.float32),
            np.zeros((2, 3, 2), np.float32),
        )
    except ValueError:  # other sizes that happen to need as many numbers
        return True
    assert found[0].shape == (2, 3, 3)
    return True


def fuzz(count: int, seed: int) -> int:
    rng = np.random.default_rng(seed)
    return sum(try_image(damaged(rng)) for _ in range(count))


def test_damaged_images_never_crash():
    assert 0 < fuzz(300, seed=0) < 300


@pytest.mark.slow
def test_ten_thousand_damaged_images_never_crash():
    assert 0 < fuzz(10_000, seed=1) < 10_000


@pytest.mark.parametrize(
    "image, says",
    [
        (b"", "too short"),
        (b"WMRX" + IMAGE[4:], "not an engine image"),
        (sealed(IMAGE[HEADER:], version=2), "version 2, this engine reads 1"),
        (IMAGE[:-4] + b"\0\0\0\1", "checksum"),
        (sealed(IMAGE[HEADER:-4]), "size"),
        (sealed(IMAGE[HEADER:] + b"\0\0\0\0"), "size"),
        (sealed(IMAGE[HEADER:-4] + struct.pack("<f", float("nan"))), "not finite"),
    ],
)
def test_what_is_wrong_is_said(image, says):
    with pytest.raises(ValueError, match=says):
        extension().Engine(image)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_checkpoint(MODEL, tmp_path)
    return tmp_path


def test_damaged_weight_files_are_refused_even_when_their_hash_is_made_to_fit(folder):
    rng = np.random.default_rng(0)
    whole = (folder / WEIGHTS).read_bytes()
    metadata = (folder / METADATA).read_text()
    right = file_sha256(folder / WEIGHTS)
    for _ in range(60):
        data = bytearray(whole)
        if rng.random() < 0.3:
            data = data[: rng.integers(len(data))]
        else:
            data[rng.integers(4000)] ^= 1 << rng.integers(8)  # the header, mostly
        (folder / WEIGHTS).write_bytes(data)
        (folder / METADATA).write_text(metadata)
        with pytest.raises(UserError, match="is not the file"):
            read_weights(folder)
        (folder / METADATA).write_text(metadata.replace(right, file_sha256(folder / WEIGHTS)))
        try:
            Engine(read_weights(folder))
        except UserError:
            continue
