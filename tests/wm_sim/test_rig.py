"""Rig files: CARLA's example, nesting, degrees, and what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_planner.paths import shared_dir
from wm_sim.bridge_config import BridgeConfig
from wm_sim.bridge_rig import bridge_rig
from wm_sim.camera import CameraConfig
from wm_sim.rig import default_rig, load_rig, parse_rig
from wm_sim.sensors import camera_spec

EGO = {"type": "vehicle.tesla.model3", "id": "hero"}


def rig_of(*sensors, world=()):
    return parse_rig({"objects": [*world, {**EGO, "sensors": list(sensors)}]})


def sensor(**entry):
    return {"type": "sensor.camera.rgb", "id": "eye", **entry}


def test_the_default_rig_is_the_example_of_carla():
    rig = default_rig()
    assert (rig.ego_type, rig.role) == ("vehicle.tesla.model3", "ego_vehicle")
    assert {s.id: s.type for s in rig.sensors} == {
        "rgb_front": "sensor.camera.rgb",
        "rgb_view": "sensor.camera.rgb",
        "lidar": "sensor.lidar.ray_cast",
        "semantic_lidar": "sensor.lidar.ray_cast_semantic",
        "radar_front": "sensor.other.radar",
        "semantic_segmentation_front": "sensor.camera.semantic_segmentation",
        "depth_front": "sensor.camera.depth",
        "dvs_front": "sensor.camera.dvs",
        "gnss": "sensor.other.gnss",
        "imu": "sensor.other.imu",
        "collision": "sensor.other.collision",
        "lane_invasion": "sensor.other.lane_invasion",
    }
    view, lidar = rig.sensor("rgb_view"), rig.sensor("lidar")
    assert (view.x, view.z, view.pitch) == (-4.5, 2.8, pytest.approx(math.radians(20.0)))
    assert lidar.count("channels", 0) == 32 and lidar.number("lower_fov", 0.0) == -26.8
    assert {(p.parent, p.id) for p in rig.pseudo} == {
        *(("", i) for i in ("traffic_lights", "objects", "actor_list", "markers", "map")),
        *(("ego_vehicle", i) for i in ("tf", "objects", "odometry", "speedometer", "control")),
    }


def test_degrees_become_radians_and_attributes_text():
    spec = rig_of(sensor(spawn_point={"y": 0.5, "yaw": 90.0}, fov=70, lens="a")).sensor("eye")
    assert (spec.x, spec.y, spec.yaw) == (0.0, 0.5, pytest.approx(math.pi / 2))
    assert spec.attributes == {"fov": "70", "lens": "a"}
    np.testing.assert_allclose(spec.rotation @ (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), atol=1e-12)
    assert rig_of(sensor(fov="70")).sensor("eye").number("fov", 0.0) == 70.0


def test_positive_pitch_looks_down():
    spec = rig_of(sensor(spawn_point={"pitch": 30.0})).sensor("eye")
    assert (spec.rotation @ (1.0, 0.0, 0.0))[2] == pytest.approx(-0.5)


def test_a_nested_sensor_moves_with_its_parent():
    inner = sensor(id="inner", spawn_point={"x": 1.0, "yaw": 30.0})
    control = {"type": "actor.pseudo.control", "id": "control"}
    outer = sensor(spawn_point={"x": 2.0, "z": 1.0, "yaw": 90.0}, attached_objects=[inner, control])
    rig = rig_of(outer)
    spec = rig.sensor("inner")
    assert (spec.x, spec.y, spec.z) == pytest.approx((2.0, 1.0, 1.0))
    assert spec.yaw == pytest.approx(math.radians(120.0)) and spec.parent == "eye"
    assert "attached_objects" not in rig.sensor("eye").attributes
    assert [(p.parent, p.id) for p in rig.pseudo] == [("eye", "control")]


@pytest.mark.parametrize(
    "entry, message",
    [
        ({"type": "sensor.camera.x_ray", "id": "a"}, "unknown type 'sensor.camera.x_ray'; known"),
        ({"type": "sensor.camera.rgb"}, 'needs an "id"'),
        ({"id": "a"}, 'needs a "type"'),
        (sensor(spawn_point={"x": "left"}), "must hold numbers"),
        (sensor(spawn_point={"x": float("nan")}), "must hold numbers"),
        (sensor(spawn_point={"height": 2.0}), "spawn_point may have"),
        (sensor(attached_objects=[sensor()]), "'eye' is used twice"),
    ],
)
def test_bad_entries_are_refused_with_a_reason(entry, message):
    with pytest.raises(UserError, match=message):
        rig_of(entry)


def test_ids_may_repeat_only_where_topics_differ():
    objects = {"type": "sensor.pseudo.objects", "id": "objects"}
    rig = rig_of(objects, world=[objects])
    assert [p.parent for p in rig.pseudo] == ["", "hero"]
    with pytest.raises(UserError, match="'objects' is used twice"):
        rig_of(objects, objects)


def test_the_whole_file_is_checked():
    with pytest.raises(UserError, match="exactly one vehicle"):
        parse_rig({"objects": []})
    with pytest.raises(UserError, match="exactly one vehicle .* not 2"):
        parse_rig({"objects": [EGO, EGO]})
    with pytest.raises(UserError, match="must hold"):
        parse_rig([])
    with pytest.raises(UserError, match="stand in the world"):
        rig_of(world=[sensor()])


def test_files_that_cannot_be_read_are_named(tmp_path):
    path = tmp_path / "objects.json"
    with pytest.raises(UserError, match="cannot read"):
        load_rig(path)
    path.write_text('{"objects": [\n  {"type": oops}\n]}')
    with pytest.raises(UserError, match=r"objects\.json:2: not JSON"):
        load_rig(path)
    path.write_text(json.dumps({"objects": [{"id": "a"}]}))
    with pytest.raises(UserError, match=r"objects\.json: every object"):
        load_rig(path)


def test_attributes_are_checked_when_they_are_used():
    spec = rig_of(sensor(fov="wide", range=-1, size=2.5, hot="nan")).sensor("eye")
    with pytest.raises(UserError, match="'eye': fov must be a number, not 'wide'"):
        spec.number("fov", 90.0)
    with pytest.raises(UserError, match="range must be a number and 0 or more, not '-1'"):
        spec.number("range", 10.0, 0.0)
    with pytest.raises(UserError, match="a number and 0 or more and 1 or less"):
        spec.number("range", 10.0, 0.0, 1.0)
    with pytest.raises(UserError, match="whole number"):
        spec.count("size", 1)
    with pytest.raises(UserError, match="hot must be a number"):
        spec.number("hot", 0.0)
    with pytest.raises(UserError, match="no sensor 'nose'; its sensors: eye"):
        rig_of(sensor()).sensor("nose")


def test_the_camera_that_models_drive_by_is_the_same_everywhere():
    """What models learn from, what the bridge publishes, and what CARLA is told to mount."""
    bridge = bridge_rig(BridgeConfig()).sensor("rgb_front")
    file = load_rig(shared_dir("config") / "objects_camera.json").sensor("rgb_front")
    learned = asdict(CameraConfig().spec)
    for mounted in (bridge, file):
        assert asdict(camera_spec(mounted)) == pytest.approx(learned, abs=1e-5)
