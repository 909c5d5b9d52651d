"""Impacts: the impulse against what mechanics says, and what the simulator does with it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wm_perception.conventions import to_map
from wm_perception.frame import Command, EgoState, ObjectClass
from wm_perception.semantics import SemanticTag
from wm_sim.impact import RESTITUTION, Body, collide, contact_normal
from wm_sim.single_track import FRICTION, GRAVITY
from wm_sim.vehicle import MASS_KG, Vehicle, VehicleState
from wm_sim.world import World

DT = 0.1


def car(x: float, y: float = 0.0, speed: float = 0.0, yaw: float = 0.0, mass: float = MASS_KG):
    """Another car."""
    velocity = speed * np.array([math.cos(yaw), math.sin(yaw)])
    return Body(np.array([x, y, yaw]), np.array([4.5, 1.85]), velocity, mass)


def test_rear_end_collision_keeps_momentum_and_parts_with_the_restitution():
    vehicle = Vehicle(VehicleState(0.0, 0.0, speed=10.0))
    other = car(4.2, speed=2.0, mass=2 * MASS_KG)
    impact = collide(vehicle, other, DT)
    ours, theirs = vehicle.velocity[0], impact.other_velocity[0]
    assert theirs - ours == pytest.approx(RESTITUTION * 8.0)
    assert ours + 2.0 * theirs == pytest.approx(10.0 + 2.0 * 2.0)
    assert impact.impulse == pytest.approx([MASS_KG * (ours - 10.0), 0.0], abs=1e-6)
    assert vehicle.ego().yaw_rate_radps == pytest.approx(0.0, abs=1e-6)


def test_a_wall_throws_the_ego_back_and_out():
    vehicle = Vehicle(VehicleState(0.0, 0.0, speed=8.0))
    wall = Body(np.array([6.85, 0.0, 0.0]), np.array([10.0, 10.0]), np.zeros(2), math.inf)
    impact = collide(vehicle, wall, DT)
    assert vehicle.velocity[0] == pytest.approx(-RESTITUTION * 8.0)
    assert not impact.other_velocity.any()
    assert vehicle.state.x == pytest.approx(1.85 - 4.5 / 2 + 0.15)


def test_bodies_that_part_exchange_nothing():
    vehicle = Vehicle(VehicleState(0.0, 0.0, speed=-1.0))
    assert not collide(vehicle, car(4.4, speed=3.0), DT).impulse.any()
    assert vehicle.state.speed == -1.0


def test_a_hit_beside_the_middle_turns_the_car():
    for side in (-1.0, 1.0):
        vehicle = Vehicle(VehicleState(0.0, 0.0, speed=10.0))
        collide(vehicle, car(4.2, 1.2 * side), DT)
        assert vehicle.spin_radps * side > 0.5


def test_a_hit_from_the_side_shoves_the_car_and_friction_stops_it():
    vehicle = Vehicle(VehicleState(0.0, 0.0))
    collide(vehicle, car(0.0, -3.0, speed=8.0, yaw=math.pi / 2), DT)
    pushed = vehicle.slide_mps
    assert 3.0 < pushed < 6.0
    for _ in range(30):
        vehicle.step(Command(0.0, -1.0), DT)
    grip = FRICTION * GRAVITY
    fast_part = pushed - 0.3 * grip * 1.0  # a second of little grip comes first
    expected = 0.3 * grip / 2 + fast_part + max(fast_part, 0.0) ** 2 / (2 * grip)
    assert vehicle.slide_mps == 0.0
    assert vehicle.state.y == pytest.approx(expected, rel=0.1)


def test_the_normal_is_that_of_the_side_that_was_crossed():
    """At 20 m/s the front goes 2 m deep in a frame: deeper than the overlap is wide."""
    ego = EgoState(0.0, 0.0, 0.0, 20.0)
    normal, depth = contact_normal(ego, car(2.6), np.array([20.0, 0.0]), DT)
    assert normal == pytest.approx([-1.0, 0.0], abs=1e-9)
    assert depth == pytest.approx(1.9)
    pole = Body(np.array([2.0, 0.1, 0.3]), np.array([0.18, 0.18]), np.zeros(2), math.inf)
    normal, _ = contact_normal(ego, pole, np.array([10.0, 0.0]), DT)
    assert normal[0] < -0.9


def test_wheels_lose_grip_for_a_second_after_an_impact():
    def braking_way(shaken: bool) -> float:
        vehicle = Vehicle(VehicleState(0.0, 0.0, speed=6.0))
        vehicle.strike(np.zeros(2), 0.0, shaken)
        for _ in range(8):
            vehicle.step(Command(0.0, -1.0), DT)
        return vehicle.state.x

    assert braking_way(True) > 1.5 * braking_way(False)


def ahead_of(simulator, distance: float, aside: float = 0.0) -> tuple[float, float, float]:
    """A pose this far ahead of the ego."""
    ego = simulator.frame().ego
    x, y = to_map(np.array([distance, aside]), ego.pose).tolist()
    return x, y, ego.yaw


def start_fast(simulator) -> None:
    """An empty street and an ego at 10 m/s."""
    route = simulator.start_route(0).route
    simulator.start(route, start_s=15.0, speed_mps=10.0)


@pytest.mark.parametrize(
    ("blueprint", "kind", "left_mps"),
    [
        ("vehicle.tesla.model3", ObjectClass.CAR, 4.5),
        ("walker.pedestrian.0001", ObjectClass.PEDESTRIAN, 9.5),
        ("static.prop.container", ObjectClass.BARRIER, 3.5),
        ("static.prop.trafficcone01", ObjectClass.BARRIER, 9.9),
    ],
)
def test_what_is_hit_is_named_and_slows_the_ego_by_its_mass(tiny, blueprint, kind, left_mps):
    start_fast(tiny)
    actor = tiny.spawn(blueprint, *ahead_of(tiny, 9.0))
    frames = [tiny.step(Command()) for _ in range(12)]
    first = next(number for number, frame in enumerate(frames) if frame.collided)
    before, hit = frames[first - 1], frames[first]
    assert hit.contact.other_id == actor
    assert hit.contact.kind == kind
    assert hit.ego.speed_mps < left_mps
    backwards = np.array([math.cos(hit.ego.yaw), math.sin(hit.ego.yaw)]) @ hit.contact.impulse
    change = hit.ego.speed_mps - before.ego.speed_mps  # includes a frame of rolling resistance
    assert backwards == pytest.approx(MASS_KG * change, abs=0.05 * MASS_KG)
    if kind == ObjectClass.CAR:
        assert all(frame.collided for frame in frames[first:])


def test_buildings_and_trunks_stop_the_ego(tiny):
    scenery = tiny.scenery
    for tag, aside in ((SemanticTag.BUILDING, 0.0), (SemanticTag.VEGETATION, 0.3)):
        row = np.flatnonzero((scenery.tags == tag) & scenery.standing)[0]
        x, y, _, length, *_ = scenery.boxes[row].tolist()
        tiny.start_route(0)
        tiny.teleport(x - length / 2 - 5.0, y + aside, 0.0)
        tiny.push(10.0, 0.0, 0.0)
        contacts = [tiny.step(Command(0.0, 0.3)).contact for _ in range(20)]
        contact = next(c for c in contacts if c is not None)
        assert (contact.other_id, contact.kind) == (0, ObjectClass.BARRIER)
        assert tiny.frame().ego.x < x - length / 2 - 1.9


def test_a_hit_car_is_pushed_stands_and_drives_on(tiny):
    tiny.start_route(0, seed=1, traffic=10)
    cars = tiny.frame().objects
    fastest = int(np.hypot(*cars.velocities.T).argmax())
    car_id, before = int(cars.ids[fastest]), float(np.hypot(*cars.velocities[fastest]))
    behind = to_map(np.array([-4.4, 0.0]), cars.poses[fastest])
    tiny.teleport(*behind.tolist(), float(cars.poses[fastest, 2]))
    tiny.push(before + 8.0, 0.0, 0.0)
    hit = tiny.step(Command())
    assert hit.contact.other_id == car_id
    assert before < hit.ego.speed_mps < before + 6.5
    drove = []
    for _ in range(150):
        frame = tiny.step(Command(0.0, -1.0))
        rows = np.flatnonzero(frame.objects.ids == car_id)
        drove += np.hypot(*frame.objects.velocities[rows].T).tolist()
    assert drove[0] > before + 0.5
    assert max(drove[40:49]) < 0.1
    assert max(drove[80:]) > 1.0


def test_a_person_who_is_hit_stays_down_and_then_walks_on(tiny):
    tiny.start_route(0, seed=3, world=World(pedestrians=8))
    people = tiny.frame().objects
    walker = int(np.hypot(*people.velocities.T).argmax())
    person, pose = int(people.ids[walker]), people.poses[walker]
    tiny.teleport(*to_map(np.array([-2.6, 0.0]), pose).tolist(), float(pose[2]))
    tiny.push(5.0, 0.0, 0.0)
    hit = tiny.step(Command())
    assert (hit.contact.other_id, hit.contact.kind) == (person, ObjectClass.PEDESTRIAN)
    assert hit.ego.speed_mps > 4.0
    tiny.teleport(*tiny.scene.route.points[5].tolist(), 0.0)
    speeds = []
    for _ in range(80):
        people = tiny.step(Command(0.0, -1.0)).objects
        speeds += np.hypot(*people.velocities[people.ids == person].T).tolist()
    assert max(speeds[5:45]) < 0.1
    assert max(speeds[55:]) > 0.8
