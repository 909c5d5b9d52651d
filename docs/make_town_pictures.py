"""A labelled plan of the town for scenarios: ``python docs/make_town_pictures.py``.

The result is docs/images/stage.png.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from wm_perception.town_map import TownMap
from wm_sim.alignment import is_car_lane, lane_shape, read_net
from wm_sim.signs import speed_limits, stop_signs
from wm_sim.town_files import load_town

WIDTH_PX = 1300
GRASS, ASPHALT, LINE = (214, 226, 214), (120, 116, 112), (235, 235, 235)
PAVEMENT, CROSSING, INK = (176, 196, 206), (255, 255, 255), (40, 40, 40)
STOP, LIGHT, LIMIT = (40, 40, 210), (50, 170, 60), (200, 110, 30)
LABELS = {
    "avenue, two lanes each way, 50 km/h": (-110, 22),
    "on-ramp, 40 km/h": (-468, -80),
    "acceleration lane": (-425, -26),
    "roundabout": (128, 176),
    "right before left": (-136, 268),
    "mid-block crossing": (-285, 128),
    "lights, left turn": (114, -28),
    "stop signs": (114, -160),
    "30 km/h streets": (-555, 172),
}


def main() -> None:
    """Draw and write."""
    files = load_town("stage")
    town = TownMap.from_opendrive(files.xodr_text, "stage")
    scale = WIDTH_PX / town.road.shape[1]
    size = WIDTH_PX, round(town.road.shape[0] * scale)
    picture = np.empty((*size[::-1], 3), np.uint8)
    picture[:] = GRASS
    net = read_net(files.walk_net_path)

    def pixels(points: np.ndarray) -> np.ndarray:
        return np.round(town.to_pixels(points) * scale * 16).astype(np.int32)

    def draw(points: np.ndarray, width_m: float, colour: tuple[int, int, int]) -> None:
        thick = max(1, round(width_m * 4 * scale))
        cv2.polylines(picture, [pixels(points)], False, colour, thick, cv2.LINE_AA, 4)

    for edge in net.iter("edge"):
        for lane in edge.iter("lane"):
            shape = lane_shape(lane)
            if edge.get("function") == "walkingarea":
                cv2.fillPoly(picture, [pixels(shape)], PAVEMENT, cv2.LINE_AA, 4)
            elif edge.get("function") != "crossing" and not is_car_lane(lane):
                draw(shape, 2.5, PAVEMENT)
    road = cv2.resize(town.road, size, interpolation=cv2.INTER_AREA)[..., None] / 255.0
    line = cv2.resize(town.line, size, interpolation=cv2.INTER_AREA)[..., None] / 255.0
    picture = (picture * (1 - road) + road * np.array(ASPHALT)).astype(np.uint8)
    picture = (picture * (1 - line) + line * np.array(LINE)).astype(np.uint8)
    for edge in net.iter("edge"):
        if edge.get("function") == "crossing":
            (lane,) = edge.iter("lane")
            draw(lane_shape(lane), 2.5, CROSSING)
    lanes = {lane.attrib["id"]: lane_shape(lane) for lane in net.iter("lane")}
    ends = [
        lanes[f"{c.attrib['from']}_{c.attrib['fromLane']}"][-1]
        for c in net.iter("connection")
        if c.get("tl") and not c.attrib["from"].startswith(":")
    ]
    for places, colour, radius in (
        ([(s.x, s.y) for s in speed_limits(town)], LIMIT, 3),
        (ends, LIGHT, 5),
        ([(s.x, s.y) for s in stop_signs(town)], STOP, 6),
    ):
        for x, y in pixels(np.array(places)):
            cv2.circle(picture, (int(x), int(y)), radius * 16, colour, -1, cv2.LINE_AA, 4)
    write_labels(picture, {text: pixels(np.array(at)) // 16 for text, at in LABELS.items()})
    out = Path(__file__).parent / "images" / "stage.png"
    cv2.imwrite(str(out), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def write_labels(picture: np.ndarray, labels: dict[str, np.ndarray]) -> None:
    """Names of places, and what the dots are."""
    font = cv2.FONT_HERSHEY_SIMPLEX
    for text, (x, y) in labels.items():
        cv2.putText(picture, text, (int(x), int(y)), font, 0.55, INK, 1, cv2.LINE_AA)
    dots = (("traffic light", LIGHT), ("stop sign", STOP), ("speed limit", LIMIT))
    for row, (text, colour) in enumerate(dots):
        y = picture.shape[0] - 90 + 28 * row
        cv2.circle(picture, (1070, y - 5), 6, colour, -1, cv2.LINE_AA)
        cv2.putText(picture, text, (1086, y), font, 0.55, INK, 1, cv2.LINE_AA)


if __name__ == "__main__":
    main()
