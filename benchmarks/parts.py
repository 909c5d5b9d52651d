"""CPU time of each part of the loop, one thread, medians: ``python benchmarks/parts.py``.

Prints one JSON object. CPU milliseconds per call (``time.thread_time``), so that other load on the
machine distorts little; steps per CPU second for the simulator.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable

import numpy as np

from wm_dynamics.checkpoint import load_checkpoint
from wm_dynamics.threads import limit_threads
from wm_perception.observation import Observer
from wm_planner.driver import PlannerDriver, make_backend
from wm_planner.paths import DEFAULT_MODEL, model_path
from wm_planner.planner_config import PlannerConfig
from wm_sim.expert import Expert
from wm_sim.simulator import Simulator


def median_ms(call: Callable[[], object], repeats: int) -> float:
    """Median CPU time of a call, ms."""
    times = []
    for _ in range(repeats + 3):
        start = time.thread_time()
        call()
        times.append(time.thread_time() - start)
    return round(1e3 * float(np.median(times[3:])), 3)


def median_frame_ms(simulator: Simulator, driver: PlannerDriver, repeats: int) -> float:
    """Median CPU time of perception, planning and gate over consecutive frames, ms."""
    times = []
    for _ in range(repeats):
        frame = simulator.frame()
        start = time.thread_time()
        command = driver.drive(frame)
        times.append(time.thread_time() - start)
        simulator.step(command)
    return round(1e3 * float(np.median(times)), 3)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--town", default="val01")
    parser.add_argument("--traffic", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=100)
    arguments = parser.parse_args()

    model = load_checkpoint(model_path(arguments.model))
    backend = make_backend("planner", model)
    limit_threads(1)
    simulator = Simulator(arguments.town)
    scene = simulator.start_route(0, seed=0, traffic=arguments.traffic)
    expert = Expert()
    expert.reset(scene)
    start = time.thread_time()
    for _ in range(300):
        simulator.step(expert.drive(simulator.frame()))
    steps_per_s = 300 / (time.thread_time() - start)

    config = PlannerConfig()
    driver = PlannerDriver(backend, config)
    driver.reset(scene)
    frame = simulator.frame()
    observation = Observer(scene).observe(frame)
    latent, _ = backend.observe(backend.initial(), np.zeros(2), np.zeros(3), observation)
    actions = np.zeros((config.candidates, config.horizon, 2), np.float32)
    repeats = arguments.repeats
    report = {
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "model": model.hash,
        "parameters": sum(p.numel() for p in model.parameters()),
        "candidates": config.candidates,
        "horizon": config.horizon,
        "simulator_steps_per_cpu_s": round(steps_per_s),
        "observe_ms": median_ms(lambda: Observer(scene).observe(frame), repeats),
        "posterior_ms": median_ms(
            lambda: backend.observe(latent, np.zeros(2), np.zeros(3), observation), repeats
        ),
        "imagine_ms": median_ms(
            lambda: backend.imagine(latent, observation.state, actions), repeats
        ),
        "frame_ms": median_frame_ms(simulator, driver, repeats),
    }
    print(json.dumps(report, indent=1))
    simulator.close()


if __name__ == "__main__":
    main()
