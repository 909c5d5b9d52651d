"""How many threads numeric libraries may take in this process."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

MAPS = Path("/proc/self/maps")
# numpy's wheels prefix and suffix the names of OpenBLAS; distributions do not.
BLAS_SETTERS = (
    "scipy_openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "openblas_set_num_threads",
)


def limit_threads(count: int) -> None:
    """Let numpy's products, and torch's where it is loaded, take at most ``count`` threads.

    A model's products are small. OpenBLAS shares even those among all cores and spins until the
    last is done: beside other work the convolutions of the camera model took 106 ms by two threads
    and 1.6 ms by one.
    """
    for path in _blas_libraries():
        library = ctypes.CDLL(path)
        for name in BLAS_SETTERS:
            if setter := getattr(library, name, None):
                setter(ctypes.c_int(count))
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(count)


def _blas_libraries() -> set[str]:
    """Paths of the OpenBLAS libraries that are loaded; empty where the system does not tell."""
    if not MAPS.exists():
        return set()
    paths = {line.split(maxsplit=5)[-1].strip() for line in MAPS.read_text().splitlines()}
    return {path for path in paths if path.startswith("/") and "blas" in Path(path).name}
