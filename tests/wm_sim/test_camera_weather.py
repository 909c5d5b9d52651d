"""Light and weather in the pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wm_perception.frame import EgoState, LightBox, LightState, ObjectClass, Objects
from wm_perception.town_map import TownMap
from wm_sim.camera import CameraSpec, CameraUnavailable, Renderer
from wm_sim.camera_light import SIGHT_M, headlights, lighting
from wm_sim.camera_shaders import MAX_HEADLIGHTS
from wm_sim.routes import route_list
from wm_sim.scenery import Scenery
from wm_sim.town_files import load_town
from wm_sim.view import WorldView
from wm_sim.weather import PRESETS, Weather, weather_preset

SPEC = CameraSpec(width=160, height=96, pitch=0.07)


@pytest.fixture(scope="module")
def renderer():
    town = TownMap.from_opendrive(load_town("tiny").xodr_text, "tiny")
    try:
        made = Renderer(town, Scenery(town))
    except CameraUnavailable as reason:
        pytest.skip(str(reason))
    yield made
    made.close()


@pytest.fixture(scope="module")
def ego():
    route = route_list("tiny")[0]
    x, y = map(float, route.points[10])
    return EgoState(x, y, float(route.headings[10]), 0.0)


def picture(
    renderer, ego, weather: Weather, stamp_ns: int = 0, spec: CameraSpec = SPEC, **rest
) -> np.ndarray:
    view = WorldView(stamp_ns, 0.1, ego, weather=weather, **rest)
    return renderer.render(spec, view).astype(float)


def car_at(ego, distance: float, yaw: float = 0.0) -> Objects:
    pose = [
        ego.x + distance * np.cos(ego.yaw),
        ego.y + distance * np.sin(ego.yaw),
        ego.yaw + yaw,
    ]
    return Objects(np.array([5]), np.array([pose]), np.zeros((1, 2)), np.array([[4.5, 1.85]]))


def test_a_clear_day_is_lit_by_sun_and_sky_at_full_strength():
    light = lighting(Weather())
    np.testing.assert_allclose(light.sunlight, 1.0)
    np.testing.assert_allclose(light.skylight, 1.0)
    np.testing.assert_allclose(light.sun, (0.4, 0.3, 0.866), atol=1e-3)
    assert light.haze_distance == pytest.approx(170.0) and light.sight_m == SIGHT_M
    assert light.darkness == light.lamps == light.wet == light.clouds == light.rain == 0.0


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [
        ("sun_altitude_angle", -90.0, 90.0),
        ("fog_density", 0.0, 100.0),
        ("cloudiness", 0.0, 100.0),
        ("precipitation", 0.0, 100.0),
    ],
)
def test_light_changes_without_jumps(field, low, high):
    """A hundredth of the range never changes anything by more than a tenth of its own range."""
    lights = [lighting(replace(Weather(), **{field: v})) for v in np.linspace(low, high, 201)]
    rows = np.array(
        [
            [*x.sunlight, *x.skylight, *x.haze, *x.zenith, *x.glow, x.darkness, x.lamps]
            for x in lights
        ]
    )
    assert np.abs(np.diff(rows, axis=0)).max() < 0.1
    assert np.isfinite(rows).all() and rows.min() >= 0.0


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.camera
def test_every_preset_looks_different_from_the_day(renderer, ego, name):
    day, other = (picture(renderer, ego, weather_preset(n)) for n in ("day", name))
    assert (abs(other - day).mean() > 4.0) == (name != "day")


@pytest.mark.camera
def test_night_is_dark_but_head_lamps_light_the_road_ahead(renderer, ego):
    day, night = (picture(renderer, ego, weather_preset(n)) for n in ("day", "night"))
    assert night[:30].mean() < 0.35 * day[:30].mean()
    behind = picture(renderer, ego, weather_preset("night"), spec=replace(SPEC, yaw=np.pi, x=-1.2))
    lit, unlit = night[88, 70:90].mean(), behind[88, 70:90].mean()
    assert 1.4 * unlit < lit < day[88, 70:90].mean()


@pytest.mark.camera
def test_some_windows_are_lit_at_night(renderer, ego):
    night = picture(renderer, ego, weather_preset("night"))
    warm = (night[:50, :, 0] > 120) & (night[:50, :, 0] > night[:50, :, 2] + 40)
    assert 10 < warm.sum() < 2000


@pytest.mark.camera
def test_a_red_light_can_be_told_in_every_weather(renderer, ego):
    at = (ego.x + 6.0 * np.cos(ego.yaw), ego.y + 6.0 * np.sin(ego.yaw))
    box = LightBox(1, at, ego.yaw, 4.0, 3.5)
    for name, weather in PRESETS.items():
        off, red = (
            picture(renderer, ego, weather, light_boxes=(box,), light_states={1: state})
            for state in (LightState.OFF, LightState.RED)
        )
        changed = abs(red - off).sum(-1) > 40
        assert changed.sum() >= 4, name
        assert (red - off)[changed].mean(0).argmax() == 0, name


@pytest.mark.camera
def test_fog_hides_the_far_and_spares_the_near(renderer, ego):
    clear, fog = (
        [
            picture(renderer, ego, replace(Weather(), fog_density=density), objects=objects)
            for objects in (Objects(), car_at(ego, 45.0), car_at(ego, 8.0))
        ]
        for density in (2.0, 60.0)
    )
    far, near = ([abs(p[n] - p[0]).sum() for p in (clear, fog)] for n in (1, 2))
    assert 0.0 < far[1] < 0.5 * far[0]
    assert near[1] > 0.5 * near[0]


@pytest.mark.camera
def test_fog_begins_at_its_distance(renderer, ego):
    dense = replace(Weather(), fog_density=80.0)
    begun, later = (picture(renderer, ego, replace(dense, fog_distance=d)) for d in (0.0, 40.0))
    haze = begun[2, 80]
    contrast = [abs(seen[46:50, 70:90] - haze).mean() for seen in (begun, later)]
    assert contrast[1] > 1.5 * contrast[0]


@pytest.mark.camera
def test_wet_roads_are_darker_under_the_car_and_mirror_the_sky_farther_on(renderer, ego):
    dry, wet = (picture(renderer, ego, Weather(wetness=w)) for w in (0.0, 90.0))
    assert wet[92, 75:85].mean() < 0.9 * dry[92, 75:85].mean()
    assert (wet - dry)[58, 75:85].mean() > (wet - dry)[92, 75:85].mean() + 10


@pytest.mark.camera
def test_rain_moves_with_time_and_a_still_moment_stays(renderer, ego):
    rain = weather_preset("rain")
    first, later = (picture(renderer, ego, rain, stamp_ns=ns) for ns in (0, 100_000_000))
    np.testing.assert_array_equal(first, picture(renderer, ego, rain))
    assert 0.005 < (abs(later - first).max(-1) > 8).mean() < 0.5


@pytest.mark.camera
def test_blue_lights_flash(renderer, ego):
    car = car_at(ego, 10.0)
    seen = [
        picture(renderer, ego, Weather(), ns, objects=car, sirens=frozenset({5}))
        for ns in (0, 250_000_000, 500_000_000)
    ]
    bluer = (seen[1] - seen[0])[..., 2]
    left, right = (np.nonzero(sign * bluer > 100.0)[1] for sign in (1.0, -1.0))
    assert len(left) and len(right)
    assert abs(left.mean() - right.mean()) > 1.0
    np.testing.assert_array_equal(seen[0], seen[2])


def test_beams_are_the_egos_first_and_then_those_of_the_nearest_vehicles(ego):
    many = 10
    poses = np.array([[ego.x + 40.0 - 3.0 * n, ego.y, 0.3] for n in range(many)])
    kinds = np.full(many, ObjectClass.CAR, np.uint8)
    kinds[-1] = ObjectClass.PEDESTRIAN
    objects = Objects(
        np.arange(many), poses, np.zeros((many, 2)), np.tile([4.0, 1.8], (many, 1)), kinds
    )
    at, to = headlights(WorldView(0, 0.1, ego, objects=objects), 0.5)
    nose = ego.x + ego.length / 2 * np.cos(ego.yaw), ego.y + ego.length / 2 * np.sin(ego.yaw)
    np.testing.assert_allclose(at[0, :2], nose)
    np.testing.assert_allclose(np.linalg.norm(to, axis=1), 1.0)
    nearest = poses[-2::-1][: MAX_HEADLIGHTS - 1, 0] + 2.0 * np.cos(0.3)
    np.testing.assert_allclose(at[1:, 0], nearest)
    assert (at[:, 3] == 0.5).all()
    alone, _ = headlights(WorldView(0, 0.1, ego), 0.5)
    assert alone[:, 3].tolist() == [0.5, 0, 0, 0, 0, 0]
