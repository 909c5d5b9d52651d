"""The suite: on demand, once per frame, by sensor_tick; the same whatever was read before."""

from __future__ import annotations

import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_perception.frame import Command, EgoState, Objects
from wm_perception.town_map import TownMap
from wm_sim.camera import CameraUnavailable
from wm_sim.imu import ImuReading
from wm_sim.rig import Rig, default_rig, parse_rig
from wm_sim.routes import route_list
from wm_sim.scenery import Scenery
from wm_sim.sensor_spec import SensorSpec
from wm_sim.sensors import SensorSuite, camera_spec
from wm_sim.simulator import Simulator
from wm_sim.town_files import load_town
from wm_sim.view import WorldView

NS = 1_000_000_000


@pytest.fixture(scope="module")
def town():
    return TownMap.from_opendrive(load_town("tiny").xodr_text, "tiny")


@pytest.fixture(scope="module")
def scenery(town):
    return Scenery(town)


@pytest.fixture
def suite(town, scenery):
    suite = SensorSuite(town, scenery, default_rig())
    yield suite
    suite.close()


def view(frame: int, dt_s: float = 0.1) -> WorldView:
    route = route_list("tiny")[0]
    x, y = route.points[10]
    ego = EgoState(float(x), float(y), float(route.headings[10]), 5.0)
    ahead = route.points[25]
    car = Objects(
        np.array([10_001]),
        np.array([[*ahead, route.headings[25]]]),
        np.zeros((1, 2)),
        np.array([[4.5, 1.85]]),
    )
    return WorldView(round(frame * dt_s * NS), dt_s, ego, objects=car)


def test_every_sensor_without_a_picture_gives_data(suite):
    here = view(1)
    assert suite.read("lidar", here).shape[1] == 4
    assert suite.read("lidar", here).dtype == np.float32
    assert 10_001 in suite.read("semantic_lidar", here)["ObjIdx"]
    assert len(suite.read("radar_front", here)) > 20
    assert isinstance(suite.read("imu", here), ImuReading)
    assert suite.read("gnss", here).altitude == pytest.approx(2.0)


def test_a_frame_is_measured_once(suite):
    here = view(1)
    assert suite.read("lidar", here) is suite.read("lidar", here)
    assert suite.read("lidar", view(1)) is not suite.read("lidar", here)


def test_readings_do_not_depend_on_what_was_read_before(town, scenery):
    def last_of(frames, names):
        suite = SensorSuite(town, scenery, default_rig())
        suite.start(seed=3, stamp_ns=0)
        for frame in frames:
            readings = {name: suite.read(name, view(frame)) for name in names}
        return readings["lidar"]

    every = last_of(range(6), ["imu", "lidar", "radar_front"])
    np.testing.assert_array_equal(every, last_of([5], ["lidar"]))


def test_an_episode_is_the_same_wherever_its_stamps_begin(town, scenery):
    def episode(seed, first):
        suite = SensorSuite(town, scenery, default_rig())
        suite.start(seed, stamp_ns=first * NS // 10)
        return suite.read("lidar", view(first + 3))

    np.testing.assert_array_equal(episode(1, 0), episode(1, 250))
    assert len(episode(1, 0)) != len(episode(2, 0))


def test_the_simulator_gives_the_same_clouds_to_the_same_episode():
    with Simulator("tiny", rig=default_rig()) as simulator:

        def clouds():
            simulator.start_route(1, seed=2, traffic=6)
            for _ in range(5):
                simulator.step(Command(0.0, 0.5))
            names = ("lidar", "semantic_lidar", "radar_front")
            return [simulator.read(name).tobytes() for name in names]

        first = clouds()
        simulator.start_route(0, seed=1)
        simulator.read("lidar")
        assert clouds() == first


def rig_with(**attributes):
    return Rig((SensorSpec("imu", "sensor.other.imu", attributes=attributes),))


@pytest.mark.parametrize(
    "tick, measured", [("0", range(12)), ("0.05", range(12)), ("0.3", (0, 3, 6, 9)),
                       ("0.25", (0, 3, 5, 8, 10))],
)  # fmt: skip
def test_sensor_tick_says_in_which_frames_it_measures(town, scenery, tick, measured):
    suite = SensorSuite(town, scenery, rig_with(sensor_tick=tick))
    suite.start(0, stamp_ns=7 * NS)
    found = [i for i in range(12) if suite.read("imu", view(70 + i)) is not None]
    assert found == list(measured)


def test_a_slow_lidar_turns_on_between_its_measurements(town, scenery):
    """Every third frame at 10 turns a second is three turns: three times the points."""
    counts = {}
    for tick in ("0", "0.3"):
        spec = SensorSpec(
            "lidar",
            "sensor.lidar.ray_cast",
            z=2.4,
            attributes={"sensor_tick": tick, "dropoff_general_rate": "0", "range": "50"},
        )
        suite = SensorSuite(town, scenery, Rig((spec,)))
        counts[tick] = len(suite.read("lidar", view(3)))
    assert counts["0.3"] == pytest.approx(3 * counts["0"], rel=0.02)


def test_what_cannot_be_read_says_why(suite):
    with pytest.raises(UserError, match="'collision' cannot be read"):
        suite.read("collision", view(0))
    with pytest.raises(UserError, match="no sensor 'nose'"):
        suite.read("nose", view(0))
    assert "collision" not in suite.readable and "lidar" in suite.readable


def test_bad_attributes_are_refused_when_the_suite_is_made(town, scenery):
    with pytest.raises(UserError, match="sensor_tick"):
        SensorSuite(town, scenery, rig_with(sensor_tick="-1"))
    eye = {"type": "sensor.camera.rgb", "id": "eye", "image_size_x": 0}
    rig = parse_rig({"objects": [{"type": "vehicle.a", "id": "ego", "sensors": [eye]}]})
    with pytest.raises(UserError, match="image_size_x"):
        SensorSuite(town, scenery, rig)


def test_a_camera_of_the_rig_becomes_a_camera_of_the_renderer():
    spec = camera_spec(default_rig().sensor("depth_front"))
    assert (spec.kind, spec.width, spec.height, spec.fov_deg) == ("depth", 400, 70, 90.0)
    assert (spec.x, spec.y, spec.z) == (2.0, 0.0, 2.0)
    with pytest.raises(UserError, match="'lidar' is a sensor.lidar"):
        camera_spec(default_rig().sensor("lidar"))


@pytest.mark.camera
def test_cameras_give_pictures(suite):
    here = view(1)
    try:
        depth = suite.read("depth_front", here)
    except CameraUnavailable as reason:
        pytest.skip(str(reason))
    tags = suite.read("semantic_segmentation_front", here)
    assert depth.shape == tags.shape == (70, 400)
    assert depth.dtype == np.float32 and tags.dtype == np.uint8
    rear = depth[tags == 10]  # the car 15 m ahead, seen from 2 m before the ego's centre
    assert rear.min() == pytest.approx(15.0 - 2.25 - 2.0, abs=0.6)


@pytest.mark.camera
def test_lidar_and_cameras_see_the_same_world(town, scenery):
    """Depth and tag of each semantic lidar point, against the pixel in which it lies."""
    side, focal = 400, 200.0  # px at a field of view of 90 degrees
    size = {"image_size_x": str(side), "image_size_y": str(side), "fov": "90"}
    spin = {"range": "40", "points_per_second": "320000", "lower_fov": "-25", "upper_fov": "15"}
    pose = {"x": 2.0, "z": 2.0}
    rig = Rig(
        (
            SensorSpec("depth", "sensor.camera.depth", attributes=size, **pose),
            SensorSpec("tags", "sensor.camera.semantic_segmentation", attributes=size, **pose),
            SensorSpec("lidar", "sensor.lidar.ray_cast_semantic", attributes=spin, **pose),
        )
    )
    suite, here = SensorSuite(town, scenery, rig), view(1)
    try:
        depth, tags = suite.read("depth", here), suite.read("tags", here)
    except CameraUnavailable as reason:
        pytest.skip(str(reason))
    cloud = suite.read("lidar", here)
    suite.close()
    x, y, z = (cloud[axis].astype(float) for axis in "xyz")
    seen = (x > 1.0) & (np.abs(y) < 0.98 * x) & (np.abs(z) < 0.98 * x)
    x, y, z, wanted = x[seen], y[seen], z[seen], cloud["ObjTag"][seen]
    column, row = ((side / 2 - focal * across / x).astype(int) for across in (y, z))
    assert seen.sum() > 3000 and {7, 8, 10} <= set(wanted.tolist())
    assert (tags[row, column] == wanted).mean() > 0.9
    assert (np.abs(depth[row, column] - x) < 0.3 + 0.02 * x).mean() > 0.9
