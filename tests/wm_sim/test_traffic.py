"""Who is on the road and beside it: lorries, cyclists, people, parked cars; and lane changes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_perception.conventions import to_ego
from wm_perception.frame import Command, EgoState, ObjectClass, Objects
from wm_perception.scene import CORRIDOR_HALF_M, touches
from wm_sim.parked import CLEAR_M
from wm_sim.pavement import CATCH_UP_MPS, step_aside
from wm_sim.simulator import Simulator
from wm_sim.town_files import load_town
from wm_sim.traffic import Traffic
from wm_sim.world import World

STAND = Command(0.0, -1.0)
FULL = World(trucks=4, cyclists=3, pedestrians=25, parked=12)


def body(objects: Objects, row: int) -> EgoState:
    """One object as a body that others may touch."""
    length, width = objects.sizes[row].tolist()
    return EgoState(*objects.poses[row].tolist(), 0.0, length=length, width=width)


@pytest.fixture(scope="module")
def minute(tiny) -> list[Objects]:
    """The objects of a minute in a full town, twice a second."""
    tiny.start_route(0, seed=3, traffic=10, world=FULL)
    frames = [tiny.step(STAND) for _ in range(600)]
    return [frame.objects for frame in frames[::5]]


def test_the_world_holds_what_was_asked_for_and_keeps_it(minute):
    wanted = {ObjectClass.TRUCK: 4, ObjectClass.BIKE: 3, ObjectClass.PEDESTRIAN: 25}
    for objects in (minute[0], minute[-1]):
        moving = objects[objects.ids < 200_000]
        found = Counter(ObjectClass(kind) for kind in moving.kinds.tolist())
        assert (objects.ids >= 200_000).sum() == 12
        for kind, number in {**wanted, ObjectClass.CAR: 10}.items():
            assert number - 2 <= found[kind] <= number
    sizes = {tuple(size) for size in minute[0].sizes[minute[0].kinds == ObjectClass.TRUCK]}
    assert sizes <= {(5.2, 2.61), (5.92, 1.99), (4.44, 1.77)}
    assert sorted(set(minute[0].ids.tolist())) == sorted(minute[0].ids.tolist())


def test_cyclists_keep_right_and_are_slower_than_cars(tiny, minute):
    speeds = {ObjectClass.BIKE: 0.0, ObjectClass.CAR: 0.0}
    asides = []
    for objects in minute:
        for kind in speeds:
            rows = objects.kinds == kind
            speeds[kind] = max(speeds[kind], np.hypot(*objects.velocities[rows].T).max())
        for x, y, yaw in objects.poses[objects.kinds == ObjectClass.BIKE].tolist():
            cyclist = EgoState(x, y, yaw, 0.0, length=1.7, width=0.6)
            assert not tiny.town.is_off_road(cyclist)
            right = np.array([x + 0.9 * np.sin(yaw), y - 0.9 * np.cos(yaw)])
            left = np.array([x - 2.2 * np.sin(yaw), y + 2.2 * np.cos(yaw)])
            asides.append(tiny.town.drivable(np.array([right, left])).tolist())
    assert 3.0 < speeds[ObjectClass.BIKE] < 7.0 < speeds[ObjectClass.CAR]
    assert np.mean(asides, axis=0)[1] > 0.9  # more than 2 m of road on their left


def test_people_walk_on_pavements_and_crossings_without_jumps(tiny, minute):
    tiny.start_route(0, seed=3, traffic=10, world=FULL)
    last: dict[int, np.ndarray] = {}
    on_road, steps, crossed = [], [], set()
    for _ in range(400):
        people = tiny.step(STAND).objects
        people = people[people.kinds == ObjectClass.PEDESTRIAN]
        road = tiny.town.drivable(people.poses[:, :2])
        on_road += road.tolist()
        crossed |= set(people.ids[road].tolist())
        for number, pose in zip(people.ids.tolist(), people.poses, strict=True):
            if number in last:
                steps.append(float(np.hypot(*(pose - last[number])[:2])))
            last[number] = pose
    assert max(steps) <= CATCH_UP_MPS * 0.1 + 1e-6
    assert 0.08 < np.mean(steps) < 0.16
    assert 0.0 < np.mean(on_road) < 0.15
    assert len(crossed) > 3


def test_cars_yield_to_people(minute):
    touched = 0
    for objects in minute:
        people = objects[objects.kinds == ObjectClass.PEDESTRIAN]
        for row in np.flatnonzero(
            (objects.kinds != ObjectClass.PEDESTRIAN) & (objects.ids < 200_000)
        ):
            touched += touches(body(objects, int(row)), people)
    assert touched == 0


def test_parked_cars_leave_the_lane_free_and_stand_clear(tiny, minute):
    assert CLEAR_M > CORRIDOR_HALF_M  # nobody's leader
    parked = minute[0][minute[0].ids >= 200_000]
    assert not parked.velocities.any()
    for row in range(len(parked)):
        others = parked[np.arange(len(parked)) != row]
        assert not touches(body(parked, row), others)
        x, y, _ = parked.poses[row].tolist()
        waypoint = tiny.town.carla_map.get_waypoint(_carla_location(x, y))
        assert abs(_lateral(waypoint, x, y)) - parked.sizes[row, 1] / 2 == pytest.approx(
            CLEAR_M, abs=0.15
        )
    for objects in minute:
        moving = objects[objects.ids < 200_000]
        assert not any(touches(body(moving, row), parked) for row in range(len(moving)))


def _carla_location(x: float, y: float):
    import carla

    return carla.Location(x, -y, 0.0)


def _lateral(waypoint, x: float, y: float) -> float:
    from wm_perception.conventions import carla_to_ros_pose

    transform = waypoint.transform
    pose = carla_to_ros_pose(transform.location.x, transform.location.y, transform.rotation.yaw)
    return float(to_ego(np.array([x, y]), np.array(pose))[1])


def test_people_step_round_a_parked_car_without_a_jump():
    car = Objects(
        np.array([1]), np.array([[0.0, 0.0, 0.0]]), np.zeros((1, 2)), np.array([[4.0, 1.8]])
    )
    along = np.arange(-8.0, 8.0, 0.13)
    points = step_aside(np.stack([along, np.full(len(along), -0.5)], 1), car)
    assert np.abs(np.diff(points[:, 1])).max() < 0.16
    beside = np.abs(points[:, 0]) < 2.2
    assert (points[beside, 1] < -1.5).all()
    assert (points[[0, -1], 1] == -0.5).all()
    far_side = np.array([[0.0, 2.0]])
    np.testing.assert_array_equal(step_aside(far_side, car), far_side)


def test_lights_are_the_same_with_and_without_pavements(tiny):
    plain = tiny.start_route(0).lights
    walks = tiny.start_route(0, world=World(pedestrians=1)).lights
    assert [box.id for box in plain] == [box.id for box in walks]
    for a, b in zip(plain, walks, strict=True):
        assert np.hypot(a.center[0] - b.center[0], a.center[1] - b.center[1]) < 0.3
        assert abs(np.angle(np.exp(1j * (a.yaw - b.yaw)))) < 0.15


def test_a_town_without_pavements_has_no_pedestrians():
    traffic = Traffic(load_town("tiny").net_path, None, 0.1)
    with pytest.raises(UserError, match="no pavements"):
        traffic.start(0, 0, World(pedestrians=1))


def test_lane_changes_take_their_time():
    with Simulator("stage") as simulator:
        simulator.start_route(0, seed=1, traffic=40)
        last: dict[int, np.ndarray] = {}
        aside, changes = [], 0
        for _ in range(300):
            objects = simulator.step(STAND).objects
            for number, pose in zip(objects.ids.tolist(), objects.poses, strict=True):
                if number in last:
                    aside.append(abs(float(to_ego(pose[:2], last[number])[1])))
                    changes += aside[-1] > 0.08
                last[number] = pose
    assert max(aside) < 0.8  # a lane is 3.5 m
    assert changes > 20
