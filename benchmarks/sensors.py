"""CPU time of one reading of each sensor, medians: ``python benchmarks/sensors.py``.

Prints one JSON object, ms of process CPU time per reading of the example rig, while the rule-based
expert drives among cars and people. Cameras are left out: see ``benchmarks/sim.py``.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from wm_perception.frame import Command
from wm_sim.rig import CAMERAS, MEASURING, default_rig
from wm_sim.simulator import Simulator
from wm_sim.world import World


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--town", default="test01")
    parser.add_argument("--traffic", type=int, default=40)
    parser.add_argument("--frames", type=int, default=60)
    arguments = parser.parse_args()
    rig = default_rig()
    names = [s.id for s in rig.sensors if s.type in MEASURING and s.type not in CAMERAS]
    took: dict[str, list[float]] = {name: [] for name in names}
    with Simulator(arguments.town, rig=rig) as simulator:
        simulator.start_route(0, seed=0, traffic=arguments.traffic, world=World(pedestrians=20))
        simulator.autopilot = True
        for _ in range(arguments.frames):
            for _ in range(5):
                simulator.step(Command())
            for name in names:
                start = time.process_time()
                simulator.read(name)
                took[name].append(time.process_time() - start)
    medians = {name: round(1e3 * float(np.median(times)), 2) for name, times in took.items()}
    print(json.dumps(medians, indent=2))


if __name__ == "__main__":
    main()
