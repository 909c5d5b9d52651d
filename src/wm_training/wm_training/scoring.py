"""Scoring of one driven route, from scene frames alone: the same judge in process and over ROS.

Penalties are those of CARLA Leaderboard 2.0: a vehicle collision multiplies the score by 0.60, a
red light by 0.70, and the share of the driven way that lies off the road is lost. Stricter than
the leaderboard, a route ends at the first collision.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from wm_perception.frame import SceneFrame
from wm_perception.observation import GOAL_M
from wm_perception.route import RouteTracker
from wm_perception.scene import Scene, ran_red_light

COLLISION_FACTOR, RED_LIGHT_FACTOR = 0.60, 0.70
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


class RouteScorer:
    """Judges the frames of one route in order."""

    def __init__(self, scene: Scene, time_limit_s: float = TIME_LIMIT_S):
        self._scene = scene
        self._limit_s = time_limit_s
        self._tracker = RouteTracker(scene.route)
        self._before: tuple[SceneFrame, float] | None = None
        self._first_ns = self._moved_ns = 0
        self._start_s = self._best_s = 0.0
        self._driven = self._driven_off = 0.0
        self._collisions = self._red_lights = 0
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
        if self._before is not None:
            before, s_before = self._before
            step = float(np.hypot(frame.ego.x - before.ego.x, frame.ego.y - before.ego.y))
            self._driven += step
            self._driven_off += step * off_road
            self._red_lights += ran_red_light(self._scene, before, s_before, on_route.s)
        self._before = (frame, on_route.s)
        self._best_s = max(self._best_s, on_route.s)
        self._laterals.append(abs(on_route.lateral))
        self._off_road_frames += off_road
        if abs(frame.ego.speed_mps) > BLOCKED_MPS:
            self._moved_ns = frame.stamp_ns
        self._collisions += frame.collided
        self.outcome = self._judge(frame, abs(on_route.lateral))
        return self.outcome

    def _judge(self, frame: SceneFrame, lateral: float) -> str | None:
        if frame.collided:
            return "collision"
        if self._best_s >= self._scene.route.length_m - GOAL_M:
            return "completed"
        if lateral > OFF_ROUTE_M:
            return "off_route"
        if (frame.stamp_ns - self._moved_ns) * 1e-9 > BLOCKED_S:
            return "blocked"
        if (frame.stamp_ns - self._first_ns) * 1e-9 > self._limit_s:
            return "timeout"
        return None

    def result(self, town: str, route: int) -> RouteResult:
        """The result so far; the outcome is "stopped" if the route has not ended."""
        frames = max(len(self._laterals), 1)
        last = self._before[0].stamp_ns if self._before else self._first_ns
        duration = (last - self._first_ns) * 1e-9
        off_share = self._driven_off / self._driven if self._driven > 0 else 0.0
        score = self.route_completion * COLLISION_FACTOR**self._collisions
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
        )


def summarise(
    results: list[RouteResult], plan_ms: list[float], deadline_ms: float, **about
) -> dict:
    """The report that ``--json`` writes: {"summary": {...}, "routes": [...]}.

    Args:
        results: one per route.
        plan_ms: wall time of every plan, ms.
        deadline_ms: plans slower than this are misses.
        about: seed, model, suite, driver ... copied into the summary.
    """
    km = max(sum(r.driven_m for r in results) / 1000.0, 1e-9)
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
        **about,
    }
    return {"summary": summary, "routes": [asdict(r) for r in results]}
