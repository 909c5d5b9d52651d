"""Draw docs/images/{weather,sensors_cameras,actors}.jpg: what the simulator's cameras see.

python docs/make_sensor_pictures.py
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from wm_perception.conventions import to_map
from wm_perception.frame import EgoState, LightBox, LightState, ObjectClass, Objects
from wm_perception.semantics import cityscapes_rgb
from wm_sim import blueprints
from wm_sim.camera import CameraSpec, Renderer
from wm_sim.simulator import Simulator
from wm_sim.view import WorldView
from wm_sim.weather import PRESETS

IMAGES = Path(__file__).parent / "images"
TOWN, STREET_LIGHT, CAST_LIGHT = "test01", 28, 41  # CAST_LIGHT: the sun is behind the camera
STAMP_NS = 1_230_000_000
FRONT = CameraSpec(width=480, height=270, pitch=0.05, samples=4)
ONCOMING = math.pi
# Blueprint, metres ahead of the ego and to its left, heading, speed.
STREET = (
    ("vehicle.toyota.prius", 17.0, 0.2, 0.0, 6.0),
    ("vehicle.audi.a2", 11.0, 3.6, ONCOMING, 8.0),
    ("vehicle.carlamotors.firetruck", 24.0, 3.4, ONCOMING, 8.0),
    ("vehicle.bh.crossbike", 13.0, -1.2, 0.0, 5.0),
    ("walker.pedestrian.0002", 10.5, -3.0, 0.0, 1.3),
    ("walker.pedestrian.0005", 13.0, 5.9, ONCOMING, 1.3),
    ("walker.pedestrian.0010", 13.6, 6.5, ONCOMING, 1.3),
    ("static.prop.trafficcone01", 6.2, -1.5, 0.0, 0.0),
    ("static.prop.trafficcone01", 7.6, -1.5, 0.0, 0.0),
)
EMERGENCY = ("vehicle.ford.ambulance", "vehicle.carlamotors.firetruck")
# Blueprint and the distance to look at it from.
CAST = (
    ("walker.pedestrian.0001", 3.6),
    ("walker.pedestrian.0010", 3.0),
    ("vehicle.bh.crossbike", 3.6),
    ("vehicle.kawasaki.ninja", 3.8),
    ("vehicle.toyota.prius", 6.5),
    ("vehicle.mercedes.sprinter", 8.0),
    ("vehicle.ford.ambulance", 8.5),
    ("vehicle.carlamotors.firetruck", 12.0),
    ("static.prop.trafficcone01", 2.4),
    ("static.prop.streetbarrier", 3.0),
    ("static.prop.barrel", 2.8),
    ("static.prop.container", 6.5),
)


def placed(ego: EgoState, cast: tuple, first_id: int = 10_000) -> tuple[Objects, Objects]:
    """Road users and obstacles that stand relative to the ego as ``STREET`` says."""
    users, props = [], []
    for number, (name, ahead, left, turn, speed) in enumerate(cast, first_id):
        blueprint = blueprints.find(name)
        x, y = to_map(np.array([ahead, left]), ego.pose)
        yaw = ego.yaw + turn
        row = Objects(
            np.array([number]),
            np.array([[x, y, yaw]]),
            speed * np.array([[math.cos(yaw), math.sin(yaw)]]),
            np.array([[blueprint.length, blueprint.width]]),
            np.array([blueprint.kind], np.uint8),
            np.array([blueprint.height]),
        )
        (props if blueprint.kind == ObjectClass.BARRIER else users).append(row)
    return sum(users, Objects()), sum(props, Objects())


def approach(light: LightBox, before_m: float) -> EgoState:
    """An ego on its way to a traffic light."""
    x, y = to_map(
        np.array([light.length / 2 - before_m, 0.0]), np.array([*light.center, light.yaw])
    )
    return EgoState(float(x), float(y), light.yaw, 8.0)


def titled(picture: np.ndarray, title: str) -> np.ndarray:
    """A copy with its title in a dark field in the upper left corner."""
    picture = picture.copy()
    font = cv2.FONT_HERSHEY_SIMPLEX, 0.5
    (width, _), _ = cv2.getTextSize(title, *font, 1)
    picture[:24, : width + 14] //= 3
    cv2.putText(picture, title, (7, 17), *font, (255, 255, 255), 1, cv2.LINE_AA)
    return picture


def write(name: str, pictures: list[np.ndarray], columns: int) -> None:
    """Save RGB pictures as one sheet."""
    edge = [
        cv2.copyMakeBorder(p, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=[255] * 3) for p in pictures
    ]
    rows = [np.hstack(edge[i : i + columns]) for i in range(0, len(edge), columns)]
    path = IMAGES / name
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 76])
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


def weather_sheet(renderer: Renderer, view: WorldView) -> list[np.ndarray]:
    """The street in each preset."""
    return [
        titled(renderer.render(FRONT, replace(view, weather=weather)), name)
        for name, weather in PRESETS.items()
    ]


def camera_sheet(renderer: Renderer, view: WorldView) -> list[np.ndarray]:
    """The street through each kind of camera, and from other places."""
    depth = renderer.render(replace(FRONT, kind="depth"), view)
    near = np.log(depth / 2.0) / math.log(100.0)  # 2 m is black, 200 m white
    grey = np.repeat((255 * np.clip(near, 0.0, 1.0)).astype(np.uint8)[..., None], 3, 2)
    tags = renderer.render(replace(FRONT, kind="semantic"), view)
    behind = replace(FRONT, x=-6.5, z=3.2, pitch=0.16)
    above = replace(FRONT, x=14.0, z=26.0, pitch=math.pi / 2)
    aside = replace(FRONT, x=0.3, y=0.6, yaw=math.pi / 4)
    return [
        titled(renderer.render(FRONT, view), "rgb"),
        titled(grey, "depth (grey is its logarithm)"),
        titled(cityscapes_rgb(tags), "semantic segmentation"),
        titled(renderer.render(aside, view), "rgb, yaw 45 degrees"),
        titled(renderer.render(behind, view), "rgb, behind the ego"),
        titled(renderer.render(above, view), "rgb, looking down"),
    ]


def actor_sheet(renderer: Renderer, ego: EgoState) -> list[np.ndarray]:
    """One picture of each actor, seen from the front left."""
    pictures = []
    for number, (name, distance) in enumerate(CAST, 10_000):
        blueprint = blueprints.find(name)
        users, props = placed(ego, ((name, distance + 3.0, 0.0, 2.4, 4.0),), number)
        sirens = frozenset(users.ids.tolist() if name in EMERGENCY else ())
        view = WorldView(0, 0.1, ego, objects=users, props=props, sirens=sirens)
        pitch = math.atan2(1.6 - 0.45 * blueprint.height, distance)
        spec = CameraSpec(width=320, height=240, fov_deg=60, x=3.0, z=1.6, pitch=pitch, samples=4)
        pictures.append(titled(renderer.render(spec, view), name))
    return pictures


def main() -> None:
    """Draw everything."""
    with Simulator(TOWN) as simulator:
        simulator.start_route(0)
        still, town, scenery = simulator.view(), simulator.town, simulator.scenery
    lights = {box.id: box for box in still.light_boxes}
    ego = approach(lights[STREET_LIGHT], 28.0)
    objects, props = placed(ego, STREET)
    view = WorldView(
        STAMP_NS,
        0.1,
        ego,
        objects=objects,
        props=props,
        light_boxes=still.light_boxes,
        light_states=dict.fromkeys(still.light_states, LightState.RED),
    )
    renderer = Renderer(town, scenery)
    write("weather.jpg", weather_sheet(renderer, view), columns=3)
    write("sensors_cameras.jpg", camera_sheet(renderer, view), columns=3)
    write("actors.jpg", actor_sheet(renderer, approach(lights[CAST_LIGHT], 45.0)), columns=4)
    renderer.close()


if __name__ == "__main__":
    main()
