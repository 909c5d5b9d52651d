"""ROS node: latents in, control proposals out, one for one; imagination for whoever watches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import torch

from wm_dynamics.backend import TorchBackend
from wm_dynamics.checkpoint import load_checkpoint
from wm_dynamics.rollout import LatentState
from wm_msgs.msg import ControlProposal, Latent, PlanStatistics
from wm_perception.conventions import yaw_from_quaternion
from wm_perception.diagnostics import DiagnosticsPublisher
from wm_perception.messages import stamp_ns
from wm_perception.node_tools import (
    create_node,
    header,
    leave,
    publisher,
    run,
    steady_timer,
    subscription,
)
from wm_planner import markers
from wm_planner.driver import make_backend, make_planner
from wm_planner.node_config import PlannerNodeConfig
from wm_planner.parameters import node_parameters
from wm_planner.paths import model_path
from wm_planner.planner import Plan
from wm_planner.planner_config import PlannerConfig

REPORT_S = 1.0
WARM_UP_PLANS = 3
REFERENCE_POINTS = 51
SHOWN = ("imagined_rollouts", "markers", "plan")  # published only when somebody subscribes


@dataclass(frozen=True)
class Situation:
    """A checked latent message as arrays.

    Attributes:
        latent: belief of the model.
        ego_state: (5,) scaled proprioception.
        reference: (M, 2) route ahead, ego frame, m.
        pose: (3,) ego in the map frame.
    """

    latent: LatentState
    ego_state: np.ndarray
    reference: np.ndarray
    pose: np.ndarray


def read_latent(message: Latent, backend: TorchBackend) -> Situation:
    """Check a latent against the model that is to imagine from it.

    Raises:
        ValueError: another model made it, or its sizes or numbers cannot be used.
    """
    config = backend.model.config
    if message.model_hash != backend.hash:
        raise ValueError(
            f"the latent was made by model {message.model_hash or '(none)'}, this planner has "
            f"{backend.hash}; start perception and planner with the same model and driver"
        )
    values = [message.deter, message.stoch, message.state, message.route_x, message.route_y]
    deter, stoch, state, route_x, route_y = (np.asarray(v, np.float32) for v in values)
    if (len(deter), len(stoch), len(state)) != (config.belief, config.stoch, config.state_dim):
        raise ValueError(
            f"the latent has sizes {len(deter)}, {len(stoch)}, {len(state)}, the model "
            f"{config.belief}, {config.stoch}, {config.state_dim}"
        )
    if len(route_x) != len(route_y) or len(route_x) < 2:
        raise ValueError(f"the latent's route has {len(route_x)} x and {len(route_y)} y values")
    p, q = message.pose.position, message.pose.orientation
    pose = np.array([p.x, p.y, yaw_from_quaternion(q.x, q.y, q.z, q.w)])
    for name, array in (("latent", deter), ("latent", stoch), ("state", state), ("pose", pose)):
        if not np.isfinite(array).all():
            raise ValueError(f"the {name} in the latent message is not finite")
    reference = np.stack([route_x, route_y], -1)
    if not np.isfinite(reference).all():
        raise ValueError("the route in the latent message is not finite")
    latent = LatentState.from_arrays(deter, stoch, config.stoch_classes, config.memory_shape)
    return Situation(latent, state, reference, pose)


def statistics_message(plan: Plan, plan_ms: float, config: PlannerConfig) -> PlanStatistics:
    """Figures of one planning cycle; the header is the caller's."""
    return PlanStatistics(
        plan_ms=plan_ms,
        deadline_missed=plan_ms > config.deadline_ms,
        candidates=len(plan.costs),
        iterations=config.iterations,
        cost=float(plan.costs[plan.chosen]),
        disagreement=float(plan.disagreement[plan.chosen]),
        term_names=list(plan.terms),
        term_costs=[float(cost) for cost in plan.terms.values()],
    )


class PlannerNode:
    """Planner and its ROS ends."""

    def __init__(self):
        self.node = create_node("wm_planner")
        self.config = config = node_parameters(self.node, PlannerNodeConfig)
        torch.set_num_threads(config.threads)
        folder = model_path(config.model)
        self._backend = make_backend(config.driver, load_checkpoint(folder))
        self._planner = make_planner(config.driver, self._backend, folder, config)
        self._warm_up()
        role = config.role_name
        self._publishers = {
            key: publisher(self.node, key, role)
            for key in (
                "control_proposal",
                "plan_statistics",
                "imagined_rollouts",
                "markers",
                "plan",
            )
        }
        self._diagnostics = DiagnosticsPublisher(self.node, "wm_planner", role)
        self._problems: dict[str, int] = {"refused": 0, "deadline": 0, "not_finite": 0}
        self._texts: dict[str, str] = {}
        self._refused_because = ""
        self._subscription = subscription(self.node, "latent", role, self._on_latent)
        self._timer = steady_timer(self.node, REPORT_S, self._report)
        self.node.get_logger().info(
            f"driver {config.driver}, model {config.model} ({self._backend.hash}), ready"
        )

    def _warm_up(self) -> None:
        """Plan on nothing, so that the first real plan is not the slow one."""
        ahead = np.arange(REFERENCE_POINTS, dtype=np.float32)
        reference = np.stack([ahead, np.zeros_like(ahead)], -1)
        for _ in range(WARM_UP_PLANS):
            self._planner.plan(self._backend.initial(), np.zeros(5, np.float32), reference)
        self._planner.reset()

    def _on_latent(self, message: Latent) -> None:
        start = time.perf_counter()
        try:
            situation = read_latent(message, self._backend)
        except ValueError as error:
            # No proposal: the gate brakes on silence.
            self._refused_because = str(error)
            self._count("refused", self._refused_because)
            return
        self._refused_because = ""
        if message.reset:
            self._planner.reset()
        plan = self._planner.plan(
            situation.latent, situation.ego_state, situation.reference, message.arrived
        )
        self._propose(plan, message)
        self._report_plan(plan, 1e3 * (time.perf_counter() - start), situation.pose, message)

    def _propose(self, plan: Plan, message: Latent) -> None:
        """Exactly one proposal per latent; one that is not finite tells the gate to stop."""
        finite = plan.finite and bool(np.isfinite(plan.actions).all())
        if not finite:
            self._planner.reset()
            self._count("not_finite", "imagination returned values that are not finite")
        self._publishers["control_proposal"].publish(
            ControlProposal(
                header=header(stamp_ns(message.header.stamp)),
                steer=plan.command.steer if finite else math.nan,
                accel=plan.command.accel if finite else math.nan,
            )
        )

    def _report_plan(self, plan: Plan, plan_ms: float, pose: np.ndarray, message: Latent) -> None:
        stamp = header(stamp_ns(message.header.stamp))
        statistics = statistics_message(plan, plan_ms, self.config)
        statistics.header = stamp
        self._publishers["plan_statistics"].publish(statistics)
        if statistics.deadline_missed:
            deadline_ms = self.config.deadline_ms
            self._count("deadline", f"planning took {plan_ms:.0f} ms, more than {deadline_ms:g}")
        if not plan.finite:
            return
        dt = self._backend.dt
        self._show("imagined_rollouts", lambda: markers.rollouts_message(plan, pose, dt, stamp))
        self._show("markers", lambda: markers.marker_array(plan, pose, stamp))
        self._show("plan", lambda: markers.path_message(plan, pose, stamp))

    def _show(self, key: str, build: Callable[[], Any]) -> None:
        """Build and publish only what somebody looks at."""
        if self._publishers[key].get_subscription_count() > 0:
            self._publishers[key].publish(build())

    def _count(self, kind: str, text: str) -> None:
        self._problems[kind] += 1
        self._texts[kind] = text

    def _report(self) -> None:
        errors = [self._refused_because] if self._refused_because else []
        self._diagnostics.add("planner", errors, self._problems, self._texts)
        self._diagnostics.send()


def main(args: list[str] | None = None) -> NoReturn:
    """Entry point of ``planner_node``."""
    leave(run(PlannerNode, args))


if __name__ == "__main__":
    main()
