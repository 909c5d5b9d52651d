"""Run the C++ engine with AddressSanitizer and UndefinedBehaviorSanitizer: ``make sanitize``.

Builds the extension anew with the sanitizers, in a folder of its own, and runs every variant of
the model on every instruction set of this machine against the specification, then damaged images.
Without torch, which a sanitizer takes minutes to load. The first error ends it with exit code 1.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
BUILDER = ROOT / "src" / "wm_dynamics" / "build_runtime.py"
FLAGS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
VARIANTS: tuple[dict, ...] = (
    {"ensemble": 3},
    {"ensemble": 3, "latent": "gaussian", "gaussian_width": 13},
    {"ensemble": 2, "groups": 9, "classes": 33, "hidden": 48, "deter": 80},
    {"ensemble": 2, "core": "block_gru"},
    {"core": "block_gru", "core_blocks": 2, "deter": 96, "hidden": 64, "latent": "gaussian"},
)
HEADER = 12


def build(folder: Path) -> Path:
    """The sanitized extension."""
    spec = importlib.util.spec_from_file_location(BUILDER.stem, BUILDER)
    assert spec is not None and spec.loader is not None
    builder = importlib.util.module_from_spec(spec)
    sys.modules[BUILDER.stem] = builder
    spec.loader.exec_module(builder)
    return builder.build(folder, FLAGS)


def run_inside(extension: Path, images: int) -> int:
    """This file again, in a process with the sanitizers' libraries."""
    libraries = []
    for name in ("libasan.so", "libubsan.so"):
        found = subprocess.run(
            ["c++", f"-print-file-name={name}"], capture_output=True, text=True, check=True
        )
        libraries.append(found.stdout.strip())
    environment = {
        **os.environ,
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",  # Python never frees all
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONPATH": str(extension.parent),
        "PYTHONMALLOC": "malloc",
    }
    command = [sys.executable, __file__, "--inside", "--images", str(images)]
    return subprocess.run(command, env=environment).returncode


def random_weights(changes: dict):
    """Weights of a tiny model, without torch."""
    from wm_dynamics.config import SIZES, ModelConfig
    from wm_dynamics.engine_image import image_layout
    from wm_dynamics.weights import Weights

    config = ModelConfig.model_validate({**SIZES["tiny"].model_dump(), **changes})
    rng = np.random.default_rng(0)
    tensors = {
        name: (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)
        for name, shape in image_layout(config)
    }
    return Weights(config, tensors)


def check_variants() -> None:
    """Every variant on every instruction set computes what the specification says."""
    from wm_dynamics.engine import Engine, instruction_sets
    from wm_dynamics.reference import imagine

    rng = np.random.default_rng(1)
    state = np.array([0.5, 0.0, 0.0, 0.1, 0.0], np.float32)
    actions = rng.uniform(-1, 1, (41, 6, 2)).astype(np.float32)
    for changes in VARIANTS:
        weights = random_weights(changes)
        config = weights.config
        gaussian = config.latent == "gaussian"
        stoch = np.zeros(config.gaussian_width, np.float32) if gaussian else np.zeros(
            config.groups, np.int64
        )  # fmt: skip
        start = (np.zeros(config.deter, np.float32), stoch, state, actions)
        draws = rng.random((41, 6, len(stoch)), np.float32)
        for how in ({}, {"every_member": True}, {"uniforms": draws}):
            wanted = imagine(weights, *start, **how)
            for isa in instruction_sets():
                found = Engine(weights, isa=isa, threads=2).imagine(*start, **how)
                np.testing.assert_allclose(found.deter, wanted.deter, atol=1e-4)
                np.testing.assert_allclose(found.heads, wanted.heads, atol=1e-3, rtol=1e-3)
            if "avx512_bf16" in instruction_sets():
                Engine(weights, "bf16").imagine(*start, **how)
        print("clean:", changes, flush=True)


def check_damaged(count: int) -> None:
    """Damaged images are refused or run."""
    from wm_dynamics.engine import extension
    from wm_dynamics.engine_image import engine_image

    rng = np.random.default_rng(2)
    payload = engine_image(random_weights({}))[HEADER:]
    taken = 0
    for _ in range(count):
        damaged = bytearray(payload)
        if rng.random() < 0.2:
            damaged = damaged[: rng.integers(len(damaged))]
        for _ in range(rng.integers(1, 8)):
            if damaged:
                end = 56 if rng.random() < 0.7 else len(damaged)
                damaged[rng.integers(min(end, len(damaged)))] ^= 1 << rng.integers(8)
        sealed = b"WMRT" + struct.pack("<II", 1, zlib.crc32(damaged)) + bytes(damaged)
        try:
            extension().Engine(sealed)
            taken += 1
        except ValueError:
            continue
    print(f"clean: {count} damaged images, {taken} of them taken", flush=True)


def main() -> int:
    """Build and run; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--images", type=int, default=2000, help="damaged ones")
    arguments = parser.parse_args()
    if arguments.inside:
        check_variants()
        check_damaged(arguments.images)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return run_inside(build(Path(folder)), arguments.images)


if __name__ == "__main__":
    sys.exit(main())
