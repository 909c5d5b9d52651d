"""The front camera: what is in the picture, and what happens without OpenGL."""

from __future__ import annotations

import moderngl
import numpy as np
import pytest

from wm_perception.frame import Command, EgoState, LightBox, LightState, Objects
from wm_perception.town_map import TownMap
from wm_sim.camera import CameraConfig, CameraUnavailable, Renderer
from wm_sim.camera_scene import town_mesh
from wm_sim.routes import route_list
from wm_sim.scenery import Scenery
from wm_sim.simulator import Simulator
from wm_sim.town_files import load_town
from wm_sim.view import WorldView


@pytest.fixture(scope="module")
def town():
    return TownMap.from_opendrive(load_town("tiny").xodr_text, "tiny")


class FrontCamera:
    """The front camera without a simulator around it."""

    def __init__(self, town: TownMap) -> None:
        self.renderer = Renderer(town, Scenery(town))

    def render(self, ego, objects, boxes, states) -> np.ndarray:
        view = WorldView(0, 0.1, ego, objects=objects, light_boxes=boxes, light_states=states)
        return self.renderer.render(CameraConfig(width=160, height=96).spec, view)


@pytest.fixture(scope="module")
def camera(town):
    try:
        camera = FrontCamera(town)
    except CameraUnavailable as reason:
        pytest.skip(str(reason))
    yield camera
    camera.renderer.close()


@pytest.fixture(scope="module")
def ego():
    route = route_list("tiny")[0]
    x, y = route.points[10]
    return EgoState(float(x), float(y), float(route.headings[10]), 0.0)


def ahead(ego: EgoState, distance_m: float) -> tuple[float, float]:
    return ego.x + distance_m * np.cos(ego.yaw), ego.y + distance_m * np.sin(ego.yaw)


def car_ahead(ego: EgoState, distance_m: float, left_m: float = 0.0) -> Objects:
    x, y = ahead(ego, distance_m)
    pose = [x - left_m * np.sin(ego.yaw), y + left_m * np.cos(ego.yaw), ego.yaw]
    return Objects(np.array([0]), np.array([pose]), np.zeros((1, 2)), np.array([[4.5, 1.85]]))


@pytest.mark.camera
def test_picture_has_sky_above_and_asphalt_below(camera, ego):
    image = camera.render(ego, Objects(), (), {})
    assert image.shape == (96, 160, 3) and image.dtype == np.uint8
    sky, road = image[2, 70:90].mean(0), image[-4, 75:85].mean(0)
    assert sky[2] > sky[0] + 30 and sky[2] > 140
    assert np.ptp(road) < 25 and road.mean() < 140


@pytest.mark.camera
def test_same_scene_same_picture(camera, ego):
    first = camera.render(ego, car_ahead(ego, 12.0), (), {})
    np.testing.assert_array_equal(first, camera.render(ego, car_ahead(ego, 12.0), (), {}))


@pytest.mark.camera
def test_a_car_on_the_left_is_left_in_the_picture(camera, ego):
    empty = camera.render(ego, Objects(), (), {}).astype(int)
    with_car = camera.render(ego, car_ahead(ego, 12.0, left_m=3.0), (), {}).astype(int)
    columns = np.flatnonzero((abs(with_car - empty).sum(-1) > 30).any(0))
    assert len(columns) > 5
    assert columns.max() < 80


@pytest.mark.camera
@pytest.mark.parametrize(
    ("state", "channel"), [(LightState.RED, 0), (LightState.GREEN, 1)], ids=["red", "green"]
)
def test_the_state_of_a_light_can_be_seen_from_its_stop_line(camera, ego, state, channel):
    box = LightBox(1, ahead(ego, 0.5), ego.yaw, 4.0, 3.5)
    off = camera.render(ego, Objects(), (box,), {}).astype(int)
    lit = camera.render(ego, Objects(), (box,), {1: state}).astype(int)
    changed = abs(lit - off).sum(-1) > 100
    assert changed.sum() >= 4
    assert lit[changed].mean(0).argmax() == channel


def test_a_town_always_looks_the_same(town):
    first, second = (town_mesh(town, Scenery(town))[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.camera
def test_frames_of_the_simulator_carry_the_picture(camera):
    with Simulator("tiny", camera=CameraConfig(width=64, height=48, samples=0)) as simulator:
        simulator.start_route(0)
        assert simulator.frame().image.shape == (48, 64, 3)


@pytest.mark.camera
def test_the_simulator_shows_blue_lights_of_who_has_a_siren_on(camera):
    config = CameraConfig(width=160, height=96, samples=0)
    with Simulator("tiny", camera=config) as simulator:
        simulator.start_route(0)
        x, y = ahead(simulator.frame().ego, 12.0)
        place = x, y, simulator.frame().ego.yaw
        pictures = []
        for siren in ("off", "on"):
            actor = simulator.spawn("vehicle.ford.ambulance", *place, attributes={"siren": siren})
            pictures.append(simulator.step(Command()).image.astype(int))
            assert simulator.view().sirens == ({actor} if siren == "on" else set())
            simulator.destroy(actor)
    bluer = (pictures[1] - pictures[0]) @ (-1, 0, 1)
    assert (bluer > 100).sum() >= 4


def test_without_egl_the_message_says_what_to_install(town, monkeypatch):
    def fail(**_):
        raise RuntimeError("libEGL.so: cannot open shared object file")

    monkeypatch.setattr(moderngl, "create_standalone_context", fail)
    with pytest.raises(CameraUnavailable, match="apt-get install -y libegl1"):
        Renderer(town, Scenery(town))
    with Simulator("tiny") as simulator:  # driving without pictures goes on
        simulator.start_route(0)
        assert simulator.frame().image is None
