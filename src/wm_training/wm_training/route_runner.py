"""Runs routes over the live ROS graph and judges them from its topics alone.

The same scorer as in-process evaluation, fed by the same frame assembler as perception.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rclpy
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor

from wm_dynamics.errors import UserError
from wm_msgs.msg import ImaginedRollouts, PlanStatistics, SafetyState
from wm_msgs.srv import StartRoute
from wm_perception.bev import BevPainter
from wm_perception.frame import SceneFrame
from wm_perception.messages import MessageError, rgb_image
from wm_perception.node_tools import FrameInput, create_node, subscription
from wm_perception.scene import Scene
from wm_perception.sync import FrameAssembler
from wm_perception.topics import DEFAULT_ROLE, START_ROUTE_SERVICE, topic
from wm_planner.graph_watch import GraphWatch
from wm_training.evaluation import Drive
from wm_training.latency_watch import LatencyWatch
from wm_training.pictures import Imagination, Video, compose
from wm_training.scoring import RouteScorer
from wm_training.suites import RouteTask

# Wall time without a frame, or with frames but without a plan, after which a drive is given up.
SILENCE_S = 20.0
START_ATTEMPTS = 2
VIDEO_EVERY = 2  # frames per picture
QUEUE_DEPTH = 200
NS = 1_000_000_000


def futures_of(message: ImaginedRollouts) -> Imagination:
    """Imagined rollouts of a message, for drawing."""
    shape = (message.candidates, message.horizon)
    positions = np.stack([np.reshape(message.x, shape), np.reshape(message.y, shape)], -1)
    return Imagination(positions, np.array(message.cost), int(message.chosen))


@dataclass(frozen=True)
class _Judge:
    """Who scores and paints the frames of one scene."""

    scene: Scene
    scorer: RouteScorer
    painter: BevPainter


class RouteRunner:
    """Starts routes, watches the topics, scores, and draws the video.

    Attributes:
        frames: frames seen on the present route.
        graph: what the manager says of its nodes.
    """

    def __init__(
        self,
        role: str = DEFAULT_ROLE,
        video: Path | None = None,
        fps: float = 5.0,
        plans: bool = False,
    ):
        """Join the graph.

        Args:
            role: role name of the ego vehicle.
            video: mp4 to write, or None.
            fps: pictures per second of the video.
            plans: somebody plans; a drive on which nobody does is given up.
        """
        self.node = create_node("wm_route_runner")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._role, self._plans = role, plans
        self.graph = GraphWatch(self.node, role)
        self._assembler = FrameAssembler(role)
        self._video = Video(video, fps) if video else None
        skip = () if video else ("image",)
        # Nobody waits for this node in lockstep: its queues must hold what it is slow to read.
        self._input = FrameInput(self.node, role, self._feed, skip, depth=QUEUE_DEPTH)
        subscription(self.node, "plan_statistics", role, self._on_statistics)
        subscription(self.node, "safety_state", role, self._on_safety)
        self._latency = LatencyWatch(self.node, role) if plans else None
        if video:
            subscription(self.node, "imagined_rollouts", role, self._on_rollouts)
        self._start: Client = self.node.create_client(StartRoute, START_ROUTE_SERVICE)
        self._forget()

    def _forget(self) -> None:
        self._task: RouteTask | None = None  # set when its first frame is due
        self._from_ns = 0
        self._judge: _Judge | None = None
        self._image: np.ndarray | None = None
        self._imagination: Imagination | None = None
        self._safety = SafetyState()
        self._plan_ms: list[float] = []
        self._planned_s = time.monotonic()  # when somebody was last seen to plan
        self.frames = 0
        if self._latency is not None:
            self._latency.forget()

    # ------------------------------------------------------------------ topics

    def _on_statistics(self, message: PlanStatistics) -> None:
        self._planned_s = time.monotonic()
        if self._judge is not None and self._judge.scorer.outcome is None:
            self._plan_ms.append(float(message.plan_ms))

    def _on_safety(self, message: SafetyState) -> None:
        self._safety = message
        if message.state == SafetyState.NOMINAL:
            self._planned_s = time.monotonic()

    def _on_rollouts(self, message: ImaginedRollouts) -> None:
        self._imagination = futures_of(message)

    def _feed(self, key: str, message) -> None:
        if key == "image":
            try:
                self._image = rgb_image(message)
            except MessageError:
                self._image = None  # perception reports it; the video goes on without
            return
        frame = self._assembler.feed(key, message, time.monotonic())
        scene = self._assembler.scene
        if frame is None or scene is None or self._task is None or frame.stamp_ns < self._from_ns:
            return
        if self._judge is None or self._judge.scene is not scene:
            limits = self._task.time_limit_s, self._task.off_route_m
            scorer = RouteScorer(scene, *limits)
            self._judge = _Judge(scene, scorer, BevPainter(scene))
        self._score(frame, self._task, self._judge)

    def _score(self, frame: SceneFrame, task: RouteTask, judge: _Judge) -> None:
        if judge.scorer.outcome is not None:
            return
        judge.scorer.update(frame)
        self.frames += 1
        if self._video is not None and self.frames % VIDEO_EVERY == 0:
            self._video.add(self._picture(frame, task, judge))

    def _picture(self, frame: SceneFrame, task: RouteTask, judge: _Judge) -> np.ndarray:
        station = judge.scene.route.nearest_index(frame.ego.x, frame.ego.y)
        shown = SceneFrame(
            frame.stamp_ns, frame.ego, frame.objects, frame.light_states, image=self._image
        )
        plan_ms = self._plan_ms[-1] if self._plan_ms else 0.0
        lines = [
            f"{task.town}  route {task.route}",
            f"{judge.scorer.route_completion:5.1f} % done",
            f"{frame.ego.speed_mps * 3.6:5.1f} km/h",
            f"steer {frame.ego.command.steer:+.2f}",
            f"accel {frame.ego.command.accel:+.2f}",
            f"plan {plan_ms:.0f} ms",
            "gate: nominal" if not self._safety.reason else f"gate: {self._safety.reason[:18]}",
        ]
        mask = judge.painter.paint(frame, station)
        return compose(judge.scene, shown, mask, self._imagination, lines)

    # ------------------------------------------------------------------ driving

    def spin_until(self, done: Callable[[], bool], timeout_s: float, poll: Callable) -> bool:
        """Spin until ``done`` or the time is up; ``poll`` runs now and then and may raise."""
        end = time.monotonic() + timeout_s
        while not done():
            if time.monotonic() > end:
                return False
            self._executor.spin_once(timeout_sec=0.1)
            poll()
        return True

    def wait_for_simulator(self, timeout_s: float, poll: Callable) -> None:
        """Wait for the embedded bridge's service.

        Raises:
            UserError: it did not come up in time.
        """
        if not self.spin_until(self._start.service_is_ready, timeout_s, poll):
            raise UserError(
                f"the simulator did not offer {START_ROUTE_SERVICE} within {timeout_s:.0f} s; "
                "look into the bridge's log"
            )

    def run(
        self, task: RouteTask, poll: Callable[[], None], progress: Callable, start: bool = True
    ) -> Drive:
        """Drive one route to its end.

        Args:
            task: the route.
            poll: called often; raises when a node has died.
            progress: called with the percent done.
            start: ask the embedded simulator to begin it; else score the route that is driven now.

        Raises:
            UserError: the simulator refuses the route, the graph stands still, or nobody plans.
        """
        self._forget()
        self._from_ns = self._start_route(task, poll) if start else 0
        self._task = task
        seen, last = -1, time.monotonic()
        self._planned_s = last
        while self._judge is None or self._judge.scorer.outcome is None:
            self._executor.spin_once(timeout_sec=0.1)
            poll()
            if self._assembler.paused:  # somebody has stopped time, to look at it
                last = self._planned_s = time.monotonic()
            if self.frames != seen:
                seen, last = self.frames, time.monotonic()
                if self._judge is not None:
                    progress(self._judge.scorer.route_completion)
            elif time.monotonic() - last > SILENCE_S:
                raise UserError(f"no frame for {SILENCE_S:.0f} s: {self._why_silent()}")
            if self._plans and time.monotonic() - self._planned_s > SILENCE_S:
                raise UserError(
                    f"frames come, but no plan for {SILENCE_S:.0f} s: {self._why_silent()}; look "
                    "into the logs of perception and planner, then start again"
                )
        stages_ms = self._latency.times_ms() if self._latency is not None else {}
        return Drive(task.judged(self._judge.scorer), list(self._plan_ms), stages_ms)

    def _start_route(self, task: RouteTask, poll: Callable[[], None]) -> int:
        """Begin a route in the embedded simulator; the stamp its frames start from, ns."""
        world = task.world
        if not isinstance(world.weather, str):
            raise UserError("over ROS an episode begins with a preset of the weather, by name")
        request = StartRoute.Request(
            suite=task.route_suite,
            route=task.route,
            seed=task.seed,
            traffic=task.traffic,
            trucks=world.trucks,
            cyclists=world.cyclists,
            pedestrians=world.pedestrians,
            parked=world.parked,
            weather=world.weather,
            scenario=world.scenario,
            listeners=self.node.count_subscribers(topic("odometry").name(self._role)),
        )
        for _ in range(START_ATTEMPTS):
            future = self._start.call_async(request)
            if self.spin_until(future.done, SILENCE_S, poll):
                break
            # The answer of a service is lost if it does not know its client's other half yet. The
            # route then begins anew.
            self._start.remove_pending_request(future)
        else:
            raise UserError(f"the simulator did not answer {START_ROUTE_SERVICE}")
        response = future.result()
        assert response is not None, "the future is done, and a failed one raises"
        if not response.success:
            raise UserError(response.message)
        return response.stamp.sec * NS + response.stamp.nanosec - 1_000_000

    def _why_silent(self) -> str:
        missing = self._assembler.health.missing(time.monotonic())
        if missing:
            return "; ".join(missing)
        if self._plans and not self.graph.active:
            return self.graph.waiting_for
        if self._safety.reason:
            return f"the gate says: {self._safety.reason}"
        return "look into the nodes' logs"

    def close(self) -> None:
        """Finish the video and leave the graph."""
        if self._video is not None:
            self._video.close()
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown()
