"""Answers every odometry message with a gentle proposal, until it is killed."""

from __future__ import annotations

import sys

from wm_msgs.msg import ControlProposal
from wm_perception.node_tools import create_node, publisher, run, subscription

ROLE = "ego_vehicle"


class FakePlanner:
    """A planner that always wants the same."""

    def __init__(self):
        self.node = create_node("fake_planner")
        self._publisher = publisher(self.node, "control_proposal", ROLE)
        subscription(self.node, "odometry", ROLE, self._answer)

    def _answer(self, message) -> None:
        proposal = ControlProposal(header=message.header, steer=0.05, accel=0.3)
        self._publisher.publish(proposal)


if __name__ == "__main__":
    sys.exit(run(FakePlanner))
