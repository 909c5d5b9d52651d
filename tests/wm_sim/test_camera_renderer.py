"""Cameras of any pose and kind: what a pixel says is what is there."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys

import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_perception.frame import EgoState, LightBox, LightState, ObjectClass, Objects
from wm_perception.semantics import SemanticTag
from wm_perception.town_map import TownMap
from wm_sim.camera import CameraSpec, CameraUnavailable, Renderer
from wm_sim.camera_geometry import eye_of
from wm_sim.routes import route_list
from wm_sim.scenery import Scenery, Sign
from wm_sim.town_files import load_town
from wm_sim.view import WorldView
from wm_sim.weather import weather_preset

pytestmark = pytest.mark.camera
SPEC = CameraSpec(width=160, height=96)


def make_town() -> TownMap:
    return TownMap.from_opendrive(load_town("tiny").xodr_text, "tiny")


def make_renderer() -> Renderer:
    town = make_town()
    return Renderer(town, Scenery(town))


def make_ego() -> EgoState:
    route = route_list("tiny")[0]
    x, y = map(float, route.points[10])
    return EgoState(x, y, float(route.headings[10]), 0.0)


def beside(ego: EgoState, ahead: float, left: float = 0.0) -> tuple[float, float]:
    cos, sin = math.cos(ego.yaw), math.sin(ego.yaw)
    return ego.x + cos * ahead - sin * left, ego.y + sin * ahead + cos * left


def objects(ego, *users, kind=ObjectClass.CAR, size=(4.5, 1.85), height=1.5) -> Objects:
    """Road users at (ahead, left) of the ego, headed as it is."""
    many = len(users)
    return Objects(
        np.arange(many) + 10_000,
        np.array([[*beside(ego, *user), ego.yaw] for user in users]).reshape(many, 3),
        np.zeros((many, 2)),
        np.tile(np.array(size, float), (many, 1)),
        np.full(many, kind, np.uint8),
        np.full(many, height),
    )


@pytest.fixture(scope="module")
def renderer():
    try:
        made = make_renderer()
    except CameraUnavailable as reason:
        pytest.skip(str(reason))
    yield made
    made.close()


@pytest.fixture(scope="module")
def ego():
    return make_ego()


def view_of(ego, **rest) -> WorldView:
    return WorldView(0, 0.1, ego, **rest)


def kind_of(spec: CameraSpec, kind: str, **rest) -> CameraSpec:
    return CameraSpec(**{**vars(spec), "kind": kind, **rest})


def test_depth_of_the_ground_is_that_of_the_geometry(renderer, ego):
    spec = kind_of(SPEC, "depth", pitch=0.3, z=2.0)
    depth = renderer.render(spec, view_of(ego))
    assert depth.dtype == np.float32 and depth.shape == (96, 160)
    row = 90
    up = (spec.height / 2 - row - 0.5) / spec.focal_px
    falls = math.sin(spec.pitch) - up * math.cos(spec.pitch)  # per metre of depth
    assert depth[row, 80] == pytest.approx(spec.z / falls, rel=2e-3)


def test_depth_of_a_car_ahead_is_the_way_to_its_bumper(renderer, ego):
    depth = renderer.render(
        kind_of(SPEC, "depth", z=0.6), view_of(ego, objects=objects(ego, (20.0, 0.0)))
    )
    assert depth[48, 80] == pytest.approx(20.0 - 4.5 / 2 - SPEC.x, abs=0.05)


def test_depth_is_far_where_nothing_is(renderer, ego):
    depth = renderer.render(kind_of(SPEC, "depth", pitch=-1.2), view_of(ego))
    assert (depth == 1000.0).all()


def test_walls_are_as_far_as_the_scenery_says(renderer, ego):
    """Every building pixel lies on (or within centimetres of) a building's box."""
    spec = kind_of(SPEC, "depth")
    view = view_of(ego)
    tags = renderer.render(kind_of(SPEC, "semantic"), view)
    depth = renderer.render(spec, view)
    eye = eye_of(spec, ego)
    rows, columns = np.nonzero((tags == SemanticTag.BUILDING) & (depth < 60.0))
    right = (columns + 0.5 - spec.width / 2) / spec.focal_px
    up = (spec.height / 2 - rows - 0.5) / spec.focal_px
    rays = np.stack([np.ones_like(right), -right, up], 1) @ eye.axes.T
    points = eye.position + rays * depth[rows, columns, None]
    scenery = Scenery(make_town())
    boxes = scenery.boxes[scenery.tags == SemanticTag.BUILDING]
    outside = np.abs(points[:, None, :2] - boxes[:, :2]) - boxes[:, 3:5] / 2 * 1.04
    assert len(points) > 100
    assert outside.max(-1).min(1).max() < 0.1


def test_tags_of_town_sky_and_road_users(renderer, ego):
    users = objects(ego, (15.0, 0.0))
    walker = objects(ego, (10.0, 3.0), kind=ObjectClass.PEDESTRIAN, size=(0.5, 0.5), height=1.75)
    cone = objects(ego, (7.0, -1.5), kind=ObjectClass.BARRIER, size=(0.4, 0.4), height=0.8)
    light = LightBox(1, beside(ego, 3.0), ego.yaw, 4.0, 3.5)
    view = view_of(ego, objects=users + walker, props=cone, light_boxes=(light,))
    tags = renderer.render(kind_of(SPEC, "semantic", width=320, height=192), view)
    assert tags.dtype == np.uint8
    assert tags[2, 160] == SemanticTag.SKY
    assert tags[185, 140] == SemanticTag.ROAD
    present = {SemanticTag(tag) for tag in np.unique(tags).tolist()}
    assert present >= {
        SemanticTag.ROAD,
        SemanticTag.ROAD_LINE,
        SemanticTag.SIDEWALK,
        SemanticTag.TERRAIN,
        SemanticTag.BUILDING,
        SemanticTag.VEGETATION,
        SemanticTag.POLE,
        SemanticTag.TRAFFIC_LIGHT,
        SemanticTag.VEHICLE,
        SemanticTag.PEDESTRIAN,
        SemanticTag.STATIC,
        SemanticTag.SKY,
    }
    assert SemanticTag.UNLABELED not in present
    left, right = np.nonzero(tags == SemanticTag.PEDESTRIAN)[1], np.nonzero(tags == 19)[1]
    assert left.max() < 160 < right.min()


@pytest.mark.parametrize(
    ("kind", "size", "height"),
    [
        (ObjectClass.TRUCK, (8.5, 2.5), 3.6),
        (ObjectClass.TRUCK, (5.9, 2.0), 2.5),
        (ObjectClass.BIKE, (1.75, 0.6), 1.75),
        (ObjectClass.MOTORCYCLE, (2.1, 0.8), 1.75),
        (ObjectClass.PEDESTRIAN, (0.5, 0.5), 1.75),
        (ObjectClass.BARRIER, (0.4, 1.25), 1.05),
        (ObjectClass.BARRIER, (2.1, 4.5), 1.9),
        (ObjectClass.BARRIER, (0.6, 0.6), 0.95),
    ],
)
def test_everything_fills_its_box_and_stands_on_the_ground(renderer, ego, kind, size, height):
    """Seen from 20 m behind, the outline is as wide and as high as the box, and no larger."""
    spec = kind_of(SPEC, "semantic", width=640, height=480, fov_deg=40.0, z=1.0, x=0.0)
    empty = renderer.render(spec, view_of(ego))
    there = objects(ego, (20.0 + size[0] / 2, 0.0), kind=kind, size=size, height=height)
    tags = renderer.render(spec, view_of(ego, objects=there))
    rows, columns = np.nonzero(tags != empty)
    metres = 20.0 / spec.focal_px
    assert (columns.max() - columns.min() + 1) * metres == pytest.approx(
        size[1], rel=0.15, abs=0.05
    )
    top = (spec.height / 2 - rows.min()) * metres + 1.0
    assert top == pytest.approx(height, rel=0.12)
    assert (spec.height / 2 - rows.max() - 1) * metres + 1.0 < 0.12


def test_a_camera_that_is_turned_sees_what_is_there(renderer, ego):
    """A car on the left stands in the middle of a camera that looks left."""
    tags = renderer.render(
        kind_of(SPEC, "semantic", yaw=math.pi / 2, z=0.7, x=0.0),
        view_of(ego, objects=objects(ego, (0.0, 6.0))),
    )
    columns = np.nonzero(tags == SemanticTag.VEHICLE)[1]
    assert columns.mean() == pytest.approx(79.5, abs=2.0)


def test_roll_tilts_the_horizon_clockwise_for_a_camera_leaning_left(renderer, ego):
    """Positive roll lowers the right side (REP-103), so the world turns to the left."""
    level, rolled = (
        renderer.render(kind_of(SPEC, "depth", roll=roll), view_of(ego)) for roll in (0.0, 0.3)
    )
    ground_left = [(picture[:, 5] < 1000.0).sum() for picture in (level, rolled)]
    ground_right = [(picture[:, -5] < 1000.0).sum() for picture in (level, rolled)]
    assert ground_left[1] < ground_left[0] and ground_right[1] > ground_right[0] - 5
    assert rolled[-1, 5] > level[-1, 5] and rolled[-1, -5] < level[-1, -5]


def test_only_a_camera_off_the_ego_sees_the_ego(renderer, ego):
    chase = kind_of(SPEC, "semantic", x=-6.0, z=3.0, pitch=0.2)
    hood = kind_of(SPEC, "semantic", x=1.0, pitch=0.6)
    assert (renderer.render(chase, view_of(ego)) == SemanticTag.VEHICLE).sum() > 200
    assert (renderer.render(hood, view_of(ego)) == SemanticTag.VEHICLE).sum() == 0


def test_a_sign_faces_the_traffic_it_speaks_to(ego):
    town = make_town()
    x, y = beside(ego, 8.0, -3.0)
    spec = kind_of(SPEC, "rgb", width=320, height=192, samples=4)
    red = {}
    for name, yaw in (("towards", ego.yaw), ("away", ego.yaw + math.pi)):
        made = Renderer(town, Scenery(town, signs=(Sign(x, y, yaw, "stop"),)))
        picture = made.render(spec, view_of(ego)).astype(int)
        made.close()
        red[name] = int((picture[..., 0] > picture[..., 1:].max(-1) + 60).sum())
    assert red["towards"] > 100 and red["away"] < 10


def test_crosswalks_of_the_map_are_painted(ego, monkeypatch):
    import carla

    town = make_town()
    corners = [beside(ego, *at) for at in ((6, -2), (9, -2), (9, 5), (6, 5), (6, -2))]

    class Map:
        def get_crosswalks(self):
            return [carla.Location(x, -y, 0.0) for x, y in corners]

    spec, view = kind_of(SPEC, "semantic"), view_of(ego)
    counts = []
    for carla_map in (town.carla_map, Map()):
        town.carla_map = carla_map
        made = Renderer(town, Scenery(town))
        counts.append(int((made.render(spec, view) == SemanticTag.ROAD_LINE).sum()))
        made.close()
    assert counts[1] > counts[0] + 300


def test_cameras_do_not_disturb_each_other(renderer, ego):
    view = view_of(ego, objects=objects(ego, (12.0, 0.0)))
    first = renderer.render(SPEC, view)
    renderer.render(kind_of(SPEC, "depth", yaw=2.0), view)
    renderer.render(kind_of(SPEC, "rgb", x=-6.0, z=3.0), view)
    other = make_renderer()  # a second context in the process
    np.testing.assert_array_equal(other.render(SPEC, view), first)
    np.testing.assert_array_equal(renderer.render(SPEC, view), first)
    other.close()
    np.testing.assert_array_equal(renderer.render(SPEC, view_of(ego, objects=view.objects)), first)


def fingerprint(renderer: Renderer, ego: EgoState) -> str:
    """Hash of pictures of every kind, by day and in a rainy night."""
    users = objects(ego, (15.0, 0.0), (25.0, 3.5))
    users += objects(ego, (9.0, 3.0), kind=ObjectClass.PEDESTRIAN, size=(0.5, 0.5), height=1.8)
    light = LightBox(1, beside(ego, 12.0), ego.yaw, 4.0, 3.5)
    digest = hashlib.sha256()
    for name in ("day", "rain_night"):
        view = WorldView(
            1_700_000_000,
            0.1,
            ego,
            objects=users,
            light_boxes=(light,),
            light_states={1: LightState.RED},
            weather=weather_preset(name),
        )
        for kind in ("rgb", "depth", "semantic"):
            digest.update(renderer.render(kind_of(SPEC, kind), view).tobytes())
    return digest.hexdigest()


def test_the_same_view_gives_the_same_bytes_in_another_process(renderer, ego):
    script = (
        f"import sys; sys.path.insert(0, {str(__file__.rsplit('/', 1)[0])!r})\n"
        "from test_camera_renderer import *\n"
        "print(fingerprint(make_renderer(), make_ego()))"
    )
    other = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == fingerprint(renderer, ego) == fingerprint(renderer, ego)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"kind": "sonar"}, "rgb, depth, semantic"),
        ({"width": 0}, "1 to 4096 px"),
        ({"height": 100_000}, "1 to 4096 px"),
        ({"fov_deg": 180.0}, "1 to 175"),
        ({"fov_deg": math.nan}, "1 to 175"),
        ({"yaw": math.inf}, "finite"),
    ],
)
def test_impossible_cameras_are_refused(wrong, says):
    with pytest.raises(UserError, match=says):
        CameraSpec(**wrong)
