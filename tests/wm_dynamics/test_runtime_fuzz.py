"""Damaged engine images and weight files are refused or run; they never crash the process."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
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
MODEL = WorldModel.untrained(SIZES["tiny"], seed=0)
IMAGE = engine_image(weights_of(MODEL))
FUZZER = Path(__file__).parents[1] / "tools" / "damaged_images.py"
# Of the checks: each must be met, or the damage is too shallow.
REASONS = ("taken", "version", "checksum", "not an engine image", "its size", "a width is out of",
           "multiples of", "core", "stochastic state", "groups", "classes", "members",
           "heads")  # fmt: skip


def sealed(payload: bytes, version: int = VERSION) -> bytes:
    """An image whose checksum is right, whatever it holds."""
    return MAGIC + struct.pack("<II", version, zlib.crc32(payload)) + payload


def fuzz(count: int, seed: int) -> dict[str, int]:
    """Outcomes in a process of its own: a crash is an exit code."""
    command = [sys.executable, str(FUZZER), str(count), "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stderr}"
    found = json.loads(done.stdout)
    assert sum(found.values()) == count
    return found


def met(outcomes: dict[str, int]) -> set[str]:
    return {reason for reason in REASONS if any(reason in outcome for outcome in outcomes)}


def test_damaged_images_never_crash():
    assert met(fuzz(600, seed=0)) == set(REASONS)


@pytest.mark.slow
def test_ten_thousand_damaged_images_never_crash():
    found = fuzz(10_000, seed=1)
    assert met(found) == set(REASONS)
    assert any("not finite" in outcome for outcome in found)


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
