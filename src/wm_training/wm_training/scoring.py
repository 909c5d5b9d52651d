"""Scoring of one driven route, from scene frames alone: the same judge in process and over ROS.

Stricter than any of the scores it gives, the judge ends a route at the first collision, and 3 m off
the route. How each score is made: :mod:`wm_training.leaderboard`, :mod:`wm_training.bench2drive`,
:mod:`wm_training.nocrash`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wm_perception.frame import SceneFrame
from wm_perception.observation import GOAL_M
from wm_perception.route import RouteTracker
from wm_perception.scene import Scene, ran_red_light
from wm_training import bench2drive, leaderboard, nocrash
from wm_training.blame import Blame
from wm_training.drive_log import DriveLog
from wm_training.infractions import COLLISIONS, Infraction, collision_kind, count_kinds

# CarDreamer ends an episode here too. The oncoming lane begins at 1.75 m: nobody may drive in it.
OFF_ROUTE_M = 3.0
BLOCKED_MPS, BLOCKED_S = 0.1, 90.0
TIME_LIMIT_S = 300.0


@dataclass(frozen=True)
class RouteResult:
    """How one route went. Percent 0-100. What has a default may be absent in older reports.

    Attributes:
        town, route: which route.
        outcome: "completed", "collision", "off_route", "blocked", "timeout" or "stopped".
        length_m: length of the route.
        route_completion: percent of the length.
        driving_score: Leaderboard 2.0 without its minimum speed, percent.
        collisions, red_lights: counts.
        offroad_fraction: share of frames with the vehicle off the road.
        driven_m, duration_s, mean_speed_mps: of the drive.
        mean_lateral_m: mean distance from the route.
        at_fault_collisions: of the collisions, those by the driver's own doing.
        scenario: name of the scenario on the route, or empty.
        scenario_success: whether it was mastered; None without a scenario.
        seed: of traffic and planner.
        weather: preset, or "custom".
        fault: injected, in text form; empty for none.
        driving_score_21: Leaderboard 2.1 without its minimum speed, percent.
        leaderboard_20, leaderboard_21: with the minimum speed.
        bench2drive_success: completed without any infraction.
        driving_efficiency: speed as percent of the traffic's; None without traffic.
        comfortness: percent of two-second pieces that were comfortable; None for a short drive.
        nocrash_success: completed without a collision, within NoCrash's time limit.
        infractions: every event.
        video: file of the drive's end, beside the report; empty for none.
    """

    town: str
    route: int
    outcome: str
    length_m: float
    route_completion: float
    driving_score: float
    collisions: int
    red_lights: int
    offroad_fraction: float
    driven_m: float
    duration_s: float
    mean_speed_mps: float
    mean_lateral_m: float
    at_fault_collisions: int = 0
    scenario: str = ""
    scenario_success: bool | None = None
    seed: int = 0
    weather: str = "day"
    fault: str = ""
    driving_score_21: float | None = None
    leaderboard_20: float | None = None
    leaderboard_21: float | None = None
    bench2drive_success: bool | None = None
    driving_efficiency: float | None = None
    comfortness: float | None = None
    nocrash_success: bool | None = None
    infractions: tuple[Infraction, ...] = ()
    video: str = ""


class RouteScorer:
    """Judges the frames of one route in order.

    Args:
        scene: the route and the town.
        time_limit_s: simulated seconds after which it ends as "timeout".
        off_route_m: distance from the route at which it ends as "off_route".

    Attributes:
        outcome: None while the route has not ended.
        infractions: so far.
    """

    def __init__(
        self,
        scene: Scene,
        time_limit_s: float = TIME_LIMIT_S,
        off_route_m: float = OFF_ROUTE_M,
    ):
        self._scene = scene
        self._limit_s = time_limit_s
        self._off_route_m = off_route_m
        self._blame = Blame()
        self._tracker = RouteTracker(scene.route)
        self._log = DriveLog()
        self._before: tuple[SceneFrame, float] | None = None
        self._first_ns = self._moved_ns = 0
        self._start_s = self._best_s = 0.0
        self._driven = self._driven_off = 0.0
        self.outcome: str | None = None
        self.infractions: list[Infraction] = []

    @property
    def route_completion(self) -> float:
        """Percent of the route done so far."""
        if self.outcome == "completed":
            return 100.0
        whole = max(self._scene.route.length_m - GOAL_M - self._start_s, 1.0)
        return float(np.clip(100.0 * (self._best_s - self._start_s) / whole, 0.0, 100.0))

    def update(self, frame: SceneFrame) -> str | None:
        """Judge the next frame; returns the outcome once the route has ended, else None."""
        on_route = self._tracker.update(frame.ego.pose)
        if self._before is None:
            self._first_ns = self._moved_ns = frame.stamp_ns
            self._start_s = self._best_s = on_route.s
        off_road = self._scene.town.is_off_road(frame.ego)
        ran_red = False
        if self._before is not None:
            before, s_before = self._before
            step = float(np.hypot(frame.ego.x - before.ego.x, frame.ego.y - before.ego.y))
            self._driven += step
            self._driven_off += step * off_road
            ran_red = ran_red_light(self._scene, before, s_before, on_route.s)
        self._before = (frame, on_route.s)
        self._best_s = max(self._best_s, on_route.s)
        if abs(frame.ego.speed_mps) > BLOCKED_MPS:
            self._moved_ns = frame.stamp_ns
        at_fault = self._blame.update(frame, on_route.lateral, ran_red)
        if ran_red:
            self._note("red_light")
        if off_road and not (self._log.off_road and self._log.off_road[-1]):
            self._note("off_road")
        if frame.collided:
            self._note(collision_kind(frame.contact), at_fault)
        lateral = abs(on_route.lateral)
        self._log.add(frame, self._best_s, lateral, bool(off_road))
        self.outcome = self._judge(frame, lateral)
        if self.outcome in ("off_route", "blocked", "timeout"):
            self._note(self.outcome)
        return self.outcome

    def _note(self, kind: str, at_fault: bool = True) -> None:
        """Add an infraction of the current frame."""
        assert self._before is not None, "only frames have infractions"
        frame, station_m = self._before
        time_s = (frame.stamp_ns - self._first_ns) * 1e-9
        place = frame.ego.x, frame.ego.y
        self.infractions.append(Infraction(kind, *place, time_s, station_m, bool(at_fault)))

    def _judge(self, frame: SceneFrame, lateral: float) -> str | None:
        if frame.collided:
            return "collision"
        if self._best_s >= self._scene.route.length_m - GOAL_M:
            return "completed"
        if lateral > self._off_route_m:
            return "off_route"
        if (frame.stamp_ns - self._moved_ns) * 1e-9 > BLOCKED_S:
            return "blocked"
        if (frame.stamp_ns - self._first_ns) * 1e-9 > self._limit_s:
            return "timeout"
        return None

    def result(
        self,
        town: str,
        route: int,
        scenario: str = "",
        scenario_success: bool | None = None,
        seed: int = 0,
        weather: str = "day",
        fault: str = "",
    ) -> RouteResult:
        """The result so far; the outcome is "stopped" if the route has not ended."""
        log, length_m = self._log, self._scene.route.length_m
        counts = count_kinds(self.infractions)
        collisions = sum(counts[kind] for kind in COLLISIONS)
        at_fault = sum(i.at_fault for i in self.infractions if i.kind in COLLISIONS)
        off_share = self._driven_off / self._driven if self._driven > 0 else 0.0
        priced = self.route_completion, off_share, counts
        slow = bench2drive.speed_percent(log, length_m, leaderboard.MIN_SPEED_CHECKPOINTS)
        done = self.outcome == "completed"
        in_time = log.duration_s <= nocrash.time_limit_s(length_m)
        return RouteResult(
            town=town,
            route=route,
            outcome=self.outcome or "stopped",
            length_m=length_m,
            route_completion=self.route_completion,
            driving_score=leaderboard.score_20(*priced),
            collisions=collisions,
            red_lights=counts["red_light"],
            offroad_fraction=float(np.mean(log.off_road)) if log.frames else 0.0,
            driven_m=self._driven,
            duration_s=log.duration_s,
            mean_speed_mps=self._driven / log.duration_s if log.duration_s > 0 else 0.0,
            mean_lateral_m=float(np.mean(log.lateral_m)) if log.frames else 0.0,
            at_fault_collisions=at_fault,
            scenario=scenario,
            scenario_success=scenario_success,
            seed=seed,
            weather=weather,
            fault=fault,
            driving_score_21=leaderboard.score_21(*priced),
            leaderboard_20=leaderboard.score_20(*priced, slow),
            leaderboard_21=leaderboard.score_21(*priced, slow),
            bench2drive_success=done and not self.infractions,
            driving_efficiency=bench2drive.driving_efficiency(log, length_m),
            comfortness=bench2drive.comfortness(log),
            nocrash_success=done and in_time,
            infractions=tuple(self.infractions),
        )
