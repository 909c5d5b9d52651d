"""ROS node: brings the lifecycle nodes up in order, says what it waits for, takes them down.

A thin shell over :class:`wm_planner.manager.BringUp`. It starts no process: the node table does. A
node that was restarted is brought up again; one that somebody deactivated is left alone.
"""

from __future__ import annotations

import sys
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from pydantic import BaseModel, ConfigDict, Field
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from rclpy.task import Future

from wm_perception.diagnostics import DiagnosticsPublisher
from wm_perception.node_tools import create_node, parameters, run, steady_timer, subscription
from wm_planner.manager import ACTIVE, BringUp, Phase

LOOK_S = 0.1
REPORT_S = 0.5
STATE_PERIOD_S = 0.5
# An answer can be lost while two nodes are only just finding each other: ask again after this, s.
STATE_PATIENCE_S = 2.0
LOST_S = 1.0  # a state that was asked for so much later than a transition comes after it
PATIENCE_S = 5.0  # with which a start is no news
FAREWELL_S = 2.0  # longest that taking the graph down may take
GRAPH_STATUS = "wm_manager: graph"  # the status in /diagnostics that says how far the graph is


class ManagerConfig(BaseModel):
    """Parameters of ``manager_node``; unknown ones are errors."""

    model_config = ConfigDict(extra="forbid")

    nodes: tuple[str, ...] = Field(
        ("wm_perception", "wm_planner", "wm_gate"),
        min_length=1,
        description="lifecycle nodes in the order of activation",
    )
    role_name: str = Field("ego_vehicle", min_length=1, description="of the ego vehicle")


class _Remote:
    """The lifecycle services of one node."""

    def __init__(self, node, name: str):
        self.states: Client = node.create_client(GetState, f"{name}/get_state")
        self.changes: Client = node.create_client(ChangeState, f"{name}/change_state")
        self.state: Future | None = None
        self.change: Future | None = None
        self.asked_s = self.changed_s = 0.0

    @property
    def present(self) -> bool:
        return bool(self.states.service_is_ready() and self.changes.service_is_ready())

    def ask_state(self, now_s: float) -> None:
        self.state, self.asked_s = self.states.call_async(GetState.Request()), now_s

    def ask_change(self, transition: str, now_s: float) -> None:
        request = ChangeState.Request(transition=Transition(label=transition))
        self.change, self.changed_s = self.changes.call_async(request), now_s

    def forget(self) -> None:
        for client, future in ((self.states, self.state), (self.changes, self.change)):
            if future is not None:
                client.remove_pending_request(future)
        self.state = self.change = None


class ManagerNode:
    """Services of others in, requests out."""

    def __init__(self):
        self.node = create_node("wm_manager")
        self.config = parameters(self.node, ManagerConfig)
        self._log = self.node.get_logger()
        self._bring_up = BringUp.of(self.config.nodes)
        self._remotes = {name: _Remote(self.node, name) for name in self.config.nodes}
        self._reasons: dict[str, str] = {}
        self._phase: Phase | None = None
        self._since_s = time.monotonic()
        role = self.config.role_name
        self._diagnostics = DiagnosticsPublisher(self.node, "wm_manager", role)
        subscription(self.node, "diagnostics", role, self._on_diagnostics, depth=100)
        steady_timer(self.node, LOOK_S, self._look)
        steady_timer(self.node, REPORT_S, self._report)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        """Why a node refuses: the answer of its service does not say."""
        for status in message.status:
            name, _, part = status.name.partition(": ")
            if part == "lifecycle" and name in self._remotes:
                bad = status.level == DiagnosticStatus.ERROR
                self._reasons[name] = status.message if bad else ""

    def _look(self) -> None:
        now_s = time.monotonic()
        for name, remote in self._remotes.items():
            self._read(name, remote, now_s)
        for name, transition in self._bring_up.requests(now_s, self._twins()):
            self._remotes[name].ask_change(transition, now_s)
        phase = self._bring_up.phase
        if phase != self._phase:
            self._phase, self._since_s = phase, now_s
            self._report()
            if phase == Phase.ACTIVE:
                self._log.info("all nodes are active")

    def _read(self, name: str, remote: _Remote, now_s: float) -> None:
        """What a node has answered since the last look; ask it for its state again."""
        if not remote.present:
            remote.forget()
            self._bring_up.lost(name)
            return
        change = remote.change
        if change is not None and change.done():
            answer = change.result()
            remote.forget()  # a state that was asked for before is no news
            self._bring_up.answered(name, answer is not None and answer.success, now_s)
        state = remote.state
        if state is not None and state.done():
            answer, remote.state = state.result(), None
            if answer is not None:
                self._bring_up.saw(name, answer.current_state.label)
            # A node that answers is not within a transition. So one that was asked for before has
            # been made, or the request or its answer was lost.
            if remote.change is not None and remote.asked_s > remote.changed_s + LOST_S:
                remote.forget()
                self._bring_up.answered(name, False, now_s)
        if now_s - remote.asked_s > (STATE_PATIENCE_S if remote.state else STATE_PERIOD_S):
            remote.ask_state(now_s)

    def _twins(self) -> list[str]:
        """Nodes of which there are two: whatever is asked, both would answer."""
        count = self.node.count_services
        return [
            name for name, remote in self._remotes.items() if count(remote.changes.service_name) > 1
        ]

    def _report(self) -> None:
        phase, members = self._bring_up.phase, self._bring_up.members.values()
        twins = [f"two nodes are called {name}: end one of them" for name in self._twins()]
        waiting = twins + self._bring_up.waiting_for(self._reasons)
        # Until then it is a start like any other.
        late = phase == Phase.REFUSED or time.monotonic() - self._since_s > PATIENCE_S
        values = {
            "phase": phase.value,
            "waiting for": "; ".join(waiting),
            **{member.name: member.state or "not there" for member in members},
        }
        self._diagnostics.add("graph", waiting if late else [], values=values)
        self._diagnostics.send()

    def close(self) -> None:
        """Take the graph down in reverse order, as far as it is still there."""
        executor = SingleThreadedExecutor()
        executor.add_node(self.node)
        end_s = time.monotonic() + FAREWELL_S
        for name in reversed(self.config.nodes):
            remote = self._remotes[name]
            if self._bring_up.members[name].state != ACTIVE or not remote.present:
                continue
            remote.ask_change("deactivate", time.monotonic())
            while remote.present and not remote.change.done() and time.monotonic() < end_s:
                executor.spin_once(timeout_sec=LOOK_S)
        executor.shutdown()


def main(args: list[str] | None = None) -> int:
    """Entry point of ``manager_node``."""
    return run(ManagerNode, args)


if __name__ == "__main__":
    sys.exit(main())
