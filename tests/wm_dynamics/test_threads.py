"""numpy's products by one thread."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os, sys
os.environ.update(OPENBLAS_NUM_THREADS="2", OMP_NUM_THREADS="2")
import numpy as np
from wm_dynamics.threads import limit_threads

def running():
    # Who has computed in this process: threads with CPU time.
    spent = []
    for task in os.listdir("/proc/self/task"):
        words = open(f"/proc/self/task/{task}/stat").read().rpartition(")")[2].split()
        spent.append(int(words[11]) + int(words[12]))
    return sorted(spent)

limit_threads(int(sys.argv[1]))
matrix = np.ones((600, 600), np.float32)
for _ in range(120):
    matrix @ matrix
ticks = running()
print(sum(spent > 0.3 * ticks[-1] for spent in ticks))  # a worker without work spins for a moment
"""


def threads_that_computed(limit: int) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(limit)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_a_limit_holds_whatever_the_environment_says():
    assert threads_that_computed(1) == 1


def test_torch_is_not_imported_for_it():
    program = (
        "import sys; from wm_dynamics.threads import limit_threads; limit_threads(1); "
        "assert 'torch' not in sys.modules; import torch; limit_threads(2); "
        "assert torch.get_num_threads() == 2"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
