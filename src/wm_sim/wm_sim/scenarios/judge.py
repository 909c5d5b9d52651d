"""Whether a scenario was mastered: criteria over the frames from its trigger on."""

from __future__ import annotations

import math

import cv2
import numpy as np

from wm_perception.conventions import box_corners, to_ego, wrap_angle
from wm_perception.frame import EgoState
from wm_perception.scene import Scene, ran_red_light
from wm_sim.scenarios.actors import Moment, Mover
from wm_sim.scenarios.sites import Site
from wm_sim.scenarios.spec import Bay, Success

STANDING_MPS = 0.15
PARKED_FOR_S = 1.0
PARKED_YAW_RAD = 0.3
CONFLICT_M = 2.0  # the ego has entered a meeting place when its front is this close to it


class Judge:
    """Looks at one moment after another; :meth:`verdict` is (status, reason).

    Args:
        success: the criteria.
        site: where the scenario is staged.
        scene: of the ego's route.
    """

    def __init__(self, success: Success, site: Site, scene: Scene) -> None:
        self._success, self._site, self.scene = success, site, scene
        self._before: Moment | None = None
        self._since_s = 0.0
        self._parked_s = 0.0
        self._stopped = False

    def verdict(self, moment: Moment, movers: dict[str, Mover]) -> tuple[str, str]:
        """("running" | "success" | "failure", why)."""
        reason = self._violation(moment, movers)
        self._before = moment
        if reason:
            return "failure", reason
        if self._reached(moment, movers):
            return "success", "mastered"
        before = self._success.before_m
        if before is not None and moment.ego_m > self._site.anchor_m + before:
            return "failure", f"not done within {before:g} m"
        self._since_s += moment.dt * moment.triggered
        if self._since_s > self._success.within_s:
            return "failure", f"not done within {self._success.within_s:g} s"
        return "running", ""

    def _violation(self, moment: Moment, movers: dict[str, Mover]) -> str:
        frame, before = moment.frame, self._before
        if frame.collided:
            return "collision"
        if not moment.triggered:
            gone = self._success.passed_m
            missed = gone is not None and moment.ego_m > self._site.anchor_m + gone
            return "passed without it" if missed else ""
        if before is not None and ran_red_light(
            self.scene, before.frame, before.ego_m, moment.ego_m
        ):
            return "ran a red light"
        front = moment.ego_m + frame.ego.length / 2
        for name in self._success.after:
            mover = movers[name]
            if not mover.past_meeting and front > mover.track.route_meeting_m - CONFLICT_M:
                return f"did not let {name} go first"
        self._note_stop(moment)
        passed = moment.ego_m + frame.ego.length / 2 > self._site.anchor_m + 1.0
        if self._success.stopped_within_m is not None and passed and not self._stopped:
            return "did not stop before the line"
        if self._success.clearance_m > 0.0:
            for name, mover in movers.items():
                if clearance(frame.ego, mover) < self._success.clearance_m:
                    return f"came closer than {self._success.clearance_m:g} m to {name}"
        return ""

    def _note_stop(self, moment: Moment) -> None:
        within = self._success.stopped_within_m
        if within is None:
            return
        ahead = self._site.anchor_m - moment.ego_m - moment.frame.ego.length / 2
        standing = abs(moment.frame.ego.speed_mps) < STANDING_MPS
        self._stopped |= standing and -1.0 <= ahead <= within

    def _reached(self, moment: Moment, movers: dict[str, Mover]) -> bool:
        wanted = self._success
        if not moment.triggered:
            return False
        if wanted.passed_m is not None and moment.ego_m < self._site.anchor_m + wanted.passed_m:
            return False
        if wanted.overtaken_by is not None:
            station = movers[wanted.overtaken_by].route_m
            if station is None or station < moment.ego_m + moment.frame.ego.length:
                return False
        if wanted.parked is not None:
            inside = is_parked(moment.frame.ego, wanted.parked, self.scene, self._site)
            self._parked_s = self._parked_s + moment.dt if inside else 0.0
            return self._parked_s >= PARKED_FOR_S
        return True


def clearance(ego: EgoState, mover: Mover) -> float:
    """Distance between the two bodies, m; 0 when they overlap."""
    x, y, yaw = mover.pose
    if math.hypot(x - ego.x, y - ego.y) > 15.0:
        return 15.0
    mine = box_corners(ego.x, ego.y, ego.yaw, ego.length, ego.width).astype(np.float32)
    other = box_corners(x, y, yaw, mover.length, mover.width).astype(np.float32)
    if cv2.intersectConvexConvex(mine, other)[0] > 0.0:
        return 0.0
    gaps = [
        -cv2.pointPolygonTest(hull, (float(px), float(py)), True)
        for hull, points in ((mine, other), (other, mine))
        for px, py in points
    ]
    return max(0.0, min(gaps))


def bay_pose(bay: Bay, scene: Scene, site: Site) -> np.ndarray:
    """(3,) centre and heading of a parking bay, map frame."""
    station = site.anchor_m + bay.along_m
    x, y = scene.route.sample(np.array(station))
    heading = float(scene.route.headings[min(round(station), len(scene.route) - 1)])
    side = bay.lateral_m
    return np.array([x - side * math.sin(heading), y + side * math.cos(heading), heading + bay.yaw])


def is_parked(ego: EgoState, bay: Bay, scene: Scene, site: Site) -> bool:
    """Whether the ego stands with all corners inside a bay, the right way round."""
    pose = bay_pose(bay, scene, site)
    corners = to_ego(box_corners(ego.x, ego.y, ego.yaw, ego.length, ego.width), pose)
    inside = np.abs(corners) <= np.array([bay.length_m, bay.width_m]) / 2
    turned = abs(wrap_angle(ego.yaw - pose[2]))
    return bool(inside.all()) and turned < PARKED_YAW_RAD and abs(ego.speed_mps) < STANDING_MPS
