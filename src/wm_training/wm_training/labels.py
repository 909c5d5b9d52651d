"""What the world model's heads learn: quantities of each frame, from scene frames alone.

The same function labels frames of the embedded simulator and of recorded bags.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wm_dynamics.heads import LABELS
from wm_perception.camera_stream import CameraStream
from wm_perception.conventions import relative_motion
from wm_perception.frame import SceneFrame
from wm_perception.observation import Observation, Observer
from wm_perception.scene import Scene, leader, ran_red_light, stop_distance, touches

FAR_M = 40.0  # distances of absent leaders and stop lines
RED_MEMORY_S = 1.0
OFF_ROUTE_M = 5.0
LATERAL_COST = 0.05  # of reward, per metre beside the route and frame


@dataclass(frozen=True)
class LabelledFrame:
    """One frame of a training episode: what was seen, done and true.

    Attributes:
        observation: the model's input.
        motion: (3,) dx, dy, dyaw since the previous frame, in its frame (zeros on the first).
        labels: (14,) float32, in the order of ``wm_dynamics.heads.LABELS``.
        ended: a collision, or too far from the route.
    """

    observation: Observation
    motion: np.ndarray
    labels: np.ndarray
    ended: bool


def reward(progress: float, lateral: float, collision: bool, off_road: bool, red: bool) -> float:
    """Progress in metres, less what driving must not do."""
    cost = 20.0 * collision + 0.5 * off_road + 10.0 * red
    cost += LATERAL_COST * min(abs(lateral), 3.0)
    return progress - cost


class Labeller:
    """Observes and labels the frames of one scene in order."""

    def __init__(self, scene: Scene, frame_dt: float = 0.1, camera: CameraStream | None = None):
        self._scene = scene
        self._observer = Observer(scene, frame_dt, camera)
        self._before: tuple[SceneFrame, Observation] | None = None
        self._red_until_ns = -1

    def label(self, frame: SceneFrame) -> LabelledFrame:
        """Label the next frame. A jump in pose or time starts afresh."""
        observation = self._observer.observe(frame)
        station = observation.on_route.s
        motion, progress, ran_red = np.zeros(3), 0.0, False
        if self._before is not None and not observation.reset:
            frame_before, seen_before = self._before
            motion = relative_motion(frame_before.ego.pose, frame.ego.pose)
            progress = station - seen_before.on_route.s
            ran_red = ran_red_light(self._scene, frame_before, seen_before.on_route.s, station)
        if ran_red:
            self._red_until_ns = frame.stamp_ns + int(RED_MEMORY_S * 1e9)
        self._before = (frame, observation)
        has_leader, leader_gap, leader_speed = False, FAR_M, 0.0
        ahead = leader(self._scene, frame.ego, frame.objects, station)
        if ahead is not None and ahead.gap_m < FAR_M:
            has_leader, leader_gap, leader_speed = True, ahead.gap_m, ahead.speed_mps
        stop = stop_distance(self._scene, frame, station)
        has_stop = stop is not None and stop < FAR_M
        off_road = self._scene.town.is_off_road(frame.ego)
        lateral = observation.on_route.lateral
        ended = frame.collided or abs(lateral) > OFF_ROUTE_M
        labels = (
            lateral,
            observation.on_route.heading_error,
            has_leader,
            leader_gap,
            leader_speed,
            has_stop,
            stop if has_stop else FAR_M,
            touches(frame.ego, frame.objects, ahead_m=1.5, side_m=0.25),
            frame.collided,
            off_road,
            frame.stamp_ns < self._red_until_ns,
            progress,
            reward(progress, lateral, frame.collided, off_road, ran_red),
            not ended,
        )
        values = np.array(labels, np.float32)
        assert len(values) == len(LABELS)
        return LabelledFrame(observation, motion, values, ended)
