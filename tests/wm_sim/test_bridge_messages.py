"""Frames as messages, with the defects of carla-ros-bridge that a client must survive."""

from __future__ import annotations

import math

import numpy as np
import pytest
from bridge_fakes import fake
from derived_object_msgs.msg import Object

from wm_perception.frame import Command, EgoState, Objects, SceneFrame
from wm_sim import bridge_messages as build
from wm_sim import bridge_objects as crowd
from wm_sim.actors import Actor


@pytest.fixture
def frame() -> SceneFrame:
    """The third frame of the fake source: it collides with a truck."""
    source = fake.FakeSource()
    source.start_route(0, 0, 0, "default", None)
    source.step(Command())
    return source.step(Command())


def test_stamps_are_truncated_float_seconds():
    stamps = [k * fake.DT_NS for k in range(200)]
    low = [stamp - build.truncated(stamp) for stamp in stamps]
    assert set(low) == {0, 1}
    assert build.truncated(2_300_000_000) == 2_299_999_999
    assert build.truncated(0) == 0


def test_a_collision_is_in_carlas_axes(frame):
    event = build.collision(frame, "hero")
    assert event.header.frame_id == "hero/collision"
    assert event.other_actor_id == 7
    assert (event.normal_impulse.x, event.normal_impulse.y) == (-3.0, -4.0)


def test_reverse_is_echoed():
    ego = EgoState(0.0, 0.0, 0.0, -1.0, command=Command(0.0, 0.5, True))
    echo = build.vehicle_status(0, ego).control
    assert (echo.reverse, echo.gear, echo.throttle) == (True, -1, 0.5)
    assert build.vehicle_status(0, ego).velocity == 1.0
    assert build.speedometer(ego).data == -1.0


def test_every_vehicle_is_called_a_car_and_stamped_by_the_node(frame):
    accelerations = np.array([[0.5, -0.25]])
    everyone, others = crowd.object_arrays(frame, 1, 9, accelerations, 5)
    truck = others.objects[0]
    assert truck.classification == Object.CLASSIFICATION_CAR
    assert list(truck.shape.dimensions) == [4.0, 2.0, 2.5]
    assert truck.header.stamp.nanosec == 5
    assert (truck.accel.linear.x, truck.accel.linear.y) == (0.5, -0.25)
    assert (truck.classification_age, truck.classification_certainty) == (9, 255)
    assert others.header.stamp.nanosec == 2 * fake.DT_NS
    assert [o.id for o in everyone.objects] == [1, 7]


def test_accelerations_are_differences_of_velocities():
    def moving(stamp_ns: int, *velocities: tuple[int, float, float]) -> SceneFrame:
        ids = np.array([v[0] for v in velocities], np.int64)
        values = np.array([v[1:] for v in velocities]).reshape(-1, 2)
        shape = np.zeros((len(ids), 3))
        others = Objects(ids, shape, values, np.ones((len(ids), 2)))
        return SceneFrame(stamp_ns, EgoState(0.0, 0.0, 0.0, 0.0), others)

    found = crowd.Accelerations()
    assert not found.update(moving(0, (1, 2.0, 0.0))).any()
    both = found.update(moving(fake.DT_NS, (2, 9.0, 9.0), (1, 2.5, -1.0)))
    np.testing.assert_allclose(both, [[0.0, 0.0], [5.0, -10.0]])
    assert found.update(moving(2 * fake.DT_NS)).shape == (0, 2)
    assert not found.update(moving(fake.DT_NS, (1, 7.0, 7.0))).any()  # time went back


def test_actors_without_a_role_are_called_none():
    found = crowd.actor_list([Actor(3, "traffic.traffic_light"), Actor(4, "v", "hero", 1)]).actors
    assert [(a.id, a.rolename, a.parent_id) for a in found] == [(3, "None", 0), (4, "hero", 1)]


def test_markers(frame):
    own, truck = crowd.markers(frame, 1).markers
    assert (own.color.g, truck.color.r, truck.color.a) == (255.0, 255.0, pytest.approx(0.3))
    assert (truck.scale.x, truck.scale.y, truck.scale.z) == (4.0, 2.0, 2.5)
    assert truck.pose.position.z == 1.25
    boxes = np.array([[1.0, 2.0, 3.0, 4.0, 0.01, 6.0, math.pi / 2]])
    (house,) = crowd.static_markers(boxes, np.array([1]), 0).markers
    assert (house.ns, house.pose.position.z, house.scale.y) == ("building", 3.0, 0.1)
    assert house.color.r == pytest.approx(70 / 255)
    assert house.pose.orientation.z == pytest.approx(math.sqrt(0.5))
