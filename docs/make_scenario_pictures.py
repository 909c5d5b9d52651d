"""A strip per scenario, from above: ``python docs/make_scenario_pictures.py [NAME ...]``.

Three moments of a run with the expert: two seconds before the trigger, the trigger, and (unless
another tells more) the moment after it when somebody is closest ahead. Up is the direction of the
ego's route. Draws docs/images/scenarios/NAME.png.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import cv2
import numpy as np

from wm_perception.conventions import box_corners, to_ego
from wm_perception.frame import LightState, ObjectClass, SceneFrame
from wm_perception.scene import Scene
from wm_sim.expert import Expert
from wm_sim.scenarios import Scenario, scenario_names, scenario_spec
from wm_sim.scenarios.judge import bay_pose
from wm_sim.simulator import Simulator
from wm_sim.world import World

VIEW_M = (42.0, 60.0)  # width, height of a panel
PIXELS_PER_M = 11.0  # before it is shrunk
SHRINK = 2
WIDTH, HEIGHT = (round(side * PIXELS_PER_M / SHRINK) for side in VIEW_M)
PERSON_RADIUS_M = 0.7  # larger than life, to be seen
MIDDLE_AHEAD_M = 19
FAR_M = 35.0  # further away is not close
SLIM_M = 0.9  # nothing is drawn thinner than this
CAPTION_PX = 22
GAP_PX = 6
MAX_STEPS = 1500
BEFORE_FRAMES = 20
# Seconds after the trigger that tell more than the closest moment.
TELLING_S = {"oncoming_overtake": 3.6, "double_parked": 6.3, "cut_in": 3.0}
AFTER_FRAMES = 90  # the closest moment is looked for in this time

GROUND, NIGHT_GROUND = (206, 217, 208), (70, 62, 58)
ROAD, NIGHT_ROAD = (150, 150, 150), (96, 92, 90)
LINE, ROUTE, EGO, TEXT = (245, 245, 245), (235, 190, 120), (190, 90, 20), (40, 40, 40)
COLOURS = {
    ObjectClass.PEDESTRIAN: (60, 60, 235),
    ObjectClass.BIKE: (80, 190, 60),
    ObjectClass.TRUCK: (40, 90, 150),
    ObjectClass.BARRIER: (30, 200, 240),
}
CAR = (40, 130, 240)
LIGHTS = {
    LightState.RED: (40, 40, 230),
    LightState.YELLOW: (40, 210, 240),
    LightState.GREEN: (70, 190, 70),
}


class Panel:
    """A picture of a place; ``pose`` is its middle and the direction that is up."""

    def __init__(self, scene: Scene, pose: np.ndarray, night: bool) -> None:
        self._pose = pose
        ground, road = (NIGHT_GROUND, NIGHT_ROAD) if night else (GROUND, ROAD)
        self.image = np.full((HEIGHT * SHRINK, WIDTH * SHRINK, 3), ground, np.uint8)
        strips = [strip for strip in scene.town.strips if strip.kind != "sidewalk"]
        for strip in strips:
            outline = self.place(np.concatenate([strip.left, strip.right[::-1]]))
            cv2.fillPoly(self.image, [outline], road, cv2.LINE_AA, 4)
            # Neighbouring strips leave hairline gaps.
            cv2.polylines(self.image, [outline], True, road, 3, cv2.LINE_AA, 4)
        for strip in strips:
            for border, mark in ((strip.left, strip.left_marking),
                                 (strip.right, strip.right_marking)):  # fmt: skip
                if mark not in ("", "NONE", "Other"):
                    self.path(border, LINE, SHRINK)
        self.path(scene.route.points, ROUTE, 2 * SHRINK)

    def place(self, points: np.ndarray) -> np.ndarray:
        """(n, 2) map points -> pixels with four fractional bits."""
        local = to_ego(points, self._pose)
        middle = SHRINK * np.array([WIDTH, HEIGHT]) / 2
        pixels = middle - local[:, ::-1] * PIXELS_PER_M
        return np.round(pixels * 16).astype(np.int32)

    def path(self, points: np.ndarray, colour: tuple, width: int = 1) -> None:
        """A line through map points."""
        cv2.polylines(self.image, [self.place(points)], False, colour, width, cv2.LINE_AA, 4)

    def body(self, pose: np.ndarray, size: np.ndarray, colour: tuple, own: bool = False) -> None:
        """A road user; its front is the pointed end."""
        heading = np.array([math.cos(pose[2]), math.sin(pose[2])])
        size = np.maximum(size, SLIM_M)
        corners = box_corners(*pose, *size)
        tip = 0.18 * size[0] * heading
        shape = [corners[1], corners[2], corners[3] - tip,
                 pose[:2] + size[0] / 2 * heading, corners[0] - tip]  # fmt: skip
        edge = (255, 255, 255) if own else (30, 30, 30)
        outline = self.place(np.array(shape))
        cv2.fillPoly(self.image, [outline], colour, cv2.LINE_AA, 4)
        cv2.polylines(self.image, [outline], True, edge, SHRINK, cv2.LINE_AA, 4)

    def person(self, pose: np.ndarray, colour: tuple) -> None:
        """Somebody on foot."""
        middle = tuple(int(v) for v in self.place(pose[None, :2])[0])
        radius = round(PERSON_RADIUS_M * PIXELS_PER_M * 16)
        cv2.circle(self.image, middle, radius, colour, -1, cv2.LINE_AA, 4)
        cv2.circle(self.image, middle, radius, (255, 255, 255), SHRINK, cv2.LINE_AA, 4)

    def shrunk(self) -> np.ndarray:
        """The picture in its final size."""
        return cv2.resize(self.image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def drive(simulator: Simulator, name: str, route: int) -> tuple[Scenario, list[SceneFrame], int]:
    """Run a scenario with the expert; the frames, and the number of the trigger's."""
    suite = scenario_spec(name).route_suite
    scene = simulator.start_route(route, suite=suite, world=World(scenario=name))
    scenario, driver = simulator.scenario, Expert()
    assert scenario is not None
    driver.reset(scene)
    frames, trigger = [simulator.frame()], None
    for _ in range(MAX_STEPS):
        frames.append(simulator.step(driver.drive(frames[-1])))
        if trigger is None and scenario.status != "waiting":
            trigger = len(frames) - 1
            if (bay := scenario.bay(scene)) is not None:
                driver.park(bay)
        if trigger is not None and (
            scenario.status != "running"
            if scenario.spec.success.parked
            else len(frames) - trigger > AFTER_FRAMES
        ):
            break
    if trigger is None:
        raise SystemExit(f"{name} was never triggered: {scenario.text}")
    return scenario, frames, trigger


def closest(frames: list[SceneFrame], first: int) -> int:
    """Number of the frame after ``first`` in which somebody is nearest in front of the ego."""
    for half_width in (1.5, 6.0):  # in its way, or else beside it
        nearest: dict[int, float] = {}
        for number in range(first + 15, len(frames)):
            frame = frames[number]
            local = to_ego(frame.objects.poses[:, :2], frame.ego.pose)
            ahead = local[(local[:, 0] > 2.0) & (np.abs(local[:, 1]) < half_width)]
            if len(ahead):
                nearest[number] = float(np.hypot(*ahead.T).min())
        if nearest and min(nearest.values()) < FAR_M:
            return min(nearest, key=lambda number: nearest[number])
    return min(first + 30, len(frames) - 1)


def draw(
    scene: Scene,
    frames: list[SceneFrame],
    number: int,
    since: int,
    night: bool,
    bay: np.ndarray | None,
) -> np.ndarray:
    """One panel: the frame, with the ways since an earlier frame and a parking bay (4, 2)."""
    frame = frames[number]
    ego = frame.ego
    index = scene.route.nearest_index(ego.x, ego.y)
    ahead = min(index + MIDDLE_AHEAD_M, len(scene.route) - 1)
    panel = Panel(scene, np.array([*scene.route.points[ahead], scene.route.headings[index]]), night)
    for box in scene.lights:
        state = frame.light_states.get(box.id)
        heading = np.array([math.cos(box.yaw), math.sin(box.yaw)])
        line = np.array(box.center) + box.length / 2 * heading
        across = np.array([-heading[1], heading[0]]) * box.width / 2
        panel.path(np.stack([line - across, line + across]), LIGHTS.get(state, TEXT), 4 * SHRINK)
    if bay is not None:
        panel.path(bay[[0, 1, 2, 3, 0]], COLOURS[ObjectClass.BARRIER], SHRINK)
    everyone = frame.objects + frame.props
    for row in range(len(everyone)):
        colour = COLOURS.get(ObjectClass(everyone.kinds[row]), CAR)
        trail = [
            past.objects.poses[past.objects.ids == everyone.ids[row]][:, :2]
            for past in frames[since : number + 1]
        ]
        way = np.concatenate(trail) if trail else np.zeros((0, 2))
        if len(way) > 1:
            panel.path(way, colour, SHRINK)
        if everyone.kinds[row] == ObjectClass.PEDESTRIAN:
            panel.person(everyone.poses[row], colour)
        else:
            panel.body(everyone.poses[row], everyone.sizes[row], colour)
    own = np.array([past.ego.pose[:2] for past in frames[since : number + 1]])
    if len(own) > 1:
        panel.path(own, EGO, 2 * SHRINK)
    panel.body(ego.pose, np.array([ego.length, ego.width]), EGO, own=True)
    return panel.shrunk()


def strip(simulator: Simulator, name: str, route: int) -> np.ndarray:
    """Three panels side by side, with captions."""
    scenario, frames, trigger = drive(simulator, name, route)
    scene, site = simulator.scene, scenario.site
    assert scene is not None and site is not None
    parked, bay = scenario.spec.success.parked, None
    if parked is not None:
        bay = box_corners(*bay_pose(parked, scene, site), parked.length_m, parked.width_m)
    start = max(0, trigger - BEFORE_FRAMES)
    telling = trigger + round(TELLING_S.get(name, 0.0) / simulator.frame_dt)
    if parked is not None:
        telling = len(frames) - 1
    elif name not in TELLING_S:
        telling = closest(frames, trigger)
    panels = (start, trigger, telling)
    image = np.full((HEIGHT + CAPTION_PX, 3 * WIDTH + 2 * GAP_PX, 3), 255, np.uint8)
    for column, number in enumerate(panels):
        left = column * (WIDTH + GAP_PX)
        drawn = draw(scene, frames, number, start, simulator.weather.night, bay)
        image[CAPTION_PX:, left : left + WIDTH] = drawn
        seconds = (number - trigger) * simulator.frame_dt
        when = "trigger" if number == trigger else f"{seconds:+.1f} s"
        text = f"{when}, ego {frames[number].ego.speed_mps:.1f} m/s"
        place = (left + 2, CAPTION_PX - 7)
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, TEXT, 1, cv2.LINE_AA)
    print(f"{name}: {scenario.status}, {scenario.text}")
    return image


def main() -> None:
    """Draw the strips that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", default=scenario_names())
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images" / "scenarios")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    stages = sorted((*stage_of(name), name) for name in arguments.names)
    simulator: Simulator | None = None
    for town, route, name in stages:
        if simulator is None or simulator.town_name != town:
            if simulator is not None:
                simulator.close()
            simulator = Simulator(town)
        file = arguments.out / f"{name}.png"
        cv2.imwrite(str(file), strip(simulator, name, route), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    if simulator is not None:
        simulator.close()


def stage_of(name: str) -> tuple[str, int]:
    """The first stage of a scenario."""
    town, routes = next(iter(scenario_spec(name).stages.items()))
    return town, routes[0]


if __name__ == "__main__":
    main()
