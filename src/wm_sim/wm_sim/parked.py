"""Cars parked at the kerb, half on the pavement, out of the way of who drives in the lane."""

from __future__ import annotations

import math

import libsumo
import numpy as np

from wm_perception.frame import EgoState
from wm_perception.scene import touches
from wm_sim.blueprints import Blueprint, find
from wm_sim.obstacles import Obstacles
from wm_sim.traffic_network import Network

# From the middle of the lane to the side of a parked car: a lorry (2.6 m) passes, and a driver who
# keeps to the middle of the lane has nobody in front (wm_perception.scene.CORRIDOR_HALF_M).
CLEAR_M = 1.4
SPACING_M = 6.5
FROM_JUNCTION_M = 14.0
BLUEPRINTS = (
    "vehicle.audi.a2",
    "vehicle.citroen.c3",
    "vehicle.mercedes.coupe_2020",
    "vehicle.mini.cooper_s_2021",
    "vehicle.nissan.micra",
    "vehicle.seat.leon",
    "vehicle.volkswagen.t2_2021",
)
MAX_TURN_RAD = 0.12  # over a car's length: no parking in tight bends


def kerb_sites(network: Network) -> np.ndarray:
    """(N, 3) points in the middle of kerbside lanes beside which a car can stand, and headings."""
    sites = []
    for edge in network.edges:
        shape = np.array(libsumo.lane.getShape(f"{edge}_{network.drive_lane[edge]}"))
        along = np.r_[0.0, np.cumsum(np.hypot(*np.diff(shape, axis=0).T))]
        for s in np.arange(FROM_JUNCTION_M, along[-1] - FROM_JUNCTION_M, SPACING_M):
            ends = np.array([s - SPACING_M / 2, s, s + SPACING_M / 2])
            points = np.stack([np.interp(ends, along, shape[:, i]) for i in (0, 1)], 1)
            (ax, ay), (bx, by) = np.diff(points, axis=0)
            first, last = math.atan2(ay, ax), math.atan2(by, bx)
            if abs(math.remainder(last - first, 2 * math.pi)) < MAX_TURN_RAD:
                heading = math.atan2(ay + by, ax + bx)
                sites.append((*points[1], heading))
    return np.array(sites).reshape(-1, 3)


def park(
    sites: np.ndarray, count: int, rng: np.random.Generator, obstacles: Obstacles
) -> list[tuple[Blueprint, float, float, float]]:
    """Choose ``count`` parked cars: (blueprint, x, y, yaw) each; fewer when the kerbs are full."""
    cars: list[tuple[Blueprint, float, float, float]] = []
    for row in rng.permutation(len(sites)):
        if len(cars) >= count:
            break
        blueprint = find(BLUEPRINTS[int(rng.integers(len(BLUEPRINTS)))])
        x, y, yaw = sites[row].tolist()
        aside = CLEAR_M + blueprint.width / 2
        x, y = x + aside * math.sin(yaw), y - aside * math.cos(yaw)
        body = EgoState(x, y, yaw, 0.0, length=blueprint.length, width=blueprint.width)
        if not touches(body, obstacles.near(body), ahead_m=0.4, side_m=0.2):
            cars.append((blueprint, x, y, yaw))
    return cars
