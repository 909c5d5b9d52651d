"""How an actor of a scenario moves: kinematic steps along a path, one after another.

A vehicle here follows its path exactly and changes its speed within the step's limits; what it
cannot know (the ego, the trigger) comes in by a :class:`Moment`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from wm_perception.conventions import to_map
from wm_perception.frame import EgoState, Objects, SceneFrame
from wm_perception.scene import leader, stop_distance, touches
from wm_sim.scenarios.actor_spec import ActorSpec, Brake, Drive, Pace, RoutePath, Step, Wait
from wm_sim.scenarios.tracks import Track

COMFORT_MPS2 = 3.0  # braking for somebody ahead, or for a light
HARDEST_STOP_MPS2 = 6.0  # a light that asks for more is passed
STANDSTILL_GAP_M = 3.0
SIGHT_M = 30.0
STANDING_MPS, BLOCKED_M = 0.5, 1.0  # nobody walks or drives into what stands this close ahead
ITSELF_M = 0.3  # a body this near to its own centre is its own
PACE_GAIN = 0.5  # 1/s, of the distance error
PACE_ACCEL_MPS2 = 4.0
YIELDED_MPS, YIELDED_M = 2.5, 0.8  # the ego has given way: so slow, or so far right of its lane


@dataclass(frozen=True)
class Moment:
    """What an actor knows of the world in a frame.

    Attributes:
        frame: the frame.
        ego_m, ego_lateral_m: station and offset of the ego on its route.
        triggered: the scenario's trigger has fired.
        dt: s to the next frame.
    """

    frame: SceneFrame
    ego_m: float
    ego_lateral_m: float
    triggered: bool
    dt: float

    @property
    def yielded(self) -> bool:
        """The ego has made room."""
        slow = self.triggered and self.frame.ego.speed_mps < YIELDED_MPS
        return slow or self.ego_lateral_m < -YIELDED_M


class Mover:
    """One actor under way.

    Args:
        spec: what it does.
        track: the line it follows.
        length, width: of its body, m.
    """

    def __init__(self, spec: ActorSpec, track: Track, length: float, width: float) -> None:
        self.spec, self.track = spec, track
        self.length, self.width = length, width
        self.station_m, self.lateral_m, self.speed_mps = track.start_m, track.offset_m, 0.0
        self.done = False  # reached the end of its path
        self._struck = False
        self._step = 0
        self._in_step_s = 0.0
        self._from_lateral_m = self.lateral_m
        self._slide_yaw = 0.0

    @property
    def pose(self) -> tuple[float, float, float]:
        """x, y, yaw of the body's centre."""
        path = self.track.path
        x, y = path.sample(np.array(self.station_m))
        index = min(max(round(self.station_m), 0), len(path) - 1)
        heading = float(path.headings[index])
        x, y = to_map(np.array([0.0, self.lateral_m]), np.array([x, y, heading]))
        return float(x), float(y), heading + self._slide_yaw + self.track.yaw

    @property
    def route_m(self) -> float | None:
        """Station on the ego's route, None on another path."""
        if not self.track.route_sign:
            return None
        return self.track.route_zero_m + self.track.route_sign * self.station_m

    @property
    def past_meeting(self) -> bool:
        """The whole body has passed the place where its path meets the route."""
        if self.track.meeting_m is None:
            return True
        return self.station_m - self.length / 2 > self.track.meeting_m

    def time_to_meeting(self) -> float:
        """Seconds that it needs to the meeting point from now on, starting its next drive step."""
        drive = next((s for s in self.spec.steps[self._step :] if isinstance(s, Drive)), None)
        if drive is None or self.track.meeting_m is None:
            return math.inf
        distance = self.track.meeting_m - self.station_m
        return travel_time(distance, self.speed_mps, drive.speed_mps, drive.accel_mps2)

    def strike(self) -> None:
        """The ego has hit it: it stays where it is."""
        self._struck, self.speed_mps = True, 0.0

    def advance(self, moment: Moment) -> None:
        """Move on by one frame."""
        if self._struck:
            return
        while (step := self._current()) is not None and self._ended(step, moment):
            self._step += 1
            self._in_step_s, self._from_lateral_m = 0.0, self.lateral_m
        self.speed_mps = 0.0 if step is None else self._speed(step, moment)
        before = self.lateral_m
        self._slide(step)
        self._in_step_s += moment.dt
        travelled = self.speed_mps * moment.dt
        self.station_m += travelled
        across = self.lateral_m - before
        self._slide_yaw = math.atan2(across, travelled) if travelled > 0.05 else 0.0
        end = self.track.path.length_m
        if self.station_m >= end:
            self.station_m, self.speed_mps, self.done = end, 0.0, True

    def _current(self) -> Step | None:
        steps = self.spec.steps
        return steps[self._step] if self._step < len(steps) else None

    def _ended(self, step: Step, moment: Moment) -> bool:
        if isinstance(step, Brake) and self.speed_mps <= step.to_mps + 1e-6:
            return True
        if step.until == "trigger" and moment.triggered:
            return True
        if step.until == "yielded" and moment.yielded:
            return True
        if step.for_s is not None and self._in_step_s >= step.for_s - 1e-9:
            return True
        ahead = self._ahead_of_ego(moment) if step.until_ahead_m is not None else None
        return ahead is not None and step.until_ahead_m is not None and ahead >= step.until_ahead_m

    def _ahead_of_ego(self, moment: Moment) -> float | None:
        """From the ego's centre to the actor's, m along the route; None on another path."""
        return None if self.route_m is None else self.route_m - moment.ego_m

    def _slide(self, step: Step | None) -> None:
        if step is None or step.lateral_m is None:
            return
        share = min(1.0, self._in_step_s / step.over_s)
        # minimum jerk (Flash, Hogan 1985)
        smooth = share**3 * (10.0 - 15.0 * share + 6.0 * share**2)
        target = step.lateral_m
        self.lateral_m = self._from_lateral_m + smooth * (target - self._from_lateral_m)

    def _speed(self, step: Step, moment: Moment) -> float:
        if isinstance(step, Wait):
            return 0.0
        if isinstance(step, Brake):
            return max(step.to_mps, self.speed_mps - step.decel_mps2 * moment.dt)
        if isinstance(step, Pace):
            return self._pace(step, moment)
        assert isinstance(step, Drive)
        change = step.accel_mps2 * moment.dt
        wanted = min(max(step.speed_mps, self.speed_mps - change), self.speed_mps + change)
        return max(0.0, min(wanted, self._safe_speed(step, moment)))

    def _pace(self, step: Pace, moment: Moment) -> float:
        ahead = self._ahead_of_ego(moment)
        assert ahead is not None, "only actors on the route pace the ego"
        wanted = moment.frame.ego.speed_mps + PACE_GAIN * (step.ahead_m - ahead)
        change = PACE_ACCEL_MPS2 * moment.dt
        wanted = min(max(wanted, self.speed_mps - change), self.speed_mps + change)
        return min(max(wanted, 0.0), step.max_speed_mps)

    def _safe_speed(self, step: Drive, moment: Moment) -> float:
        """The speed from which it can still stop comfortably for what is ahead (Gipps 1981)."""
        x, y, yaw = self.pose
        me = EgoState(x, y, yaw, self.speed_mps, length=self.length, width=self.width)
        others = moment.frame.objects + _as_object(moment.frame.ego)
        others = others[np.hypot(*(others.poses[:, :2] - (x, y)).T) > ITSELF_M]
        standing = others[np.hypot(*others.velocities.T) < STANDING_MPS]
        if touches(me, standing, ahead_m=BLOCKED_M):
            return 0.0
        room = math.inf
        if step.keeps_gap and abs(self.lateral_m) < 1.0:
            ahead = leader(self.track.scene, me, others, self.station_m, SIGHT_M)
            if ahead is not None:
                brake_way = ahead.speed_mps**2 / (2 * COMFORT_MPS2)
                room = ahead.gap_m - STANDSTILL_GAP_M + brake_way
        if step.heeds_lights and isinstance(self.spec.path, RoutePath):
            seen = replace(moment.frame, ego=me)
            stop = stop_distance(self.track.scene, seen, self.station_m)
            if stop is not None and self.speed_mps**2 / (2 * HARDEST_STOP_MPS2) < stop:
                room = min(room, stop - 1.0)
        return math.sqrt(2 * COMFORT_MPS2 * max(room, 0.0))


def _as_object(ego: EgoState) -> Objects:
    heading = np.array([[math.cos(ego.yaw), math.sin(ego.yaw)]])
    size = np.array([[ego.length, ego.width]])
    return Objects(np.zeros(1, np.int64), ego.pose[None], ego.speed_mps * heading, size)


def travel_time(distance: float, speed: float, target: float, accel: float) -> float:
    """Seconds for a distance (m) from a speed that changes to ``target`` at a constant rate."""
    if distance <= 0.0:
        return 0.0
    change_s = abs(target - speed) / accel
    change_m = (speed + target) / 2 * change_s
    if change_m >= distance:
        signed = math.copysign(accel, target - speed)
        return (math.sqrt(max(speed**2 + 2 * signed * distance, 0.0)) - speed) / signed
    return change_s + (distance - change_m) / target if target > 0 else math.inf
