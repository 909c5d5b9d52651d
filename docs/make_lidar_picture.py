"""Draw docs/images/sensors_lidar.jpg: what lidar, radar and semantic lidar see, from above.

python docs/make_lidar_picture.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from wm_perception.frame import Command
from wm_perception.semantics import CITYSCAPES_RGB, SemanticTag
from wm_sim.rig import Rig, default_rig
from wm_sim.simulator import Simulator
from wm_sim.world import World

IMAGE = Path(__file__).parent / "images" / "sensors_lidar.jpg"
REACH_M, SIDE_PX = 34.0, 620
FRAMES = 140
PAPER_RGB, RING_RGB, INK_RGB = (250, 250, 248), (222, 222, 220), (40, 42, 46)
LOW_RGB, HIGH_RGB = np.array((150, 176, 208)), np.array((10, 40, 96))
CLOSER_RGB, AWAY_RGB = (222, 60, 46), (30, 150, 70)
TOP_M = 6.0
TAGS = (
    SemanticTag.ROAD,
    SemanticTag.ROAD_LINE,
    SemanticTag.SIDEWALK,
    SemanticTag.TERRAIN,
    SemanticTag.BUILDING,
    SemanticTag.VEGETATION,
    SemanticTag.POLE,
    SemanticTag.VEHICLE,
    SemanticTag.PEDESTRIAN,
)


def clean_rig() -> Rig:
    """The example rig with one turn per frame and no lost points."""
    rig = default_rig()
    more = {"rotation_frequency": "10", "dropoff_general_rate": "0", "dropoff_zero_intensity": "0"}
    sensors = tuple(
        replace(spec, attributes={**spec.attributes, **more}) if ".lidar." in spec.type else spec
        for spec in rig.sensors
    )
    return replace(rig, sensors=sensors)


def panel() -> np.ndarray:
    """(SIDE_PX, SIDE_PX, 3) RGB canvas with circles every 10 m."""
    canvas = np.full((SIDE_PX, SIDE_PX, 3), PAPER_RGB, np.uint8)
    for radius in range(10, 50, 10):
        cv2.circle(canvas, pixels(np.zeros((1, 2)))[0].tolist(), round(radius * SIDE_PX / 2 /
                   REACH_M), RING_RGB, 1, cv2.LINE_AA)  # fmt: skip
    return canvas


def entitle(canvas: np.ndarray, title: str) -> np.ndarray:
    """The canvas with a title over its upper edge."""
    canvas[:36] = PAPER_RGB
    write(canvas, title, (14, 25), 0.6)
    return canvas


def write(canvas: np.ndarray, text: str, place: tuple[int, int], size: float) -> None:
    """Text whose lower left corner is at ``place``."""
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, INK_RGB, 1, cv2.LINE_AA)


def pixels(points: np.ndarray) -> np.ndarray:
    """(n, 2) x forward, y left in m -> (n, 2) column, row; forward is up."""
    scale = SIDE_PX / 2 / REACH_M
    return np.round(SIDE_PX / 2 - scale * points[:, ::-1]).astype(int)


def scatter(canvas: np.ndarray, points: np.ndarray, colours: np.ndarray) -> None:
    """Two by two pixels per point, (n, 2) m and (n, 3) RGB, later points over earlier ones."""
    place = pixels(points)
    inside = ((place >= 0) & (place < SIDE_PX - 1)).all(1)
    column, row = place[inside].T
    for right, down in ((0, 0), (1, 0), (0, 1), (1, 1)):
        canvas[row + down, column + right] = colours[inside]


def draw_ego(canvas: np.ndarray, length: float, width: float) -> None:
    """The ego's outline."""
    corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * (length / 2, width / 2)
    cv2.polylines(canvas, [pixels(corners)], True, INK_RGB, 2, cv2.LINE_AA)


def lidar_panel(cloud: np.ndarray, radar: np.ndarray, mount_z: float, radar_x: float) -> np.ndarray:
    """Points coloured by height, and the radar's detections by radial velocity."""
    canvas = panel()
    height = np.clip((cloud[:, 2:3] + mount_z) / TOP_M, 0.0, 1.0)
    order = np.argsort(height[:, 0], kind="stable")
    colours = (LOW_RGB + (HIGH_RGB - LOW_RGB) * np.sqrt(height)).astype(np.uint8)
    scatter(canvas, cloud[order, :2], colours[order])
    for point in radar[radar["z"] > -1.9]:  # the ground is left out
        place = pixels(np.array([[point["x"] + radar_x, point["y"]]]))[0].tolist()
        colour = CLOSER_RGB if point["Velocity"] < -0.1 else AWAY_RGB
        cv2.circle(canvas, place, 3, colour, cv2.FILLED, cv2.LINE_AA)
    for row, (text, rgb) in enumerate((("closing in", CLOSER_RGB), ("moving away", AWAY_RGB))):
        legend(canvas, text, rgb, row, rows=2)
    return entitle(canvas, "lidar, coloured by height; radar (dots)")


def legend(canvas: np.ndarray, text: str, rgb: tuple, row: int, rows: int) -> None:
    """One line of the legend in the lower left corner."""
    y = SIDE_PX - 16 - 20 * (rows - 1 - row)
    cv2.circle(canvas, (20, y - 4), 5, rgb, cv2.FILLED, cv2.LINE_AA)
    write(canvas, text, (34, y), 0.45)


def semantic_panel(cloud: np.ndarray) -> np.ndarray:
    """Points in the colours of their tags."""
    canvas = panel()
    order = np.argsort(cloud["z"], kind="stable")
    colours = CITYSCAPES_RGB[cloud["ObjTag"]]
    scatter(canvas, np.stack([cloud["x"], cloud["y"]], 1)[order], colours[order])
    for row, tag in enumerate(TAGS):
        rgb = CITYSCAPES_RGB[tag].tolist()
        legend(canvas, tag.name.lower().replace("_", " "), rgb, row, rows=len(TAGS))
    return entitle(canvas, "semantic lidar, in CityScapes colours")


def main() -> None:
    """Drive for a while, read the sensors, draw."""
    rig = clean_rig()
    with Simulator("test01", rig=rig) as simulator:
        world = World(trucks=6, cyclists=6, pedestrians=30, parked=20)
        simulator.start_route(0, seed=5, traffic=50, world=world)
        simulator.autopilot = True
        for _ in range(FRAMES):
            frame = simulator.step(Command())
        left = lidar_panel(
            simulator.read("lidar"),
            simulator.read("radar_front"),
            rig.sensor("lidar").z,
            rig.sensor("radar_front").x,
        )
        right = semantic_panel(simulator.read("semantic_lidar"))
    for canvas in (left, right):
        draw_ego(canvas, frame.ego.length, frame.ego.width)
    both = np.concatenate([left, np.full((SIDE_PX, 6, 3), 200, np.uint8), right], 1)
    IMAGE.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(IMAGE), cv2.cvtColor(both, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 82])


if __name__ == "__main__":
    main()
