"""Who is brought up when: the manager's decisions, without ROS.

Every node is configured as soon as it is there. They are activated in order, each once those
before it are active. What was active and is so no longer was taken out by somebody: it is left
alone until its process is another one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

CONFIGURE, ACTIVATE = "configure", "activate"
UNCONFIGURED, INACTIVE, ACTIVE = "unconfigured", "inactive", "active"
GOAL = {CONFIGURE: INACTIVE, ACTIVATE: ACTIVE}
# Before the next attempt after a refusal, s. Loading a model again is dear; a look at the graph is
# not.
RETRY_S = {CONFIGURE: 5.0, ACTIVATE: 0.25}


class Phase(Enum):
    """How far a graph is."""

    WAITING = "waiting"  # for nodes that are not there, or that are being configured
    REFUSED = "refused"  # a node cannot be configured
    UNCONNECTED = "unconnected"  # all are configured, one may not be activated yet
    ACTIVE = "active"


@dataclass
class Member:
    """What is known of one node.

    Attributes:
        name: of the node.
        state: lifecycle state; empty while it is not there.
        busy: the transition that it was asked for and has not answered.
        refused: the transition that it refused last.
        retry_s: time before which it is not asked again.
        done: it was active, so it is nobody's business what it is now.
    """

    name: str
    state: str = ""
    busy: str = ""
    refused: str = ""
    retry_s: float = 0.0
    done: bool = False


@dataclass
class BringUp:
    """The nodes in their order, and what to ask of them next.

    Attributes:
        members: by name, in the order of activation.
    """

    members: dict[str, Member] = field(default_factory=dict)

    @classmethod
    def of(cls, names: Sequence[str]) -> BringUp:
        """Nothing known yet of the nodes ``names``."""
        return cls({name: Member(name) for name in names})

    def saw(self, name: str, state: str) -> None:
        """A node answered with its state."""
        member = self.members[name]
        if state == UNCONFIGURED and member.state != UNCONFIGURED:
            member.done = False  # cleaned up or started anew: bring it up
        member.state = state
        if state == GOAL.get(member.busy):
            member.busy = ""  # its answer was lost
        if state == GOAL.get(member.refused):
            member.refused, member.retry_s = "", 0.0
        if state == ACTIVE:
            member.done, member.refused = True, ""

    def lost(self, name: str) -> None:
        """A node is not there, or no more."""
        self.members[name] = Member(name)

    def answered(self, name: str, accepted: bool, now_s: float) -> None:
        """A node answered what it was asked for last."""
        member = self.members[name]
        asked, member.busy = member.busy, ""
        if not asked:
            return
        if accepted:
            self.saw(name, GOAL[asked])
        else:
            member.refused, member.retry_s = asked, now_s + RETRY_S[asked]

    def requests(self, now_s: float, barred: Collection[str] = ()) -> list[tuple[str, str]]:
        """(node, transition) to ask for now; each is marked as asked for.

        Args:
            now_s: of a steady clock.
            barred: nodes that must not be asked now.
        """
        asked = []
        before_active = True
        for member in self.members.values():
            wanted = self._wanted(member, before_active)
            before_active = before_active and member.state == ACTIVE
            free = not member.busy and member.name not in barred and now_s >= member.retry_s
            if wanted and free:
                member.busy = wanted
                asked.append((member.name, wanted))
        return asked

    @staticmethod
    def _wanted(member: Member, before_active: bool) -> str:
        if member.state == UNCONFIGURED:
            return CONFIGURE
        # Activation is asked for again and again until the first success.
        if member.state == INACTIVE and before_active and not member.done:
            return ACTIVATE
        return ""

    @property
    def phase(self) -> Phase:
        """How far the graph is."""
        members = self.members.values()
        if all(member.state == ACTIVE for member in members):
            return Phase.ACTIVE
        if any(member.refused == CONFIGURE for member in members):
            return Phase.REFUSED
        if all(member.state in (INACTIVE, ACTIVE) for member in members):
            return Phase.UNCONNECTED
        return Phase.WAITING

    def waiting_for(self, reasons: Mapping[str, str]) -> list[str]:
        """Nodes that are not active, in order, with the state of each, and why if it is known.

        Args:
            reasons: name -> what the node itself says.
        """
        texts = {
            member.name: f"{member.name} is {member.state or 'not there'}"
            for member in self.members.values()
            if member.state != ACTIVE
        }
        return [f"{t}: {reasons[n]}" if reasons.get(n) else t for n, t in texts.items()]
