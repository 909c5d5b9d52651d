"""Speed of the Gymnasium environment: ``python benchmarks/gym_env.py``.

Prints one JSON object: steps per CPU second of one environment with and without a camera, CPU
milliseconds per reset, and steps per wall second of a vector of environments.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

import numpy as np

from wm_sim.env import DrivingEnv
from wm_sim.vector_env import make_vec

ACTION = np.array([0.0, -1.0], np.float32)  # it stands, so that no episode ends


def steps_per_cpu_s(steps: int, **config: Any) -> tuple[float, float]:
    """Steps per CPU second, and CPU milliseconds per reset."""
    env = DrivingEnv(**config)
    env.reset(seed=0)
    start = time.process_time()
    for _ in range(steps):
        env.step(ACTION)
    speed = steps / (time.process_time() - start)
    start = time.process_time()
    for seed in range(10):
        env.reset(seed=seed)
    reset_ms = 1e2 * (time.process_time() - start)
    env.close()
    return round(speed), round(reset_ms, 1)


def vector_steps_per_s(n: int, steps: int, **config: Any) -> int:
    """Steps of all environments together per wall second."""
    vector = make_vec(n, **config)
    vector.reset(seed=0)
    actions = np.tile(ACTION, (n, 1))
    start = time.perf_counter()
    for _ in range(steps):
        vector.step(actions)
    speed = n * steps / (time.perf_counter() - start)
    vector.close()
    return round(speed)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--town", default="test01")
    parser.add_argument("--traffic", type=int, default=40)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--n", type=int, default=os.cpu_count() or 1, help="environments at once")
    arguments = parser.parse_args()
    config = {"town": arguments.town, "traffic": arguments.traffic, "max_steps": 10**9}
    bev, reset_ms = steps_per_cpu_s(arguments.steps, **config)
    camera, _ = steps_per_cpu_s(arguments.steps // 5, camera=(128, 128), **config)
    together = vector_steps_per_s(arguments.n, arguments.steps, **config)
    result = {
        "steps_per_cpu_s": bev,
        "camera128_steps_per_cpu_s": camera,
        "reset_cpu_ms": reset_ms,
        f"vector{arguments.n}_steps_per_wall_s": together,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
