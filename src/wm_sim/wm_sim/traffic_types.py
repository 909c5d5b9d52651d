"""The kinds of vehicles that SUMO drives, those it is told about, and their bodies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import libsumo
import numpy as np

from wm_perception.conventions import wrap_angle
from wm_perception.frame import ObjectClass, Objects
from wm_sim.blueprints import TRAFFIC_CAR, Blueprint, find

CAR_LENGTH_M, CAR_WIDTH_M, CAR_HEIGHT_M = 4.5, 1.85, 1.5
CAR_TYPE = "car"
FIRST_ID = 10_000


@dataclass(frozen=True)
class TrafficType:
    """A kind of vehicle in the traffic.

    Attributes:
        name: of SUMO's vehicle type.
        body: blueprint: size, class and mass.
        vehicle_class: SUMO's vClass.
        right_m: rides this far right of the middle of its lane.
    """

    name: str
    body: Blueprint
    vehicle_class: str
    right_m: float = 0.0


def _car_body() -> Blueprint:
    """All cars of the traffic are of one size."""
    mass = find(TRAFFIC_CAR).mass_kg
    size = (CAR_LENGTH_M, CAR_WIDTH_M, CAR_HEIGHT_M)
    return Blueprint(TRAFFIC_CAR, ObjectClass.CAR, *size, mass)


CAR = TrafficType(CAR_TYPE, _car_body(), "passenger")
LORRY = TrafficType("lorry", find("vehicle.carlamotors.carlacola"), "truck")
VAN = TrafficType("van", find("vehicle.mercedes.sprinter"), "delivery")
# A metre from the kerb, as German courts ask of cyclists.
CYCLIST = TrafficType("cyclist", find("vehicle.bh.crossbike"), "bicycle", right_m=0.75)


def define_car() -> None:
    """Tell SUMO of the cars; first thing in every episode."""
    libsumo.vehicletype.copy("DEFAULT_VEHTYPE", CAR_TYPE)
    libsumo.vehicletype.setLength(CAR_TYPE, CAR_LENGTH_M)
    libsumo.vehicletype.setWidth(CAR_TYPE, CAR_WIDTH_M)
    libsumo.vehicletype.setMinGap(CAR_TYPE, 2.5)


def define(kind: TrafficType) -> None:
    """Tell SUMO of another kind of vehicle."""
    base = "DEFAULT_BIKETYPE" if kind.vehicle_class == "bicycle" else "DEFAULT_VEHTYPE"
    libsumo.vehicletype.copy(base, kind.name)
    libsumo.vehicletype.setVehicleClass(kind.name, kind.vehicle_class)
    libsumo.vehicletype.setLength(kind.name, kind.body.length)
    libsumo.vehicletype.setWidth(kind.name, kind.body.width)
    libsumo.vehicletype.setHeight(kind.name, kind.body.height)
    if kind.body.kind == ObjectClass.TRUCK:
        libsumo.vehicletype.setAccel(kind.name, 1.6)
        libsumo.vehicletype.setMinGap(kind.name, 2.5)


def spawned_type(blueprint: Blueprint) -> TrafficType:
    """The kind of a spawned vehicle."""
    by_class = {ObjectClass.BIKE: "bicycle", ObjectClass.TRUCK: "truck"}
    return TrafficType(blueprint.name, blueprint, by_class.get(blueprint.kind, "passenger"))


def _row(kind: TrafficType) -> tuple[float, ...]:
    body = kind.body
    return body.length, body.width, body.height, kind.right_m, float(body.kind)


@lru_cache(maxsize=256)
def _cars(count: int) -> np.ndarray:
    return np.tile(_row(CAR), (count, 1))


def as_objects(vehicles: np.ndarray, kinds: list[TrafficType] | None) -> Objects:
    """What SUMO says of its vehicles as rows of :class:`Objects`.

    Args:
        vehicles: (M, 5) number, x and y of the front bumper (m), SUMO's angle (degrees clockwise
            from north), speed (m/s).
        kinds: of each; None when all are cars.
    """
    count = len(vehicles)
    if not count:
        return Objects()
    body = _cars(count) if kinds is None else np.array([_row(k) for k in kinds])
    yaw = wrap_angle(np.radians(90.0 - vehicles[:, 3]))
    poses, heading = np.empty((count, 3)), np.empty((count, 2))
    heading[:, 0], heading[:, 1] = np.cos(yaw), np.sin(yaw)
    poses[:, :2] = vehicles[:, 1:3] - body[:, :1] / 2 * heading
    if kinds is not None:
        poses[:, :2] += body[:, 3:4] * np.stack([heading[:, 1], -heading[:, 0]], 1)
    poses[:, 2] = yaw
    return Objects(
        FIRST_ID + vehicles[:, 0].astype(np.int64),
        poses,
        vehicles[:, 4:] * heading,
        body[:, :2].copy(),
        body[:, 4].astype(np.uint8),
        body[:, 2].copy(),
    )
