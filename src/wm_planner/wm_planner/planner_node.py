"""ROS node: latents in, control proposals out, one for one; imagination for whoever watches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter

from wm_dynamics.errors import UserError
from wm_dynamics.threads import limit_threads
from wm_dynamics.weights import read_weights
from wm_msgs.msg import ControlProposal, Latent
from wm_perception.endpoints import Essential
from wm_perception.latency import Latencies
from wm_perception.lifecycle import ManagedNode
from wm_perception.messages import stamp_ns
from wm_perception.node_tools import (
    ROS_PARAMETERS,
    header,
    leave,
    publisher,
    run,
    sent_time_ns,
    subscription,
)
from wm_planner import markers
from wm_planner.driver import make_backend, make_planner
from wm_planner.fallback import Fallback
from wm_planner.node_config import PlannerNodeConfig
from wm_planner.parameters import node_parameters, updated
from wm_planner.paths import model_path
from wm_planner.plan import Plan
from wm_planner.planner_messages import (
    Situation,
    proposal_message,
    read_latent,
    statistics_message,
)

# What was built with them stays.
LOADED = ("model", "driver", "role_name", "threads", "backend", "precision")
KINDS = (
    "refused",
    "deadline",
    "engine",
    "not_feasible",
    "doubt",
)  # of problems that are counted
ESSENTIAL = Essential(inputs=("latent",), outputs=("control_proposal",))
WARM_UP_PLANS = 3
REFERENCE_POINTS = 51
SHOWN = ("imagined_rollouts", "markers", "plan")  # published only when somebody subscribes


class PlannerNode:
    """Planner and its ROS ends: the work of a managed node."""

    def __init__(self, host: ManagedNode):
        """Load the model and open the topics.

        Raises:
            UserError: parameters or model cannot be used.
        """
        self._host, self.node = host, host.node
        self.config = config = node_parameters(self.node, PlannerNodeConfig)
        folder = model_path(config.model)
        model = read_weights(folder)
        self._measured = model.metadata.get("metrics", {})
        self._backend = make_backend(config.driver, model, config, config.threads, folder)
        self._planner = make_planner(config.driver, self._backend, folder, config)
        limit_threads(config.threads)
        self._fallback = Fallback(config.frame_dt / self._backend.dt)
        self._warm_up()
        self.role = role = config.role_name
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
        self._problems: dict[str, int] = dict.fromkeys(KINDS, 0)
        self._texts: dict[str, str] = {}
        self._refused_because = ""
        self._latency = Latencies()
        self._shown = dict.fromkeys(SHOWN, 0)  # how many of each were built
        subscription(self.node, "latent", role, self._on_latent)
        self.node.get_logger().info(
            f"driver {config.driver}, model {config.model} ({self._backend.hash}), "
            f"imagined by {self._backend.name}, ready"
        )

    def activate(self) -> None:
        """The next latent begins a new plan, by the parameters as they are now.

        Raises:
            UserError: a parameter has been set since configure that cannot be changed any more.
        """
        self._use(node_parameters(self.node, PlannerNodeConfig))
        self._planner.reset()
        self._fallback.reset()
        self.node.add_on_set_parameters_callback(self._on_parameters)

    def deactivate(self) -> None:
        """Nothing to say: the gate brakes on silence."""
        self.node.remove_on_set_parameters_callback(self._on_parameters)

    def _on_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        """Weights, margins, risk and the like may change while driving; all or nothing."""
        given = {
            change.name: change.value for change in changes if change.name not in ROS_PARAMETERS
        }
        try:
            self._use(updated(self.config, given))
        except UserError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _use(self, config: PlannerNodeConfig) -> None:
        """Plan by ``config`` from the next latent on.

        Raises:
            UserError: a parameter differs that cannot change any more.
        """
        for name in LOADED:
            if getattr(config, name) != getattr(self.config, name):
                raise UserError(f"{name} cannot change now; clean the node up and configure it")
        self._planner.configure(config)
        self.config = config

    def _warm_up(self) -> None:
        """Plan on nothing, so that the first real plan is not the slow one."""
        ahead = np.arange(REFERENCE_POINTS, dtype=np.float32)
        reference = np.stack([ahead, np.zeros_like(ahead)], -1)
        for _ in range(WARM_UP_PLANS):
            self._planner.plan(self._backend.initial(), np.zeros(5, np.float32), reference)
        self._planner.reset()

    def _on_latent(self, message: Latent, info: Mapping[str, int]) -> None:
        if not self._host.active:
            return
        sent = sent_time_ns(info)
        self._latency.add("latent_to_received", sent)
        start = time.perf_counter()
        try:
            situation = read_latent(message, self._backend)
        except ValueError as error:
            # No proposal: the gate brakes on silence.
            self._refused_because = str(error)
            self._count("refused", self._refused_because)
            return
        self._refused_because = ""
        plan, stop = self._plan(situation, message)
        if plan is None:  # nothing to fall back on: the gate stops on what is no number
            self._publishers["control_proposal"].publish(
                ControlProposal(header=message.header, steer=math.nan, accel=math.nan)
            )
            return
        self._propose(plan, message, stop)
        self._latency.add("latent_to_proposal", sent)
        self._report_plan(plan, 1e3 * (time.perf_counter() - start), situation.pose, message)

    def _plan(self, situation: Situation, message: Latent) -> tuple[Plan | None, str]:
        """The plan for a latent, and why a stop is requested besides, if it is.

        A tick on which the engine fails is discarded: the last good plan goes on, for a while.
        """
        if message.reset:
            self._planner.reset()
            self._fallback.reset()
        try:
            plan = self._planner.plan(
                situation.latent,
                situation.ego_state,
                situation.reference,
                message.arrived,
                situation.novelty,
                message.degraded,
            )
        except Exception as error:  # an engine may raise anything, and the node must live
            failure = f"{type(error).__name__}: {error}"
        else:
            if plan.usable:
                self._fallback.good(plan)
                return plan, message.stop
            failure = plan.reason
        self._count("engine", failure)
        held, stop = self._fallback.failed(failure)
        return held, stop or message.stop

    def _propose(self, plan: Plan, message: Latent, stop: str) -> None:
        """Exactly one proposal per latent."""
        if not plan.feasible:
            self._count("not_feasible", plan.reason)
        if plan.doubt.tripped:
            self._count("doubt", f"level {int(plan.doubt.level)}, {plan.doubt.reason}")
        stamp = stamp_ns(message.header.stamp)
        self._publishers["control_proposal"].publish(proposal_message(plan, stamp, stop))

    def _report_plan(self, plan: Plan, plan_ms: float, pose: np.ndarray, message: Latent) -> None:
        stamp, dt = stamp_ns(message.header.stamp), self._backend.dt
        statistics = statistics_message(plan, plan_ms, self.config.deadline_ms, stamp, dt)
        self._publishers["plan_statistics"].publish(statistics)
        if statistics.deadline_missed:
            deadline_ms = self.config.deadline_ms
            self._count("deadline", f"planning took {plan_ms:.0f} ms, more than {deadline_ms:g}")
        if not plan.finite:
            return
        at = header(stamp)
        self._show("imagined_rollouts", lambda: markers.rollouts_message(plan, pose, dt, at))
        self._show("markers", lambda: markers.marker_array(plan, pose, self._errors(plan), at))
        self._show("plan", lambda: markers.path_message(plan, pose, dt, at))

    def _errors(self, plan: Plan) -> np.ndarray:
        return markers.path_errors(self._measured, len(plan.path), self._backend.dt)

    def _show(self, key: str, build: Callable[[], Any]) -> None:
        """Build and publish only what somebody looks at."""
        if self._publishers[key].get_subscription_count() > 0:
            self._shown[key] += 1
            self._publishers[key].publish(build())

    def _count(self, kind: str, text: str) -> None:
        self._problems[kind] += 1
        self._texts[kind] = text

    def report(self) -> None:
        """What went wrong with latents and plans."""
        errors = [self._refused_because] if self._refused_because else []
        self._host.diagnostics.add("planner", errors, self._problems, self._texts)
        engine, notice = self._backend.name, self._backend.notice
        self._host.diagnostics.add(
            "engine", [], {"fallback": int(bool(notice))}, {"fallback": notice}, {"engine": engine}
        )
        self._host.diagnostics.add("shown", [], values=self._shown)
        self._host.diagnostics.add("latency", [], values=self._latency.values())


def main(args: list[str] | None = None) -> NoReturn:
    """Entry point of ``planner_node``."""
    leave(run(lambda: ManagedNode("wm_planner", PlannerNode, ESSENTIAL), args))


if __name__ == "__main__":
    main()
