"""Lidars: ray casting against plain geometry, the sweep, intensity, noise, tags and speed."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_perception.frame import EgoState, ObjectClass, Objects
from wm_perception.semantics import SemanticTag
from wm_perception.town_map import TownMap
from wm_sim.lidar import Lidar, SemanticLidar
from wm_sim.lidar_cast import GROUND, NOTHING, cast, corners, pairs_in_sectors, sectors
from wm_sim.lidar_world import Ground
from wm_sim.rig import default_rig
from wm_sim.routes import route_list
from wm_sim.scenery import Scenery
from wm_sim.sensor_clock import Tick
from wm_sim.sensor_spec import SensorSpec
from wm_sim.town_files import load_town
from wm_sim.view import WorldView

FIELD = -900.0  # x and y of a place far outside the town, where nothing stands
GROUND_TAGS = (
    SemanticTag.ROAD,
    SemanticTag.ROAD_LINE,
    SemanticTag.SIDEWALK,
    SemanticTag.TERRAIN,
)
CLEAN = {
    "channels": "32",
    "range": "50",
    "points_per_second": "320000",
    "rotation_frequency": "10",
    "upper_fov": "2.0",
    "lower_fov": "-26.8",
    "dropoff_general_rate": "0",
    "dropoff_zero_intensity": "0",
}


@pytest.fixture(scope="module")
def town():
    return TownMap.from_opendrive(load_town("tiny").xodr_text, "tiny")


@pytest.fixture(scope="module")
def scenery(town):
    return Scenery(town)


def lidar_spec(kind="sensor.lidar.ray_cast", pose=(0.0, 0.0, 2.4), **attributes):
    return SensorSpec("lidar", kind, *pose, attributes={**CLEAN, **attributes})


def tick(elapsed_s=0.1, time_s=0.1, seed=0):
    return Tick(time_s, elapsed_s, np.random.default_rng(seed))


def view_at(x=FIELD, y=FIELD, yaw=0.0, **parts):
    return WorldView(100_000_000, 0.1, EgoState(x, y, yaw, 0.0), **parts)


def body(x, y, yaw=0.0, size=(4.5, 1.85), height=1.5, kind=ObjectClass.CAR, number=7):
    return Objects(
        np.array([number]),
        np.array([[x, y, yaw]]),
        np.zeros((1, 2)),
        np.array([size]),
        np.array([kind], np.uint8),
        np.array([height]),
    )


def test_an_empty_field_is_rings_on_the_ground(scenery):
    points = Lidar(lidar_spec()).measure(scenery, view_at(), tick())
    np.testing.assert_allclose(points[:, 2], -2.4, atol=1e-4)
    elevations = np.radians(np.linspace(2.0, -26.8, 32))
    reach = 2.4 / np.tan(-elevations[elevations < 0])
    expected = reach[np.hypot(reach, 2.4) < 50.0]
    rings = np.hypot(points[:, 0], points[:, 1]).reshape(len(expected), 1000)
    np.testing.assert_allclose(rings, np.tile(expected[:, None], 1000), rtol=1e-4)
    np.testing.assert_allclose(
        points[:, 3], np.exp(-0.004 * np.linalg.norm(points[:, :3], axis=1)), rtol=1e-4
    )


def test_points_are_in_the_axes_of_the_sensor(scenery):
    """A car ahead and to the left of a turned ego: x forward, y left."""
    yaw = 1.1
    x = FIELD + 10.0 * math.cos(yaw) - 5.0 * math.sin(yaw)
    y = FIELD + 10.0 * math.sin(yaw) + 5.0 * math.cos(yaw)
    view = view_at(yaw=yaw, objects=body(x, y, yaw))
    points = Lidar(lidar_spec()).measure(scenery, view, tick())
    on_car = points[points[:, 2] > -2.3]
    assert len(on_car) > 100
    assert on_car[:, 0].min() == pytest.approx(10.0 - 2.25, abs=0.01)  # its rear
    assert on_car[:, 1].min() == pytest.approx(5.0 - 1.85 / 2, abs=0.01)  # its near side
    assert on_car[:, 2].max() == pytest.approx(1.5 - 2.4, abs=0.15)  # its roof
    assert on_car[:, 2].max() <= 1.5 - 2.4 + 1e-4


def test_a_turned_and_tilted_sensor_sees_the_same_world(scenery):
    view = view_at(
        objects=body(FIELD + 8.0, FIELD + 2.0, 0.4), props=body(FIELD - 5.0, FIELD, size=(0.4, 0.4))
    )
    spec = lidar_spec(pose=(1.0, 0.3, 2.0), upper_fov="20", lower_fov="-60")
    tilted = replace(spec, roll=0.2, pitch=0.3, yaw=2.0)
    for mounted in (spec, tilted):
        points = Lidar(mounted).measure(scenery, view, tick())[:, :3].astype(float)
        world = points @ mounted.rotation.T + mounted.position
        assert world[:, 2].min() > -1e-3
        raised = world[world[:, 2] > 0.05]
        assert len(raised) > 50
        ahead, beside = raised[raised[:, 0] > 0], raised[raised[:, 0] < 0]
        cos, sin = math.cos(0.4), math.sin(0.4)
        local = (ahead[:, :2] - (8.0, 2.0)) @ np.array([[cos, -sin], [sin, cos]])
        outside = np.maximum(np.abs(local) - (2.25, 0.925), 0.0)
        assert outside.max() < 2e-3
        assert np.abs(beside[:, :2] - (-5.0, 0.0)).max() < 0.202


def reference_cast(origin, direction, boxes):
    """One ray against all boxes by clipping it with each pair of faces."""
    best, which = np.inf, NOTHING
    if direction[2] < 0:
        best, which = -origin[2] / direction[2], GROUND
    for number, (x, y, z, sx, sy, sz, yaw) in enumerate(boxes):
        turn = np.array(
            [[math.cos(yaw), math.sin(yaw), 0], [-math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]]
        )
        o, d = turn @ (origin - (x, y, z)), turn @ direction
        low, high = -np.inf, np.inf
        for axis, size in enumerate((sx, sy, sz)):
            faces = sorted(((-size / 2 - o[axis]) / d[axis], (size / 2 - o[axis]) / d[axis]))
            low, high = max(low, faces[0]), min(high, faces[1])
        if 0.0 < low <= high and low < best:
            best, which = low, number
    return best, which


def test_casting_agrees_with_one_ray_at_a_time():
    rng = np.random.default_rng(4)
    boxes = np.c_[
        rng.uniform(-30, 30, (40, 2)), rng.uniform(0, 3, 40), rng.uniform(0.2, 8, (40, 3)),
        rng.uniform(-4, 4, 40),
    ]  # fmt: skip
    origin = np.array([0.0, 0.0, 2.0])
    boxes = boxes[np.hypot(boxes[:, 0], boxes[:, 1]) > 8.0]
    azimuths = rng.uniform(-math.pi, math.pi, 90)
    elevations = np.radians(np.linspace(15.0, -40.0, 7))
    directions = np.stack(
        [
            np.cos(azimuths)[:, None] * np.cos(elevations),
            np.sin(azimuths)[:, None] * np.cos(elevations),
            np.broadcast_to(np.sin(elevations), (90, 7)),
        ],
        -1,
    )
    pairs = pairs_in_sectors(azimuths, *sectors(corners(boxes) - origin))
    hits = cast(origin, directions, boxes, pairs, 1000.0)
    for a in range(90):
        for c in range(7):
            distance, which = reference_cast(origin, directions[a, c], boxes)
            assert hits.box[a, c] == which
            if which != NOTHING:
                assert hits.distance[a, c] == pytest.approx(distance, rel=1e-4)
    assert len(np.unique(hits.box)) > 15


def test_a_body_under_the_sensor_is_seen_all_around():
    boxes = np.array([[0.2, 0.1, 0.2, 3.0, 2.0, 0.4, 0.3]])
    origin = np.array([0.0, 0.0, 2.0])
    first, width = sectors(corners(boxes) - origin)
    assert width[0] == pytest.approx(2 * math.pi)
    column, _ = pairs_in_sectors(np.linspace(-3, 3, 50), first, width)
    assert column.tolist() == list(range(50))


def test_sectors_across_the_rear_wrap_around():
    rear = np.array([[-10.0, 0.0, 1.0, 2.0, 4.0, 2.0, 0.0]])
    azimuths = np.radians([-179.0, -90.0, 0.0, 90.0, 179.0])
    column, box = pairs_in_sectors(azimuths, *sectors(corners(rear)))
    assert column.tolist() == [0, 4] and box.tolist() == [0, 0]


def test_a_turn_takes_as_many_frames_as_the_attributes_say(scenery):
    whole = Lidar(lidar_spec()).measure(scenery, view_at(), tick())
    azimuth = np.degrees(np.arctan2(whole[:, 1], whole[:, 0]))
    assert np.histogram(azimuth, 12, (-180, 180))[0].min() > 0.9 * len(whole) / 12
    half = Lidar(lidar_spec(rotation_frequency="5"))
    seen = []
    for step in (1, 2):  # the first half of a turn starts at the rear and goes round the left
        points = half.measure(scenery, view_at(), tick(time_s=0.1 * step))
        seen.append(np.degrees(np.arctan2(points[:, 1], points[:, 0])))
    assert (seen[0] >= -1e-3).all() or np.abs(seen[0][seen[0] < 0]).min() > 179.0
    assert (seen[1] <= 1e-3).all()
    assert abs(np.median(seen[0]) - 90.0) < 2.0 and abs(np.median(seen[1]) + 90.0) < 2.0


def test_losses_and_noise_are_random_but_seeded(scenery):
    clean = Lidar(lidar_spec()).measure(scenery, view_at(), tick())
    lossy = Lidar(lidar_spec(dropoff_general_rate="0.45"))
    first = lossy.measure(scenery, view_at(), tick(seed=1))
    assert len(first) == pytest.approx(0.55 * len(clean), rel=0.03)
    np.testing.assert_array_equal(first, lossy.measure(scenery, view_at(), tick(seed=1)))
    assert len(first) != len(lossy.measure(scenery, view_at(), tick(seed=2)))
    noisy = Lidar(lidar_spec(noise_stddev="0.05")).measure(scenery, view_at(), tick())
    along = np.linalg.norm(noisy[:, :3], axis=1) - np.linalg.norm(clean[:, :3], axis=1)
    assert along.std() == pytest.approx(0.05, rel=0.05) and abs(along.mean()) < 0.002
    faint = Lidar(
        lidar_spec(
            dropoff_zero_intensity="1",
            dropoff_intensity_limit="1",
            atmosphere_attenuation_rate="0.05",
        )
    ).measure(scenery, view_at(), tick())
    kept = [
        (np.linalg.norm(cloud[:, :3], axis=1) < 10.0).sum() for cloud in (faint, clean)
    ]  # the chance to survive is the intensity itself
    assert 0.6 < kept[0] / kept[1] < 0.8
    assert len(faint) < 0.65 * len(clean)


def test_semantic_points_say_what_they_hit(town, scenery):
    route = route_list("tiny")[0]
    x, y = route.points[20]
    yaw = float(route.headings[20])
    forward = np.array([math.cos(yaw), math.sin(yaw)])
    car = body(*(route.points[20] + 12.0 * forward), yaw, number=10_007)
    walker = body(
        *(route.points[20] + 6.0 * forward), yaw, (0.5, 0.5), 1.8, ObjectClass.PEDESTRIAN, 100_003
    )
    cone = body(*(route.points[20] - 6.0 * forward), yaw, (0.4, 0.4), 0.8, ObjectClass.BARRIER, 9)
    view = view_at(float(x), float(y), yaw, objects=car + walker, props=cone)
    spec = lidar_spec("sensor.lidar.ray_cast_semantic")
    cloud = SemanticLidar(spec, Ground(town)).measure(scenery, view, tick())
    assert cloud.dtype.itemsize == 24
    found = {int(i): set(cloud["ObjTag"][cloud["ObjIdx"] == i]) for i in np.unique(cloud["ObjIdx"])}
    assert found[10_007] == {SemanticTag.VEHICLE}
    assert found[100_003] == {SemanticTag.PEDESTRIAN}
    assert found[9] == {SemanticTag.STATIC}
    assert {*GROUND_TAGS, SemanticTag.BUILDING} <= found[0]
    ground = cloud[np.isin(cloud["ObjTag"], GROUND_TAGS)]
    np.testing.assert_allclose(ground["z"], -2.4, atol=1e-4)
    distance = np.sqrt(ground["x"] ** 2 + ground["y"] ** 2 + ground["z"] ** 2)
    np.testing.assert_allclose(ground["CosAngle"], 2.4 / distance, rtol=1e-3)
    near = ground[np.hypot(ground["x"], ground["y"]) < 6.0]
    assert (near["ObjTag"] == SemanticTag.ROAD).mean() > 0.5
    assert (cloud["CosAngle"] > 0).all() and (cloud["CosAngle"] <= 1.0001).all()


def test_trucks_stand_out_above_cars(scenery):
    def top(height):
        view = view_at(objects=body(FIELD + 15.0, FIELD, size=(8.0, 2.5), height=height))
        points = Lidar(lidar_spec(upper_fov="15")).measure(scenery, view, tick())
        return points[np.abs(points[:, 1]) < 1.2, 2].max() + 2.4

    assert top(1.5) < 1.51 and top(3.5) == pytest.approx(3.5, abs=0.2)


def test_a_sweep_of_32_by_1000_rays_takes_little_time(scenery):
    route = route_list("tiny")[0]
    rng = np.random.default_rng(0)
    x, y = route.points[20]
    cars = Objects(
        np.arange(40),
        np.c_[x + rng.uniform(-40, 40, 40), y + rng.uniform(-40, 40, 40), rng.uniform(-3, 3, 40)],
        np.zeros((40, 2)),
        np.tile([4.5, 1.85], (40, 1)),
    )
    lidar = Lidar(default_rig().sensor("lidar"))
    view = view_at(float(x), float(y), objects=cars)
    took = []
    for _ in range(9):
        start = time.process_time()
        lidar.measure(scenery, view, tick())
        took.append(time.process_time() - start)
    assert np.median(took) < 0.015


@pytest.mark.parametrize(
    "attributes, message",
    [
        ({"channels": "0"}, "channels"),
        ({"range": "-5"}, "range"),
        ({"points_per_second": "many"}, "points_per_second"),
        (
            {"points_per_second": "1e9"},
            "points_per_second must be a number and 1 or more and 8e\\+06",
        ),
        ({"points_per_second": "1e6", "sensor_tick": "100"}, "40000 or less"),
        ({"dropoff_general_rate": "2"}, "dropoff_general_rate"),
        ({"upper_fov": "120"}, "upper_fov"),
    ],
)
def test_impossible_attributes_are_refused(attributes, message):
    with pytest.raises(UserError, match=message):
        Lidar(lidar_spec(**attributes))
