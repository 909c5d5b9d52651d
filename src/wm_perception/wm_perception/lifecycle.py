"""A lifecycle node: what is configured, activated and cleaned up, and what is said when it fails.

The node itself is always there: its lifecycle services, its line in /diagnostics, its name. What it
does is a :class:`Work` that configure builds and cleanup forgets, so whatever a constructor raises
leaves no half of a node behind, and a second configure begins anew.

    unconfigured --configure--> inactive --activate--> active
                 <--cleanup----          <--deactivate

Topics exist from configure on, so that the middleware can match them; :meth:`Work.activate` comes
only once they are (:mod:`wm_perception.endpoints`). A transition that fails leaves the state as it
was, and the reason goes to the log and to /diagnostics.
"""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable
from typing import Protocol

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from wm_dynamics.errors import UserError
from wm_perception.diagnostics import DiagnosticsPublisher
from wm_perception.endpoints import Essential, problems
from wm_perception.node_tools import AUTOSTART, steady_timer

REPORT_S = 1.0
# Topics of a graph that is just starting are not all matched yet: refusing to be activated for that
# long is not worth a line in the log.
STARTING_S = 2.0
LOOK_S = 0.25  # between two looks at the graph: whoever else is there is known within a second
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
ERROR = TransitionCallbackReturn.ERROR


class Work(Protocol):
    """What a managed node does once it is configured.

    Built by ``make(host)``: reads the parameters, loads, opens topics on ``host.node``; raises
    :class:`UserError` when that is impossible. Callbacks look at ``host.active``.
    """

    role: str

    def activate(self) -> None:
        """Begin afresh: what was before does not count; a UserError says why it must not."""

    def deactivate(self) -> None:
        """Publish the last word, if there is one."""

    def report(self) -> None:
        """Add the statuses of the last second to ``host.diagnostics``."""


class _Node(LifecycleNode):
    """Hands the transitions on: rclpy wants them as methods of the node."""

    def __init__(self, name: str, host: ManagedNode):
        self._host = host
        super().__init__(
            name,
            automatically_declare_parameters_from_overrides=True,
            # A parameter that was forgotten can be given before the next attempt to configure.
            allow_undeclared_parameters=True,
        )

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._host.attempt(self._host.configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._host.attempt(self._host.activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._host.attempt(self._host.deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._host.attempt(self._host.cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._host.attempt(self._host.cleanup)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._host.attempt(self._host.cleanup)


class ManagedNode:
    """A lifecycle node and the work it does.

    The parameter ``autostart`` makes it configure itself once and activate itself as soon as it
    can; else somebody else does (``manager_node``, ``ros2 lifecycle set``).

    Attributes:
        node: the rclpy node.
        active: the work is to be done.
        diagnostics: where the work adds its statuses.
    """

    def __init__(self, name: str, make: Callable[[ManagedNode], Work], essential: Essential):
        """Create the node, unconfigured.

        Args:
            name: of the node.
            make: builds the work; may raise :class:`UserError`.
            essential: topics without which it must not be active.
        """
        self.active = False
        self._make, self._essential = make, essential
        self._work: Work | None = None
        self._refusal = ""  # why the last transition was refused
        self._unready_s = math.inf  # since when activation has been refused
        self._seen: list[str] = []  # what the last look at the graph found
        self.node = _Node(name, self)
        self._log = self.node.get_logger()
        self.diagnostics = DiagnosticsPublisher(self.node, name, "")
        steady_timer(self.node, REPORT_S, self.report)
        steady_timer(self.node, LOOK_S, self._look)
        self._permanent = set(self._entities())
        autostart = self.node.get_parameter_or(AUTOSTART)
        self._starting = bool(autostart and autostart.value)
        self._log.info(f"there, {'starting itself' if self._starting else 'unconfigured'}")

    # ------------------------------------------------------------------ transitions

    def attempt(self, step: Callable[[], None]) -> TransitionCallbackReturn:
        """Do one transition; what goes wrong is said (rclpy would swallow it)."""
        result = SUCCESS
        self._refusal = ""
        try:
            step()
        except UserError as error:
            self._refusal, result = str(error), FAILURE
        except Exception as error:
            self._log.error(traceback.format_exc())
            self._refusal = f"{step.__name__} broke: {type(error).__name__}: {error}"
            result = ERROR
        if self._refusal:
            self.report()
        return result

    def configure(self) -> None:
        """Build the work.

        Raises:
            UserError: it cannot be built; nothing of it is left.
        """
        try:
            self._work = self._make(self)
        except BaseException:
            self._forget()
            raise
        self.diagnostics.role = self._work.role

    def activate(self) -> None:
        """Begin the work.

        Raises:
            UserError: its topics are not as they must be.
        """
        assert self._work is not None, "the state machine configures first"
        if found := problems(self.node, self._essential, self._work.role):
            self._unready_s = min(self._unready_s, time.monotonic())
            raise UserError("not activated: " + "; ".join(found))
        self._unready_s = math.inf
        self._work.activate()
        self.active = True
        self._log.info("active")

    def deactivate(self) -> None:
        """End the work; its topics stay."""
        assert self._work is not None, "the state machine configures first"
        self.active = False
        self._work.deactivate()
        self._log.info("inactive")

    def cleanup(self) -> None:
        """Forget the work and its topics, whatever the state."""
        if self.active:
            self.deactivate()
        self._forget()

    def _forget(self) -> None:
        self.active, self._work, self._seen = False, None, []
        for entity, destroy in self._entities().items():
            if entity not in self._permanent:
                destroy(entity)

    def _entities(self) -> dict:
        """Everything that the node's executor serves, and how it is destroyed."""
        node = self.node
        groups = (
            (node.publishers, node.destroy_publisher),
            (node.subscriptions, node.destroy_subscription),
            (node.timers, node.destroy_timer),
            (node.guards, node.destroy_guard_condition),
            (node.services, node.destroy_service),
            (node.clients, node.destroy_client),
        )
        return {entity: destroy for entities, destroy in groups for entity in entities}

    # ------------------------------------------------------------------ now and then

    @property
    def state(self) -> str:
        """Name of the lifecycle state."""
        if self._work is None:
            return "unconfigured"
        return "active" if self.active else "inactive"

    def _look(self) -> None:
        """Start by itself if asked to; notice who else is on the graph while active."""
        if self._starting:
            self._start()
        if self.active and self._work is not None:
            seen = problems(self.node, self._essential, self._work.role, acting=True)
            if seen != self._seen:
                self._seen = seen
                self.report()

    def _start(self) -> None:
        if self._work is None:
            # Once: what is wrong with parameters or model does not mend itself.
            self._starting = self.node.trigger_configure() == SUCCESS
        elif not self.active:
            self.node.trigger_activate()
        else:
            self._starting = False

    def report(self) -> None:
        """Say how it is: the node's own status and those of its work."""
        if self._work is not None:
            self._work.report()
        errors = [self._refusal] if self._refusal else self._seen if self.active else []
        starting = time.monotonic() < self._unready_s + STARTING_S < math.inf
        self.diagnostics.add("lifecycle", errors, values={"state": self.state}, log=not starting)
        self.diagnostics.send()

    def close(self) -> None:
        """Leave in order: the last word is said, nothing is left."""
        self.attempt(self.cleanup)
