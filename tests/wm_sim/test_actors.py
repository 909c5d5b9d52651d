"""Actors: ids, spawning and moving them, what the traffic makes of them, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_perception.conventions import to_ego, to_map
from wm_perception.frame import Command, ObjectClass
from wm_sim.actors import SpawnedActors
from wm_sim.blueprints import BLUEPRINTS, find, matching
from wm_sim.world import World

STAND = Command(0.0, -1.0)


def on_route(scene, s: float) -> tuple[float, float, float]:
    """A pose on the route."""
    x, y = scene.route.sample(np.array(s)).tolist()
    return x, y, float(scene.route.headings[int(s)])


def row_of(objects, actor_id: int):
    """The row of an actor among the objects."""
    return objects[objects.ids == actor_id]


def test_blueprints_have_sensible_bodies_and_classes():
    for name, blueprint in BLUEPRINTS.items():
        assert name == blueprint.name
        assert 0.1 < blueprint.length < 9.0 and 0.1 < blueprint.width < 5.0
        assert 1.0 < blueprint.mass_kg < 20_000.0
        assert blueprint.is_walker == name.startswith("walker.")
        assert blueprint.is_prop == name.startswith("static.prop.")
    assert find("vehicle.carlamotors.carlacola").kind == ObjectClass.TRUCK
    assert find("vehicle.bh.crossbike").kind == ObjectClass.BIKE
    assert matching("vehicle.tesla.*") == ["vehicle.tesla.cybertruck", "vehicle.tesla.model3"]
    assert len(matching()) == len(matching("")) == len(BLUEPRINTS)


def test_a_spawned_vehicle_is_an_object_and_a_prop_is_not(tiny):
    scene = tiny.start_route(0)
    bike = tiny.spawn("vehicle.bh.crossbike", *on_route(scene, 30.0), role="rider")
    cone = tiny.spawn("static.prop.trafficcone01", *on_route(scene, 40.0))
    frame = tiny.step(STAND)
    assert frame.objects.ids.tolist() == [bike] and frame.props.ids.tolist() == [cone]
    assert frame.objects.kinds[0] == ObjectClass.BIKE
    assert frame.objects.poses[0] == pytest.approx(on_route(scene, 30.0))
    assert frame.objects.sizes[0] == pytest.approx([1.7, 0.6])
    assert frame.objects.heights[0] == 1.75
    assert tiny.destroy(bike) and tiny.destroy(cone)
    assert not tiny.destroy(bike) and not tiny.destroy(12345678)
    frame = tiny.step(STAND)
    assert not len(frame.objects) and not len(frame.props)


def test_ids_are_unique_and_say_what_they_are(tiny):
    scene = tiny.start_route(
        0, seed=1, traffic=6, world=World(trucks=2, cyclists=2, pedestrians=5, parked=5)
    )
    tiny.spawn(
        "walker.pedestrian.0001", *on_route(scene, 60.0), attributes={"role_name": "jaywalker"}
    )
    frame = tiny.step(STAND)
    actors = {actor.id: actor for actor in tiny.actors()}
    assert len(actors) == len(tiny.actors())
    assert actors[tiny.ego_id].type == "vehicle.tesla.model3"
    assert set(frame.objects.ids.tolist()) | set(frame.light_states) | {tiny.ego_id} == set(actors)
    starts = {"traffic.": (1, 10_000), "walker.": (100_000, 300_000), "vehicle.": (10_000, 1 << 30)}
    for actor in actors.values():
        low, high = next(span for name, span in starts.items() if actor.type.startswith(name))
        assert low <= actor.id < high
    spawned = [a for i, a in actors.items() if 200_000 <= i < tiny.ego_id]
    assert [a.role for a in spawned] == ["parked"] * 5 + ["jaywalker"]
    kinds = dict(zip(frame.objects.ids.tolist(), frame.objects.kinds.tolist(), strict=True))
    for number, kind in kinds.items():
        assert find(actors[number].type).kind == kind


def test_a_moved_actor_is_where_it_was_put_and_stands_without_a_move(tiny):
    scene = tiny.start_route(0)
    actor = tiny.spawn("vehicle.audi.tt", *on_route(scene, 40.0))
    tiny.move(actor, *on_route(scene, 41.0), 10.0)
    x, y, yaw = on_route(scene, 41.0)
    seen = tiny.step(STAND).objects
    assert seen.poses[0] == pytest.approx([x, y, yaw])
    assert seen.velocities[0] == pytest.approx([10 * math.cos(yaw), 10 * math.sin(yaw)])
    seen = tiny.step(STAND).objects
    assert seen.poses[0] == pytest.approx([x, y, yaw])
    assert not seen.velocities.any()


def test_a_walker_keeps_the_direction_it_was_given(tiny):
    scene = tiny.start_route(0)
    actor = tiny.spawn("walker.pedestrian.0002", *on_route(scene, 60.0))
    x, y, _ = on_route(scene, 60.0)
    tiny.walk(actor, math.pi / 2, 1.5)
    for _ in range(10):
        seen = tiny.step(STAND).objects
    assert seen.poses[0] == pytest.approx([x, y + 1.5, math.pi / 2])
    assert seen.velocities[0] == pytest.approx([0.0, 1.5])
    tiny.walk(actor, 0.0, 0.0)
    tiny.step(STAND)
    assert tiny.frame().objects.poses[0, :2] == pytest.approx([x, y + 1.5])
    car = tiny.spawn("vehicle.audi.tt", *on_route(scene, 30.0))
    with pytest.raises(UserError, match="not a walker"):
        tiny.walk(car, 0.0, 1.0)
    with pytest.raises(UserError, match="finite"):
        tiny.walk(actor, math.nan, 1.0)


def test_what_cannot_be_is_refused_and_the_world_goes_on(tiny):
    scene = tiny.start_route(0, world=World(parked=4))
    there = on_route(scene, 30.0)
    taken = tiny.spawn("vehicle.audi.tt", *there)
    ego, parked = tiny.frame().ego, tiny.frame().objects.poses[0].tolist()
    building = tiny.scenery.boxes[0, [0, 1, 6]].tolist()
    before = len(tiny.actors())
    tiny.step(STAND)
    for name, pose, complaint in [
        ("vehicle.audi.ttx", there, "unknown blueprint 'vehicle.audi.ttx'.*vehicle.audi"),
        ("", there, "unknown blueprint"),
        ("vehicle.audi.a2", there, "occupied"),
        ("vehicle.audi.a2", (ego.x + 1.0, ego.y, 0.0), "occupied"),
        ("vehicle.audi.a2", tuple(parked), "occupied"),
        ("walker.pedestrian.0001", tuple(building), "occupied"),
        ("vehicle.audi.a2", (math.nan, 0.0, 0.0), "x must be a finite number"),
        ("vehicle.audi.a2", (0.0, 0.0, math.inf), "yaw must be a finite number"),
        ("vehicle.audi.a2", (1e30, 0.0, 0.0), "outside the town"),
    ]:
        with pytest.raises(UserError, match=complaint):
            tiny.spawn(name, *pose)
    for values, complaint in [
        ((0.0, math.nan, 0.0, 0.0), "finite"),
        ((0.0, 0.0, 0.0, 1e30), "within 100 m/s"),
    ]:
        with pytest.raises(UserError, match=complaint):
            tiny.move(taken, *values)
    with pytest.raises(UserError, match="no spawned actor has the id 10000"):
        tiny.move(10_000, 0.0, 0.0, 0.0, 0.0)
    assert len(tiny.actors()) == before
    assert row_of(tiny.step(STAND).objects, taken).poses[0] == pytest.approx(there)


def test_a_parked_car_can_be_taken_away(tiny):
    tiny.start_route(0, world=World(parked=4))
    assert tiny.destroy(200_002)
    assert tiny.step(STAND).objects.ids.tolist() == [200_000, 200_001, 200_003]


def future_of_a_car(tiny, steps: int) -> tuple[int, np.ndarray]:
    """A car that drives far in ``steps`` frames when nothing is in its way, and its poses."""
    tiny.start_route(0, seed=1, traffic=10)
    paths: dict[int, list[np.ndarray]] = {}
    for _ in range(steps):
        objects = tiny.step(STAND).objects
        for number, pose in zip(objects.ids.tolist(), objects.poses, strict=True):
            paths.setdefault(number, []).append(pose)
    whole = {n: np.array(p) for n, p in paths.items() if len(p) == steps}
    far = max(whole, key=lambda n: float(np.hypot(*(whole[n][-1] - whole[n][steps // 2])[:2])))
    return far, whole[far]


@pytest.mark.parametrize("blueprint", ["vehicle.tesla.model3", "walker.pedestrian.0001"])
def test_traffic_stops_for_what_stands_in_its_way(tiny, blueprint):
    car, path = future_of_a_car(tiny, 60)
    x, y, yaw = path[35].tolist()
    assert math.dist(path[-1][:2], (x, y)) > 8.0
    tiny.start_route(0, seed=1, traffic=10)
    actor = tiny.spawn(blueprint, x, y, yaw + math.pi / 2 * blueprint.startswith("walker"))
    for _ in range(60):
        objects = tiny.step(STAND).objects
    pose = row_of(objects, car).poses[0]
    ahead = to_ego(np.array([x, y]), pose)
    assert 2.5 < ahead[0] < 14.0
    assert np.hypot(*row_of(objects, car).velocities[0]) < 1.0
    tiny.destroy(actor)
    for _ in range(60):
        objects = tiny.step(STAND).objects
    assert to_ego(np.array([x, y]), row_of(objects, car).poses[0])[0] < ahead[0] - 5.0


def test_traffic_does_not_stop_for_who_stands_on_the_pavement(tiny):
    car, path = future_of_a_car(tiny, 60)
    tiny.start_route(0, seed=1, traffic=10)
    x, y = to_map(np.array([0.0, -3.0]), path[35]).tolist()
    tiny.spawn("walker.pedestrian.0001", x, y, 0.0)
    for _ in range(60):
        objects = tiny.step(STAND).objects
    assert row_of(objects, car).poses[0] == pytest.approx(path[-1], abs=0.05)


def test_ids_of_spawned_actors_do_not_come_back():
    actors = SpawnedActors()
    first = actors.add(find("vehicle.audi.tt"), 0.0, 0.0, 0.0)
    assert actors.remove(first) is not None and actors.remove(first) is None
    assert actors.add(find("vehicle.audi.tt"), 0.0, 0.0, 0.0) == first + 1
    assert first not in actors
