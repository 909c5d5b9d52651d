"""Drives that several tests make: along the route without looking."""

from __future__ import annotations

import hashlib
import math
import sys
from dataclasses import astuple

import numpy as np

from wm_perception.conventions import to_ego
from wm_perception.frame import Command, SceneFrame
from wm_sim.simulator import Simulator
from wm_sim.world import World

FULL_WORLD = World(trucks=3, cyclists=3, pedestrians=12, parked=10, weather="rain")


def steer_along(scene, frame) -> float:
    """Pure pursuit on the nearest part of the route."""
    ego = frame.ego
    index = scene.route.nearest_index(ego.x, ego.y)
    target = scene.route.points[min(index + 6, len(scene.route) - 1)]
    x, y = to_ego(target, ego.pose)
    return float(np.clip(1.5 * math.atan2(y, x), -1.0, 1.0))


def said(frame: SceneFrame) -> tuple:
    """Everything a frame says except its stamp, comparable."""
    return (
        astuple(frame.ego),
        [column.tolist() for column in frame.objects.columns()],
        [column.tolist() for column in frame.props.columns()],
        frame.light_states,
        frame.collided,
        frame.crossed_markings,
        frame.contact,
    )


def full_drive(simulator: Simulator, seed: int = 5, frames: int = 80) -> list[tuple]:
    """A drive in a town full of everything, with an actor that is moved."""
    scene = simulator.start_route(2, seed=seed, traffic=8, world=FULL_WORLD)
    x, y = scene.route.sample(np.array(30.0)).tolist()
    actor = simulator.spawn("vehicle.bh.crossbike", x, y, float(scene.route.headings[30]))
    rows = []
    for number in range(frames):
        point = scene.route.sample(np.array(30.0 + 0.4 * number)).tolist()
        heading = float(scene.route.headings[min(30 + int(0.4 * number), len(scene.route) - 1)])
        simulator.move(actor, *point, heading, 4.0)
        frame = simulator.step(Command(steer_along(scene, simulator.frame()), 0.3))
        rows.append(said(frame))
    return rows


def main() -> None:
    """Print a fingerprint of a drive, for the test that compares processes."""
    with Simulator("tiny") as simulator:
        print(hashlib.sha256(repr(full_drive(simulator, int(sys.argv[1]))).encode()).hexdigest())


if __name__ == "__main__":
    main()
