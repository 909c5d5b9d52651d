"""Run the C++ engine with sanitizers and under valgrind: ``make sanitize``.

Builds the extension anew, in a folder of its own, and runs every variant of the model on every
instruction set against the specification, the tests of a plan's arithmetic, then damaged images:
first with AddressSanitizer and UndefinedBehaviorSanitizer, then, where it is installed, under
valgrind, which knows nothing of AVX-512 but sees what is read before it was written. Without torch,
which either takes minutes to load. The first error ends it with exit code 1.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from damaged_images import random_weights, try_many

ROOT = Path(__file__).resolve().parents[2]
BUILDER = ROOT / "src" / "wm_dynamics" / "build_runtime.py"
ARITHMETIC = ROOT / "tests" / "wm_planner" / "test_arithmetic.py"
SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
PLAIN = ("-O1", "-g")
# Python makes thousands of errors of its own: only those with the extension on the stack count.
VALGRIND = ("valgrind", "--quiet", "--trace-children=yes", "--error-limit=no", "--num-callers=30",
            "--xml=yes")  # fmt: skip
VARIANTS: tuple[dict, ...] = (
    {"ensemble": 3},
    {"ensemble": 3, "latent": "gaussian", "gaussian_width": 13},
    {"ensemble": 2, "groups": 9, "classes": 33, "hidden": 48, "deter": 80},
    {"ensemble": 2, "core": "block_gru"},
    {"core": "block_gru", "core_blocks": 2, "deter": 96, "hidden": 64, "latent": "gaussian"},
)


def build(folder: Path, flags: tuple[str, ...]) -> Path:
    """The extension, compiled with more flags."""
    spec = importlib.util.spec_from_file_location(BUILDER.stem, BUILDER)
    assert spec is not None and spec.loader is not None
    builder = importlib.util.module_from_spec(spec)
    sys.modules[BUILDER.stem] = builder
    spec.loader.exec_module(builder)
    return builder.build(folder, flags)


def run_inside(
    extension: Path, images: int, environment: dict[str, str], before: tuple[str, ...] = ()
) -> int:
    """This file again, with that extension; the exit code."""
    found = {**os.environ, "PYTHONPATH": str(extension.parent), "PYTHONMALLOC": "malloc"}
    command = [*before, sys.executable, __file__, "--inside", "--images", str(images)]
    return subprocess.run(command, env={**found, **environment}).returncode


def with_sanitizers(images: int) -> int:
    """The exit code of a run with both."""
    libraries = []
    for name in ("libasan.so", "libubsan.so"):
        asked = ["c++", f"-print-file-name={name}"]
        found = subprocess.run(asked, capture_output=True, text=True, check=True)
        libraries.append(found.stdout.strip())
    environment = {
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",  # Python never frees all
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    with tempfile.TemporaryDirectory() as folder:
        return run_inside(build(Path(folder), SANITIZED), images, environment)


def with_valgrind(images: int) -> int:
    """The exit code of a run under valgrind; 0 where there is none."""
    if shutil.which(VALGRIND[0]) is None:
        print("valgrind: skipped, it is not installed (apt install valgrind)", flush=True)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        extension, report = build(Path(folder), PLAIN), Path(folder) / "valgrind.xml"
        code = run_inside(extension, images, {}, (*VALGRIND, f"--xml-file={report}"))
        return code or blame(report, extension.name)


def blame(report: Path, extension: str) -> int:
    """Print valgrind's errors in which the extension is on the stack; 1 if there are any."""
    errors = ElementTree.parse(report).iter("error")
    ours = [error for error in errors if any(
        (frame.findtext("obj") or "").endswith(extension) for frame in error.iter("frame"))
    ]  # fmt: skip
    for error in ours:
        print("valgrind:", error.findtext("what") or error.findtext("xwhat/text"))
        for frame in error.iter("frame"):
            where = [frame.findtext(part) or "?" for part in ("fn", "file", "line")]
            print("   ", where[0], ":".join(where[1:]))
    print(f"valgrind: {len(ours)} errors with the engine on the stack", flush=True)
    return min(len(ours), 1)


def check_variants() -> None:
    """Every variant on every instruction set computes what the specification says."""
    from wm_dynamics.engine import Engine, instruction_sets
    from wm_dynamics.reference import imagine

    rng = np.random.default_rng(1)
    state = np.array([0.5, 0.0, 0.0, 0.1, 0.0], np.float32)
    actions = rng.uniform(-1, 1, (41, 6, 2)).astype(np.float32)
    print("instruction sets:", *instruction_sets(), flush=True)
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
                if config.core == "gru":
                    Engine(weights, "int8", isa=isa).imagine(*start, **how)
            if "avx512_bf16" in instruction_sets():
                Engine(weights, "bf16").imagine(*start, **how)
        print("clean:", changes, flush=True)


def check_arithmetic() -> None:
    """What a plan calculates is what the specification says; wrong arguments are refused."""
    import pytest

    if pytest.main(["-q", "-p", "no:cacheprovider", str(ARITHMETIC)]) != pytest.ExitCode.OK:
        raise SystemExit(1)
    print("clean: the arithmetic of a plan", flush=True)


def check_damaged(count: int) -> None:
    """Damaged images are refused or run."""
    found = try_many(count, seed=2)
    print(f"clean: {count} damaged images, {found['taken']} of them taken", flush=True)


def main() -> int:
    """Build and run; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--images", type=int, default=2000, help="damaged ones")
    arguments = parser.parse_args()
    if arguments.inside:
        check_variants()
        check_arithmetic()
        check_damaged(arguments.images)
        return 0
    return with_sanitizers(arguments.images) or with_valgrind(arguments.images)


if __name__ == "__main__":
    sys.exit(main())
