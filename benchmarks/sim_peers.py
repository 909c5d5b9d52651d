"""Other simulators at a like task, for ``benchmarks/sim.py --peers``; prints one JSON object.

Runs under the Python of an environment that has ``metadrive-simulator==0.4.3`` and
``highway-env==1.12.1``; knows nothing of the project. One environment step is 0.1 s, driven by the
simulator's own rule-based driver. MetaDrive's wheel holds no pictures, so it runs without a camera
(its lidar-and-state observation, and its top-down picture of 64 px).
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import time

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
# Steps per CPU second; the first steps build caches and are left out.
WARM_UP, STEPS = 20, 400


def rate(env, action, steps: int = STEPS) -> float:
    """Environment steps per second of this process's CPU time, resets left out."""
    env.reset()
    spent = 0.0
    for number in range(WARM_UP + steps):
        start = time.process_time()
        *_, terminated, truncated, _ = env.step(action)
        if number >= WARM_UP:
            spent += time.process_time() - start
        if terminated or truncated:
            env.reset()
    return round(steps / spent, 1)


def metadrive() -> dict[str, float]:
    """MetaDrive on a block map with its IDM traffic and its IDM ego."""
    from metadrive.engine import base_engine

    base_engine.BaseEngine.try_pull_asset = staticmethod(lambda: None)  # pictures, not needed
    from metadrive.envs import MetaDriveEnv, TopDownMetaDrive
    from metadrive.policy.idm_policy import IDMPolicy

    common = {"agent_policy": IDMPolicy, "map": "SXCO", "log_level": 50, "horizon": 10_000}
    result = {}
    for density in (0.1, 0.3):
        env = MetaDriveEnv({**common, "traffic_density": density})
        result[f"lidar_density_{density:g}"] = rate(env, [0.0, 0.0])
        result[f"vehicles_density_{density:g}"] = len(env.engine.traffic_manager.vehicles)
        resets = []
        for _ in range(5):
            start = time.perf_counter()
            env.reset()
            resets.append(1e3 * (time.perf_counter() - start))
        result["reset_ms"] = round(sorted(resets)[2], 1)
        env.close()
    env = TopDownMetaDrive({**common, "traffic_density": 0.1, "resolution_size": 64})
    result["topdown64_density_0.1"] = rate(env, [0.0, 0.0], 200)
    env.close()
    result["rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return result


def highway() -> dict[str, float]:
    """highway-env: its highway with 40 vehicles and its racetrack, 10 Hz."""
    import gymnasium
    import highway_env

    gymnasium.register_envs(highway_env)
    grid = {"type": "OccupancyGrid", "grid_size": [[-25, 25], [-25, 25]], "grid_step": [0.8, 0.8]}
    fast = {"policy_frequency": 10, "simulation_frequency": 10, "duration": 1000}
    result = {}
    for name, more in (("highway-v0", {"vehicles_count": 40}), ("intersection-v2", {})):
        for label, observation in (("kinematics", None), ("grid", grid)):
            config = {**fast, **more}
            if observation:
                config["observation"] = observation
            env = gymnasium.make(name, config=config)
            result[f"{name}_{label}"] = rate(env, 1, 100)  # 1: go on at this speed
            env.close()
    return result


def main() -> None:
    """Measure what can be measured; a peer that fails says why."""
    report: dict[str, object] = {}
    for name, measure in (("metadrive_0.4.3", metadrive), ("highway_env_1.12.1", highway)):
        with contextlib.redirect_stdout(sys.stderr):
            try:
                report[name] = measure()
            except Exception as error:  # a peer's own errors are part of the comparison
                report[name] = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
