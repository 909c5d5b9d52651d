"""Facts about services and refused requests."""

from __future__ import annotations

import math

import pytest
from contract_recording import Recording, planar
from contract_table import Row


def spawned_actors_appear(record: Recording, row: Row) -> None:
    answer = record.notes["truck"]
    assert answer.id > 0
    assert answer.error_string == ""
    for message in record.messages("/carla/objects", "rest"):
        assert answer.id in {o.id for o in message.objects}


def walkers_take_commands(record: Recording, row: Row) -> None:
    """Direction in axes of the map, y to the left of x."""
    found = [
        next(o for o in message.objects if o.id == record.notes["walker"].id)
        for message in record.messages("/carla/objects", "rest")
    ]
    assert found[-1].twist.linear.y == pytest.approx(1.5, rel=1e-3)
    assert found[-1].pose.position.y - found[0].pose.position.y == pytest.approx(0.3, abs=0.02)


def destroyed_actors_are_gone(record: Recording, row: Row) -> None:
    assert record.notes["truck_gone"]
    assert not record.notes["destroyed_nobody"]
    for message in record.messages("/carla/objects", "alone"):
        assert record.notes["truck"].id not in {o.id for o in message.objects}


def impossible_spawns_are_refused(record: Recording, row: Row) -> None:
    for case, answer in record.notes["refused"].items():
        assert answer.id == -1, case
        assert len(answer.error_string) > 20, case
    said = {case: answer.error_string for case, answer in record.notes["refused"].items()}
    assert "vehicle.nobody.knows" in said["unknown blueprint"]
    assert "instance_segmentation" in said["no sensor"]
    assert "channels" in said["bad attribute"]


def spawned_sensors_publish(record: Recording, row: Row) -> None:
    names = "imu_slow", "lidar_half"
    assert all(record.notes[name].id > 0 for name in names)
    assert all(record.messages(f"R/{name}", "day") for name in names)
    assert record.messages("R/imu_slow")[0].header.frame_id == f"{record.role}/imu_slow"
    assert record.notes["sensors_destroyed"] == [True, True]
    for name in names:
        assert not record.client.node.count_publishers(f"/carla/{record.role}/{name}")


def blueprints_are_listed(record: Recording, row: Row) -> None:
    """Those that match, and every pseudo sensor whatever the filter, as the real bridge does."""
    found = list(record.notes["blueprints"])
    assert found == sorted(found)
    assert "vehicle.tesla.model3" in found
    assert "sensor.pseudo.tf" in found
    assert not any(name.startswith("walker.") for name in found)


def waypoint_of_the_ego(record: Recording, row: Row) -> None:
    here, found = record.notes["here"], record.notes["waypoint"]
    assert found == record.notes["actor_waypoint"]
    assert math.dist((here.x, here.y), planar(found.pose)[:2]) < 4.0
    assert found.lane_id != 0
    nobody = record.notes["no_actor_waypoint"]
    assert (nobody.road_id, nobody.lane_id, nobody.pose.position.x) == (0, 0, 0.0)


def inputs_survive_nonsense(record: Recording, row: Row) -> None:
    found = record.messages("R/odometry", "nonsense")
    assert len(found) >= 2
    positions = [planar(m.pose.pose) for m in found]
    assert all(math.isfinite(value) for place in positions for value in place)
    assert math.dist(positions[0][:2], positions[-1][:2]) < 2.0
