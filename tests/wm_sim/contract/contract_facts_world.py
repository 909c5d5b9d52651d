"""Facts about the global topics, objects and lights."""

from __future__ import annotations

import math

from carla_msgs.msg import CarlaTrafficLightStatus
from contract_recording import Recording, planar
from contract_session import CAR_AHEAD_M, CAR_LEFT_M
from contract_table import Row
from derived_object_msgs.msg import Object
from shape_msgs.msg import SolidPrimitive
from visualization_msgs.msg import Marker


def nanoseconds(stamp) -> int:
    return stamp.sec * 10**9 + stamp.nanosec


def once_per_tick(record: Recording, row: Row) -> None:
    for clock, odometry in record.unstamped("/clock"):
        assert clock.clock == odometry.header.stamp
    clocks = [nanoseconds(m.clock) for m in record.messages("/clock")]
    assert len(clocks) > 50
    assert clocks == sorted(set(clocks))


def truncated_stamps(record: Recording, row: Row) -> None:
    """Multiples of the time step, up to 1 ns low, and some of them really low."""
    stamps = [nanoseconds(m.header.stamp) for m in record.messages("R/odometry")]
    low = {-stamp % 100_000_000 for stamp in stamps}
    assert low == {0, 1}


def status_with_every_frame(record: Recording, row: Row) -> None:
    found = record.messages("/carla/status", "straight", "left", "right")
    frames = [m.frame for m in found]
    assert frames == list(range(frames[0], frames[0] + len(frames)))
    assert all(m.synchronous_mode and m.synchronous_mode_running for m in found)
    assert math.isclose(found[0].fixed_delta_seconds, 0.1, rel_tol=1e-6)


def pause_step_play(record: Recording, row: Row) -> None:
    assert record.notes["frames_while_paused"] == 0
    assert record.notes["frames_of_one_step"] == 1
    assert not record.notes["running_after_one_step"]
    assert any(not m.synchronous_mode_running for m in record.messages("/carla/status"))


def map_name_and_text(record: Recording, row: Row) -> None:
    (info,) = record.messages("/carla/world_info")
    assert info.map_name == "tiny"
    assert info.opendrive == record.messages("/carla/map")[0].data


def map_is_opendrive(record: Recording, row: Row) -> None:
    (text,) = record.messages("/carla/map")
    assert "<OpenDRIVE" in text.data[:300]


def weather_shows(record: Recording, row: Row) -> None:
    """The same picture is darker after sunset."""
    day = record.messages("R/rgb_front/image", "day")[-1]
    night = record.messages("R/rgb_front/image", "night")[-1]
    assert sum(night.data) < 0.75 * sum(day.data)


def actors_are_listed(record: Recording, row: Row) -> None:
    notes = record.notes
    listed = {a.id: a for a in record.messages("/carla/actor_list", "rest")[-1].actors}
    ego = listed[notes["ego_id"]]
    assert (ego.rolename, ego.parent_id) == (record.role, 0)
    assert listed[notes["truck"].id].rolename == "truck"
    assert listed[notes["truck"].id].type == "vehicle.carlamotors.carlacola"
    sensors = {a.rolename: a for a in listed.values() if a.type.startswith("sensor.")}
    assert sensors["lidar"].parent_id == ego.id
    assert sensors["collision"].type == "sensor.other.collision"
    lights = {light.id for light in record.messages("/carla/traffic_lights/info")[0].traffic_lights}
    assert lights and all(listed[i].type == "traffic.traffic_light" for i in lights)
    others = {o.id for o in record.messages("R/objects", "rest")[-1].objects}
    assert others <= set(listed)
    assert {listed[i].rolename for i in lights} == {"None"}  # CARLA's str(None)


def objects_with_ego(record: Recording, row: Row) -> None:
    for everyone, others in record.pairs("/carla/objects", "R/objects", "left"):
        assert {o.id for o in everyone.objects} - {o.id for o in others.objects} == {
            record.notes["ego_id"]
        }
        assert {o.header.frame_id for o in everyone.objects} == {"map"}


def objects_without_ego(record: Recording, row: Row) -> None:
    assert record.messages("R/objects")
    for message in record.messages("R/objects"):
        assert record.notes["ego_id"] not in {o.id for o in message.objects}


def objects_stand_on_the_ground(record: Recording, row: Row) -> None:
    """The pose is the actor's origin: on the ground, in the middle of the body."""
    x, y, yaw = planar(record.messages("R/odometry", "rest")[-1].pose.pose)
    message = record.messages("/carla/objects", "rest")[-1]
    assert {o.pose.position.z for o in message.objects} == {0.0}
    truck = next(o for o in message.objects if o.id == record.notes["truck"].id)
    forward = (x + CAR_AHEAD_M * math.cos(yaw), y + CAR_AHEAD_M * math.sin(yaw))
    left = (-CAR_LEFT_M * math.sin(yaw), CAR_LEFT_M * math.cos(yaw))
    at = truck.pose.position
    assert math.dist((at.x, at.y), (forward[0] + left[0], forward[1] + left[1])) < 0.05


def object_twist_is_in_map_axes(record: Recording, row: Row) -> None:
    """The ego's twist points where it heads, its acceleration too while it gains speed."""
    messages = record.messages("/carla/objects", "straight")
    ego = next(o for o in messages[-1].objects if o.id == record.notes["ego_id"])
    _, _, yaw = planar(ego.pose)
    for vector in (ego.twist.linear, ego.accel.linear):
        assert math.hypot(vector.x, vector.y) > 0.3
        assert abs(math.remainder(math.atan2(vector.y, vector.x) - yaw, 2 * math.pi)) < 0.1
    moving = [o for m in messages for o in m.objects if o.id != record.notes["ego_id"]]
    assert any(math.hypot(o.accel.linear.x, o.accel.linear.y) > 0.2 for o in moving)


def objects_are_boxes_called_cars(record: Recording, row: Row) -> None:
    truck, walker = record.notes["truck"].id, record.notes["walker"].id
    walking, driving = Object.CLASSIFICATION_PEDESTRIAN, Object.CLASSIFICATION_CAR
    for item in record.messages("/carla/objects", "rest")[-1].objects:
        assert item.shape.type == SolidPrimitive.BOX
        assert len(item.shape.dimensions) == 3
        assert all(edge > 0.3 for edge in item.shape.dimensions)
        assert (item.object_classified, item.classification_certainty) == (True, 255)
        assert item.classification == (walking if item.id == walker else driving)
        assert item.detection_level == Object.OBJECT_DETECTED
        if item.id == truck:
            assert item.shape.dimensions[0] > 5.0
    ages = [m.objects[0].classification_age for m in record.messages("/carla/objects", "left")]
    assert ages == list(range(ages[0], ages[0] + len(ages)))


def object_stamps_are_the_nodes(record: Recording, row: Row) -> None:
    """A node's clock shows the frame before when objects are written."""
    messages = record.messages("/carla/objects", "straight")
    for before, message in zip(messages, messages[1:], strict=False):
        assert message.objects[0].header.stamp == before.header.stamp


def markers_are_boxes(record: Recording, row: Row) -> None:
    message = record.messages("/carla/markers", "rest")[-1]
    ids = {o.id for o in record.messages("/carla/objects", "rest")[-1].objects}
    assert {m.id for m in message.markers} == ids
    for marker in message.markers:
        assert (marker.type, marker.header.frame_id) == (Marker.CUBE, "map")
        assert math.isclose(marker.pose.position.z, marker.scale.z / 2)
        colour = {record.notes["ego_id"]: (0, 255, 0), record.notes["walker"].id: (0, 0, 255)}
        wanted = colour.get(marker.id, (255, 0, 0))  # not 0 to 1, as the real one
        assert (marker.color.r, marker.color.g, marker.color.b) == wanted


def static_markers_are_boxes(record: Recording, row: Row) -> None:
    (message,) = record.messages("/carla/markers/static")
    assert len(message.markers) > 50
    assert len({m.id for m in message.markers}) == len(message.markers)
    assert {(m.type, m.header.frame_id) for m in message.markers} == {(Marker.CUBE, "map")}
    assert {"building", "vegetation"} <= {m.ns for m in message.markers}
    assert all(0.0 <= m.color.r <= 1.0 for m in message.markers)


def lights_only_on_change(record: Recording, row: Row) -> None:
    messages = record.messages("/carla/traffic_lights/status")
    states = [tuple((light.id, light.state) for light in m.traffic_lights) for m in messages]
    assert 0 < len(states) < len(record.messages("R/odometry")) / 2
    assert all(before != after for before, after in zip(states, states[1:], strict=False))
    known = {CarlaTrafficLightStatus.RED, CarlaTrafficLightStatus.YELLOW}
    assert {state for _, state in states[0]} <= {*known, CarlaTrafficLightStatus.GREEN}


def light_boxes(record: Recording, row: Row) -> None:
    (info,) = record.messages("/carla/traffic_lights/info")
    status = record.messages("/carla/traffic_lights/status")[0]
    assert {i.id for i in info.traffic_lights} == {s.id for s in status.traffic_lights}
    for light in info.traffic_lights:
        size, q = light.trigger_volume.size, light.transform.orientation
        assert min(size.x, size.y, size.z) > 1.0
        assert math.isclose(q.z**2 + q.w**2, 1.0, rel_tol=1e-6)


def tf_of_ego(record: Recording, row: Row) -> None:
    for message, odometry in record.pairs("/tf", "R/odometry", "left"):
        item = next(t for t in message.transforms if t.child_frame_id == record.role)
        assert item.header.frame_id == "map"
        assert item.header.stamp == odometry.header.stamp
        assert item.transform.translation.x == odometry.pose.pose.position.x
        assert item.transform.rotation == odometry.pose.pose.orientation


def no_static_tf(record: Recording, row: Row) -> None:
    node = record.client.node
    assert not node.count_publishers("/tf_static")
    frames = {t.child_frame_id for m in record.messages("/tf") for t in m.transforms}
    assert not {"base_link", "odom"} & frames
