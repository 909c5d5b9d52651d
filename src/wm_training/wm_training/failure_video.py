"""Pictures of how a drive ended: the last seconds are kept, and drawn when they are wanted."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import cv2
import numpy as np

from wm_perception.conventions import to_map
from wm_perception.frame import SceneFrame
from wm_perception.scene import Scene
from wm_training.pictures import Imagination, Video, compose
from wm_training.scoring import RouteResult

SECONDS = 8.0
EVERY = 2  # frames a picture
SCALE = 0.75
CODEC = "vp09"  # what browsers play


class DriveTail:
    """Keeps what the pictures of a drive's last seconds are drawn from; costs no drawing.

    Args:
        frame_dt: s between frames.
    """

    def __init__(self, frame_dt: float):
        self._dt = frame_dt
        self._kept: deque[tuple[SceneFrame, np.ndarray | None, Imagination | None, float]] = deque(
            maxlen=round(SECONDS / (frame_dt * EVERY))
        )
        self._count = 0
        self._scene: Scene | None = None

    def watch(self, scene: Scene, frame: SceneFrame, driver, scorer) -> None:
        """Keep a frame; see ``watch`` of :func:`wm_training.evaluation.drive_route`."""
        self._scene = scene
        self._count += 1
        if self._count % EVERY == 0:
            return
        observation, plan = getattr(driver, "observation", None), getattr(driver, "plan", None)
        mask = None if observation is None else np.array(observation.bev)
        imagination = None
        if plan is not None and observation is not None:
            futures = to_map(plan.candidates, observation.pose).astype(np.float32)
            imagination = Imagination(futures, np.array(plan.costs), int(plan.chosen))
        self._kept.append((frame, mask, imagination, scorer.route_completion))

    def save(self, path: Path, last: SceneFrame, result: RouteResult) -> None:
        """Draw and write the video; nothing when no frame was driven.

        Args:
            path: mp4 file.
            last: the frame that ended it, which nobody drove any more.
            result: what the judge says.

        Raises:
            UserError: the video cannot be written.
        """
        scene = self._scene
        if scene is None:
            return
        mask, imagination = self._kept[-1][1:3]
        ending = (last, mask, imagination, result.route_completion)
        video = Video(path, 1.0 / (self._dt * EVERY), CODEC)
        for frame, mask, imagination, done in [*self._kept, *[ending] * 5]:
            lines = [
                f"{result.town}  route {result.route}",
                f"seed {result.seed}",
                result.scenario[:22],
                result.fault[:22],
                f"{done:5.1f} % done",
                f"{frame.ego.speed_mps * 3.6:5.1f} km/h",
                f"steer {frame.ego.command.steer:+.2f}",
                f"accel {frame.ego.command.accel:+.2f}",
                result.outcome.upper() if frame is last else "",
            ]
            picture = compose(scene, frame, mask, imagination, lines)
            video.add(cv2.resize(picture, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_AREA))
        video.close()


def is_failure(result: RouteResult) -> bool:
    """Whether a drive is worth a look: not completed, or not without a fault."""
    return not result.bench2drive_success or result.scenario_success is False


def video_name(driver: str, result: RouteResult, number: int) -> str:
    """File name of a drive's video; ``number`` is that of its task, which makes it unique."""
    parts = [driver, f"{number:03d}", result.town, f"route{result.route}", f"seed{result.seed}"]
    return "-".join([*parts, *filter(None, [result.scenario]), result.outcome]) + ".mp4"
