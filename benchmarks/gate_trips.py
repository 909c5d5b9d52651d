"""How often each rule of the safety gate trips: ``python benchmarks/gate_trips.py``.

Drives the first routes of towns in traffic, in process, and counts frames. A driver that passes no
gate (the expert) is watched by one that has no say. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter

from wm_perception.frame import Command, SceneFrame
from wm_perception.scene import Scene
from wm_planner.gate import GateDecision
from wm_planner.gate_config import GateConfig, LastResortConfig
from wm_planner.guard import Guard
from wm_planner.paths import DEFAULT_MODEL, model_path
from wm_sim.simulator import Simulator
from wm_sim.world import World
from wm_training.drivers import Driver, make_driver
from wm_training.evaluation import drive_route
from wm_training.suites import RouteTask

MOVING_MPS = 0.5


class Counted:
    """A driver whose gate's decisions are counted.

    Attributes:
        counts: frames by what was seen in them.
    """

    def __init__(self, driver: Driver, gate: GateConfig):
        self._driver, self._guard = driver, Guard(gate)
        self._guarded = hasattr(driver, "_guard")
        if self._guarded:
            driver._guard = self._guard  # type: ignore[attr-defined]
        self.counts: Counter[str] = Counter()

    def reset(self, scene: Scene, seed: int = 0) -> None:
        """Begin a route."""
        self._driver.reset(scene, seed)
        if not self._guarded:
            self._guard.reset(scene.route.points)

    def drive(self, frame: SceneFrame) -> Command:
        """The driver's command."""
        command = self._driver.drive(frame)
        if not self._guarded:
            self._guard.command(frame, command)
        if self._guard.decision is not None:
            self._count(frame, self._guard.decision)
        return command

    def _count(self, frame: SceneFrame, decision: GateDecision) -> None:
        self.counts["frames"] += 1
        self.counts[f"state {decision.state.name}"] += 1
        for rule in decision.rules:
            self.counts[rule.name] += rule.tripped
            if rule.name == "last_resort" and abs(frame.ego.speed_mps) > MOVING_MPS:
                self.counts["last_resort while moving"] += rule.tripped


def main() -> None:
    """Drive and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--driver", default="expert")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--towns", nargs="+", default=["val01", "val02"])
    parser.add_argument("--routes", type=int, default=4)
    parser.add_argument("--traffic", type=int, default=30)
    parser.add_argument("--pedestrians", type=int, default=20)
    parser.add_argument("--no-last-resort", action="store_true", help="it reports only")
    chosen = parser.parse_args()
    gate = GateConfig(last_resort=LastResortConfig(brakes=not chosen.no_last_resort))
    path = None if chosen.driver in ("expert", "constant", "random") else model_path(chosen.model)
    driver = Counted(make_driver(chosen.driver, path), gate)
    world, totals = World(pedestrians=chosen.pedestrians), Counter[str]()
    for town in chosen.towns:
        simulator = Simulator(town)
        for route in range(chosen.routes):
            task = RouteTask(town, route, chosen.traffic, 0, world=world)
            result = drive_route(simulator, driver, task).result
            totals["routes"] += 1
            totals["completed"] += result.outcome == "completed"
            totals["collisions"] += result.collisions
            totals["at fault"] += result.at_fault_collisions
            totals["score"] += round(result.driving_score)
            totals["metres"] += round(result.driven_m)
        simulator.close()
    frames = driver.counts["frames"]
    share = {name: round(100.0 * n / frames, 2) for name, n in sorted(driver.counts.items())}
    print(json.dumps({**totals, "frames": frames, "per cent of frames": share}, indent=1))


if __name__ == "__main__":
    main()
