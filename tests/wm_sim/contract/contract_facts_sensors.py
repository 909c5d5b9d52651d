"""Facts about sensors and transforms."""

from __future__ import annotations

import math

import numpy as np
from contract_recording import Recording, planar
from contract_session import CAR_AHEAD_M, CAR_LEFT_M
from contract_table import PUBLISHED, Row

CAMERA_X_M = 2.0
TRUCK_HALF_LENGTH_M = 2.6
NUMPY = {7: "f4", 8: "f8", 4: "u2", 6: "u4", 1: "i1"}  # PointField datatypes
VEHICLE_BGR = (142, 0, 0)


def pixels(message) -> np.ndarray:
    """An image message as (H, W, C) or (H, W)."""
    if message.encoding == "32FC1":
        return np.frombuffer(message.data, "<f4").reshape(message.height, message.width)
    channels = message.step // message.width
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, channels)


def points(message) -> np.ndarray:
    """A cloud as a structured array, read by field name and offset."""
    layout = np.dtype(
        {
            "names": [f.name for f in message.fields],
            "formats": [NUMPY[f.datatype] for f in message.fields],
            "offsets": [f.offset for f in message.fields],
            "itemsize": message.point_step,
        }
    )
    return np.frombuffer(message.data, layout)


def rotate(q, vector: tuple[float, float, float]) -> np.ndarray:
    """A vector turned by a quaternion message."""
    axis, v = np.array([q.x, q.y, q.z]), np.array(vector)
    return v + 2 * np.cross(axis, np.cross(axis, v) + q.w * v)


def truck_pixel(width: int, height: int) -> tuple[slice, slice]:
    """Rows and columns of a picture (fov 90°) that the near face of the truck on the left fills."""
    ahead = CAR_AHEAD_M - TRUCK_HALF_LENGTH_M - CAMERA_X_M
    column = round(width / 2 - width / 2 * CAR_LEFT_M / ahead)
    return slice(height // 2 - 5, height // 2 + 5), slice(column - 10, column + 10)


def rgb_sees_the_sky_above_the_road(record: Recording, row: Row) -> None:
    picture = pixels(record.messages(row.name, "rest")[-1])
    assert (picture[..., 3] == 255).all()
    sky = picture[:20, :, :3].reshape(-1, 3).mean(0)
    assert sky[0] > sky[2], "blue comes first"


def camera_info_is_a_pinhole(record: Recording, row: Row) -> None:
    images = row.name.replace("camera_info", "image")
    for info, image in record.pairs(row.name, images, "rest"):
        assert info.header == image.header
        assert (info.width, info.height) == (image.width, image.height)
    focal = info.width / 2  # fov 90°
    centre = info.width / 2, info.height / 2
    np.testing.assert_allclose(info.k, [focal, 0, centre[0], 0, focal, centre[1], 0, 0, 1])
    np.testing.assert_allclose(info.p, [*info.k[:3], 0, *info.k[3:6], 0, *info.k[6:], 0])
    assert list(info.r) == [1, 0, 0, 0, 1, 0, 0, 0, 1]
    assert (info.distortion_model, list(info.d)) == ("plumb_bob", [0.0] * 5)


def depth_is_metres_along_the_axis(record: Recording, row: Row) -> None:
    """Not along the ray, which is a fifth longer towards the truck."""
    picture = pixels(record.messages(row.name, "rest")[-1])
    near = CAR_AHEAD_M - TRUCK_HALF_LENGTH_M - CAMERA_X_M
    found = np.median(picture[truck_pixel(picture.shape[1], picture.shape[0])])
    assert math.isclose(found, near, abs_tol=0.3)


def segmentation_has_cityscapes_colours(record: Recording, row: Row) -> None:
    picture = pixels(record.messages(row.name, "rest")[-1])
    truck = picture[truck_pixel(picture.shape[1], picture.shape[0])].reshape(-1, 4)
    assert (np.median(truck[:, :3], 0) == VEHICLE_BGR).all()
    alone = pixels(record.messages(row.name, "alone")[-1])
    colours = {tuple(c) for c in alone.reshape(-1, 4)[:, 2::-1].tolist()}
    assert (128, 64, 128) in colours, "road, in RGB"
    assert (70, 130, 180) in colours, "sky, in RGB"


def events_match_their_picture(record: Recording, row: Row) -> None:
    found = record.pairs("R/dvs_front/image", "R/dvs_front/events", "start")
    assert sum(cloud.width for _, cloud in found) > 100
    for image, cloud in found:
        assert image.header == cloud.header
        events, picture = points(cloud), pixels(image)
        assert set(events["pol"].tolist()) <= {0, 1}
        assert (np.diff(events["t"]) >= 0).all()
        brighter = np.zeros(picture.shape[:2], bool)
        darker = brighter.copy()
        up = events["pol"] == 1
        brighter[events["y"][up], events["x"][up]] = True
        darker[events["y"][~up], events["x"][~up]] = True
        assert (picture[..., 2] == 255 * brighter).all()
        assert (picture[..., 0] == 255 * darker).all()


def lidar_sees_the_left_car_on_the_left(record: Recording, row: Row) -> None:
    cloud = points(record.messages(row.name, "rest")[-1])
    ahead = (cloud["x"] > 5.0) & (cloud["x"] < 12.0) & (cloud["z"] > -2.0)
    left = ahead & (cloud["y"] > 1.0) & (cloud["y"] < 5.0)
    right = ahead & (cloud["y"] < -1.0) & (cloud["y"] > -5.0)
    assert left.sum() > 50 > 10 * right.sum()
    assert ((cloud["intensity"] >= 0.0) & (cloud["intensity"] <= 1.0)).all()
    assert cloud["z"].min() > -2.6, "the ground is 2.4 m below"


def semantic_lidar_names_the_left_car(record: Recording, row: Row) -> None:
    cloud = points(record.messages(row.name, "rest")[-1])
    truck = cloud[cloud["ObjIdx"] == record.notes["truck"].id]
    assert len(truck) > 50
    assert set(truck["ObjTag"].tolist()) == {10}, "a vehicle"
    assert truck["x"].mean() > 5.0
    assert truck["y"].mean() > 1.5
    assert ((cloud["CosAngle"] >= -1.001) & (cloud["CosAngle"] <= 1.001)).all()


def half_a_turn_of_the_lidar(record: Recording, row: Row) -> None:
    """At 5 Hz and 0.1 s a frame, two frames make one turn."""
    clouds = [points(m) for m in record.messages("R/lidar_half", "day")[-2:]]
    seen = []
    for cloud in clouds:
        sector = np.floor(np.arctan2(cloud["y"], cloud["x"]) / (math.pi / 18)).astype(int)
        seen.append(set(sector.tolist()))
        assert 10 <= len(seen[-1]) <= 20, "of 36 sectors"
    assert len(seen[0] & seen[1]) <= 2


def sensor_tick_is_honoured(record: Recording, row: Row) -> None:
    frames = len(record.messages("R/odometry", "day"))
    assert len(record.messages("R/imu_slow", "day")) == frames // 2


def radar_azimuth_is_right_positive(record: Recording, row: Row) -> None:
    found = [points(m) for m in record.messages(row.name, "rest")]
    cloud = np.concatenate(found)
    assert len(cloud) > 20
    assert (np.sign(cloud["AzimuthAngle"]) == -np.sign(cloud["y"])).all()
    distance = np.sqrt(cloud["x"] ** 2 + cloud["y"] ** 2 + cloud["z"] ** 2)
    np.testing.assert_allclose(cloud["Range"], distance, rtol=1e-3)
    np.testing.assert_allclose(np.sin(cloud["ElevationAngle"]), cloud["z"] / distance, atol=1e-3)
    standing = points(record.messages(row.name, "alone")[-1])["Velocity"]
    assert abs(np.median(standing)) < 0.1


def imu_at_rest_shows_gravity(record: Recording, row: Row) -> None:
    last = record.messages(row.name, "alone")[-1]
    accel = last.linear_acceleration
    assert math.isclose(accel.z, 9.81, abs_tol=0.05)
    assert math.hypot(accel.x, accel.y) < 0.5
    for message in record.messages(row.name):
        assert not any(message.orientation_covariance)
        assert not any(message.angular_velocity_covariance)
        assert not any(message.linear_acceleration_covariance)


def imu_attitude_is_the_egos(record: Recording, row: Row) -> None:
    for imu, odometry in record.pairs(row.name, "R/odometry", "left", "right"):
        yaw = 2 * math.atan2(imu.orientation.z, imu.orientation.w)
        assert abs(math.remainder(yaw - planar(odometry.pose.pose)[2], 2 * math.pi)) < 1e-6
        rate = odometry.twist.twist.angular.z
        assert math.isclose(imu.angular_velocity.z, rate, abs_tol=1e-6)


def north_is_plus_y(record: Recording, row: Row) -> None:
    found = record.pairs(row.name, "R/odometry", "straight", "left")
    (first, odometry), (last, later) = found[0], found[-1]
    x0, y0, yaw0 = planar(odometry.pose.pose)
    x1, y1, yaw1 = planar(later.pose.pose)
    ahead_m = 1.0  # where the antenna is
    east = (x1 - x0) + ahead_m * (math.cos(yaw1) - math.cos(yaw0))
    north = (y1 - y0) + ahead_m * (math.sin(yaw1) - math.sin(yaw0))
    metres = math.radians(1.0) * 6_378_137.0
    scale = metres * math.cos(math.radians(first.latitude))
    assert math.isclose((last.latitude - first.latitude) * metres, north, abs_tol=0.1)
    assert math.isclose((last.longitude - first.longitude) * scale, east, abs_tol=0.1)
    assert not any(first.position_covariance)


def tf_of_sensors(record: Recording, row: Row) -> None:
    """In lockstep relative to the ego; cameras look along z and have x to the right."""
    items = {t.child_frame_id: t for t in record.messages("/tf", "rest")[-1].transforms}
    measured = {
        r.frame_id.replace("ROLE", record.role) for r in PUBLISHED if r.section == "sensors"
    }
    assert measured <= set(items)
    for name in measured:
        assert items[name].header.frame_id == record.role
    lidar = items[f"{record.role}/lidar"].transform
    assert math.isclose(lidar.translation.z, 2.4)
    np.testing.assert_allclose(rotate(lidar.rotation, (1, 2, 3)), (1, 2, 3), atol=1e-9)
    front = items[f"{record.role}/rgb_front"].transform.rotation
    np.testing.assert_allclose(rotate(front, (0, 0, 1)), (1, 0, 0), atol=1e-9)
    np.testing.assert_allclose(rotate(front, (1, 0, 0)), (0, -1, 0), atol=1e-9)
    view = items[f"{record.role}/rgb_view"].transform.rotation  # 20° nose down
    down = math.radians(20.0)
    np.testing.assert_allclose(
        rotate(view, (0, 0, 1)), (math.cos(down), 0, -math.sin(down)), atol=1e-9
    )
