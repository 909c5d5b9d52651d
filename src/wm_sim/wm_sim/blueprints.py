"""What can be put into the world: CARLA's blueprint names with size, class and mass.

Sizes are those of CARLA's bounding boxes, rounded; a cyclist's height includes the rider.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from wm_dynamics.errors import UserError
from wm_perception.frame import ObjectClass

TRAFFIC_CAR = "vehicle.toyota.prius"  # the type that the cars of the traffic report
TRAFFIC_LIGHT = "traffic.traffic_light"


@dataclass(frozen=True)
class Blueprint:
    """One kind of actor.

    Attributes:
        name: CARLA's name.
        kind: object class.
        length, width, height: full extent, m.
        mass_kg: what an impact meets.
    """

    name: str
    kind: ObjectClass
    length: float
    width: float
    height: float
    mass_kg: float

    @property
    def is_prop(self) -> bool:
        """An obstacle that nothing drives."""
        return self.kind == ObjectClass.BARRIER

    @property
    def is_walker(self) -> bool:
        """A person on foot."""
        return self.kind == ObjectClass.PEDESTRIAN


def _vehicles() -> list[Blueprint]:
    car, truck = ObjectClass.CAR, ObjectClass.TRUCK
    bike, motorcycle = ObjectClass.BIKE, ObjectClass.MOTORCYCLE
    rows: list[tuple[str, ObjectClass, float, float, float, float]] = [
        ("audi.a2", car, 3.71, 1.79, 1.55, 1000.0),
        ("audi.etron", car, 4.86, 2.03, 1.65, 2490.0),
        ("audi.tt", car, 4.18, 1.99, 1.39, 1400.0),
        ("bmw.grandtourer", car, 4.61, 2.24, 1.67, 1600.0),
        ("chevrolet.impala", car, 5.36, 2.03, 1.41, 1650.0),
        ("citroen.c3", car, 3.99, 1.85, 1.62, 1100.0),
        ("dodge.charger_2020", car, 5.01, 1.88, 1.53, 1850.0),
        ("dodge.charger_police", car, 4.97, 2.04, 1.55, 1900.0),
        ("ford.mustang", car, 4.72, 1.89, 1.30, 1700.0),
        ("jeep.wrangler_rubicon", car, 3.87, 1.91, 1.88, 1900.0),
        ("lincoln.mkz_2020", car, 4.89, 1.84, 1.49, 1700.0),
        ("mercedes.coupe_2020", car, 4.67, 1.81, 1.44, 1700.0),
        ("micro.microlino", car, 2.21, 1.48, 1.38, 510.0),
        ("mini.cooper_s_2021", car, 4.55, 2.10, 1.77, 1400.0),
        ("nissan.micra", car, 3.63, 1.85, 1.50, 1050.0),
        ("nissan.patrol_2021", car, 5.57, 2.15, 2.05, 2700.0),
        ("seat.leon", car, 4.19, 1.82, 1.47, 1300.0),
        ("tesla.cybertruck", car, 6.27, 2.39, 2.10, 2900.0),
        ("tesla.model3", car, 4.79, 2.16, 1.49, 1850.0),
        ("toyota.prius", car, 4.51, 2.01, 1.52, 1400.0),
        ("carlamotors.carlacola", truck, 5.20, 2.61, 2.47, 5500.0),
        ("carlamotors.firetruck", truck, 8.47, 2.89, 3.83, 15000.0),
        ("ford.ambulance", truck, 6.37, 2.35, 2.43, 3500.0),
        ("mercedes.sprinter", truck, 5.92, 1.99, 2.56, 2500.0),
        ("volkswagen.t2_2021", truck, 4.44, 1.77, 1.99, 1400.0),
        ("bh.crossbike", bike, 1.70, 0.60, 1.75, 90.0),
        ("diamondback.century", bike, 1.70, 0.60, 1.75, 90.0),
        ("gazelle.omafiets", bike, 1.80, 0.60, 1.75, 95.0),
        ("harley-davidson.low_rider", motorcycle, 2.35, 0.76, 1.64, 400.0),
        ("kawasaki.ninja", motorcycle, 2.03, 0.80, 1.53, 280.0),
        ("yamaha.yzf", motorcycle, 2.21, 0.87, 1.53, 280.0),
    ]
    return [Blueprint(f"vehicle.{row[0]}", *row[1:]) for row in rows]


def _walkers() -> list[Blueprint]:
    children = range(9, 15)
    return [
        Blueprint(f"walker.pedestrian.{number:04d}", ObjectClass.PEDESTRIAN, *size)
        for number in range(1, 49)
        for size in [(0.4, 0.4, 1.2, 30.0) if number in children else (0.5, 0.5, 1.75, 75.0)]
    ]


def _props() -> list[Blueprint]:
    rows: list[tuple[str, float, float, float, float]] = [
        ("trafficcone01", 0.40, 0.40, 0.80, 5.0),
        ("trafficcone02", 0.40, 0.40, 0.80, 5.0),
        ("constructioncone", 0.35, 0.35, 0.60, 4.0),
        ("streetbarrier", 0.40, 1.25, 1.05, 200.0),
        ("chainbarrier", 0.20, 1.80, 0.95, 100.0),
        ("trafficwarning", 1.80, 2.20, 2.60, 600.0),
        ("warningconstruction", 0.50, 0.90, 1.20, 30.0),
        ("warningaccident", 0.50, 0.90, 1.20, 30.0),
        ("barrel", 0.60, 0.60, 0.95, 40.0),
        ("bench01", 0.60, 1.50, 0.90, 150.0),
        ("bin", 0.60, 0.60, 1.10, 60.0),
        ("box01", 0.70, 0.70, 0.70, 20.0),
        ("busstop", 1.60, 4.10, 2.70, 3000.0),
        ("container", 2.10, 4.50, 1.90, 2500.0),
        ("creasedbox01", 0.65, 0.75, 0.15, 3.0),
        ("dirtdebris01", 1.70, 2.40, 0.30, 300.0),
    ]
    return [Blueprint(f"static.prop.{row[0]}", ObjectClass.BARRIER, *row[1:]) for row in rows]


BLUEPRINTS: dict[str, Blueprint] = {
    blueprint.name: blueprint for blueprint in (*_vehicles(), *_walkers(), *_props())
}


def find(name: str) -> Blueprint:
    """The blueprint called ``name``.

    Raises:
        UserError: there is no such blueprint.
    """
    if name not in BLUEPRINTS:
        family = name.rsplit(".", 1)[0] if "." in name else name
        near = [known for known in BLUEPRINTS if known.startswith(family)] or list(BLUEPRINTS)
        raise UserError(
            f"unknown blueprint '{name}'; known are, for example, {', '.join(near[:6])}"
        )
    return BLUEPRINTS[name]


def matching(pattern: str = "*") -> list[str]:
    """Names that match a wildcard pattern, as ``carla.BlueprintLibrary.filter`` does; sorted."""
    return sorted(name for name in BLUEPRINTS if fnmatchcase(name, pattern or "*"))
