"""Scoring of one driven route, from scene frames alone: the same judge in process and over ROS.

Penalties are those of CARLA Leaderboard 2.0: a collision multiplies the score by 0.50 (a person),
0.60 (a vehicle) or 0.65 (anything that stands), a red light by 0.70, and the share of the driven
way that lies off the road is lost. Stricter than the leaderboard, a route ends at the first
collision.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from wm_perception.frame import Contact, ObjectClass, SceneFrame
from wm_perception.observation import GOAL_M
from wm_perception.route import RouteTracker
from wm_perception.scene import Scene, ran_red_light
from wm_training.blame import Blame
from wm_training.intervals import bootstrap_mean, poisson_rate, wilson

PEDESTRIAN_FACTOR, VEHICLE_FACTOR, STATIC_FACTOR, RED_LIGHT_FACTOR = 0.50, 0.60, 0.65, 0.70
# CarDreamer ends an episode here too. The oncoming lane begins at 1.75 m: nobody may drive in it.
OFF_ROUTE_M = 3.0
BLOCKED_MPS, BLOCKED_S = 0.1, 90.0
TIME_LIMIT_S = 300.0


@dataclass(frozen=True)
class RouteResult:
    """How one route went. Percent 0-100.

    Attributes:
        town, route: which route.
        outcome: "completed", "collision", "off_route", "blocked", "timeout" or "stopped".
        length_m: length of the route.
        route_completion: percent of the length.
        driving_score: Leaderboard 2.0, percent.
        collisions, red_lights: counts.
        offroad_fraction: share of frames with the vehicle off the road.
        driven_m, duration_s, mean_speed_mps: of the drive.
        mean_lateral_m: mean distance from the route.
        at_fault_collisions: of the collisions, those by the driver's own doing.
        scenario: name of the scenario on the route, or empty.
        scenario_success: whether it was mastered; None without a scenario.
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


def collision_factor(contact: Contact | None) -> float:
    """What a collision leaves of the score; a source that does not say what was hit hit a car."""
    kind = ObjectClass.CAR if contact is None else contact.kind
    if kind == ObjectClass.PEDESTRIAN:
        return PEDESTRIAN_FACTOR
    standing = (ObjectClass.BARRIER, ObjectClass.SIGN, ObjectClass.UNKNOWN)
    return STATIC_FACTOR if kind in standing else VEHICLE_FACTOR


class RouteScorer:
    """Judges the frames of one route in order.

    Args:
        scene: the route and the town.
        time_limit_s: simulated seconds after which it ends as "timeout".
        off_route_m: distance from the route at which it ends as "off_route".
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
        self._before: tuple[SceneFrame, float] | None = None
        self._first_ns = self._moved_ns = 0
        self._start_s = self._best_s = 0.0
        self._driven = self._driven_off = 0.0
        self._collisions = self._at_fault = self._red_lights = 0
        self._collision_factor = 1.0
        self._laterals: list[float] = []
        self._off_road_frames = 0
        self.outcome: str | None = None

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
            self._red_lights += ran_red
        self._before = (frame, on_route.s)
        self._best_s = max(self._best_s, on_route.s)
        self._laterals.append(abs(on_route.lateral))
        self._off_road_frames += off_road
        if abs(frame.ego.speed_mps) > BLOCKED_MPS:
            self._moved_ns = frame.stamp_ns
        at_fault = self._blame.update(frame, on_route.lateral, ran_red)
        if frame.collided:
            self._collisions += 1
            self._at_fault += at_fault
            self._collision_factor *= collision_factor(frame.contact)
        self.outcome = self._judge(frame, abs(on_route.lateral))
        return self.outcome

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
        self, town: str, route: int, scenario: str = "", scenario_success: bool | None = None
    ) -> RouteResult:
        """The result so far; the outcome is "stopped" if the route has not ended."""
        frames = max(len(self._laterals), 1)
        last = self._before[0].stamp_ns if self._before else self._first_ns
        duration = (last - self._first_ns) * 1e-9
        off_share = self._driven_off / self._driven if self._driven > 0 else 0.0
        score = self.route_completion * self._collision_factor
        score *= RED_LIGHT_FACTOR**self._red_lights * (1.0 - off_share)
        return RouteResult(
            town=town,
            route=route,
            outcome=self.outcome or "stopped",
            length_m=self._scene.route.length_m,
            route_completion=self.route_completion,
            driving_score=score,
            collisions=self._collisions,
            red_lights=self._red_lights,
            offroad_fraction=self._off_road_frames / frames,
            driven_m=self._driven,
            duration_s=duration,
            mean_speed_mps=self._driven / duration if duration > 0 else 0.0,
            mean_lateral_m=float(np.mean(self._laterals)) if self._laterals else 0.0,
            at_fault_collisions=self._at_fault,
            scenario=scenario,
            scenario_success=scenario_success,
        )


def summarise(
    results: list[RouteResult], plan_ms: list[float], deadline_ms: float, **about
) -> dict:
    """The report that ``--json`` writes: {"summary": {...}, "routes": [...]}.

    Rates and means come with 95 % intervals, ``<name>_95``: over routes for means (bootstrap), over
    events for rates per km (Poisson).

    Args:
        results: one per route.
        plan_ms: wall time of every plan, ms.
        deadline_ms: plans slower than this are misses.
        about: seed, model, suite, driver ... copied into the summary.
    """
    driven_km = sum(r.driven_m for r in results) / 1000.0
    km = max(driven_km, 1e-9)
    times = np.array(plan_ms) if plan_ms else np.zeros(1)
    frames = np.array([max(r.duration_s, 1e-9) for r in results])

    def mean(name: str) -> float:
        return float(np.mean([getattr(r, name) for r in results])) if results else 0.0

    summary = {
        "route_completion": mean("route_completion"),
        "driving_score": mean("driving_score"),
        "collisions_per_km": sum(r.collisions for r in results) / km,
        "red_lights_per_km": sum(r.red_lights for r in results) / km,
        "offroad_fraction": float(
            np.average([r.offroad_fraction for r in results], weights=frames) if results else 0.0
        ),
        "plan_ms_p50": float(np.percentile(times, 50)),
        "plan_ms_p99": float(np.percentile(times, 99)),
        "deadline_miss_rate": float(np.mean(times > deadline_ms)),
        "routes": len(results),
        "routes_with_collision": sum(r.collisions > 0 for r in results),
        "red_lights": sum(r.red_lights for r in results),
        "mean_speed_mps": sum(r.driven_m for r in results) / max(float(frames.sum()), 1e-9),
        "km": driven_km,
        "at_fault_collisions_per_km": sum(r.at_fault_collisions for r in results) / km,
        **_intervals(results, km),
        **_scenarios(results),
        **about,
    }
    return {"summary": summary, "routes": [asdict(r) for r in results]}


def _intervals(results: list[RouteResult], km: float) -> dict:
    return {
        "route_completion_95": bootstrap_mean([r.route_completion for r in results]),
        "driving_score_95": bootstrap_mean([r.driving_score for r in results]),
        "collisions_per_km_95": poisson_rate(sum(r.collisions for r in results), km),
        "at_fault_collisions_per_km_95": poisson_rate(
            sum(r.at_fault_collisions for r in results), km
        ),
        "red_lights_per_km_95": poisson_rate(sum(r.red_lights for r in results), km),
    }


def _scenarios(results: list[RouteResult]) -> dict:
    """Share of scenarios mastered, together and one by one; None where none was staged."""
    staged = [r for r in results if r.scenario_success is not None]
    mastered = sum(bool(r.scenario_success) for r in staged)
    each = {
        name: [sum(bool(r.scenario_success) for r in runs), len(runs)]
        for name in sorted({r.scenario for r in staged})
        for runs in [[r for r in staged if r.scenario == name]]
    }
    return {
        "scenario_success": mastered / len(staged) if staged else None,
        "scenario_success_95": wilson(mastered, len(staged)) if staged else None,
        "scenarios": each,
    }
