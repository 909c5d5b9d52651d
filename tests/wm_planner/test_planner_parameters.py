"""Parameters of the planner node that change while it drives, and those that refuse to."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (pip install . brings it)")

from wm_dynamics.checkpoint import save_checkpoint
from wm_dynamics.config import SIZES
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_planner.parameters import updated
from wm_planner.planner_config import PlannerConfig


@pytest.fixture
def planner_node(ros_domain, tmp_path):
    """A configured planner node in this process, driving."""
    import rclpy
    from rclpy.parameter import Parameter

    from wm_perception.lifecycle import ManagedNode
    from wm_planner.planner_node import ESSENTIAL, PlannerNode

    save_checkpoint(WorldModel.untrained(SIZES["tiny"]), tmp_path)
    rclpy.init(args=["--ros-args", "-p", f"model:={tmp_path}", "-p", "candidates:=24"])
    works = []

    def make(host):
        works.append(PlannerNode(host))
        return works[0]

    host = ManagedNode("wm_planner", make, ESSENTIAL)
    host.configure()
    works[0].activate()  # without the topics that a real activation waits for

    def change(**values):
        """Set parameters at once; a double underscore stands for a dot."""
        named = [Parameter(name.replace("__", "."), value=v) for name, v in values.items()]
        return host.node.set_parameters_atomically(named)

    yield works[0], change
    host.close()
    rclpy.shutdown()


@pytest.mark.ros
def test_weights_and_the_like_change_while_driving(planner_node):
    work, change = planner_node
    result = change(weights__lateral=2.5, risk__beta=1.0, cruise_mps=5.0, hazards="perceived")
    assert result.successful, result.reason
    config = work._planner.config
    assert (config.weights.lateral, config.risk.beta, config.cruise_mps) == (2.5, 1.0, 5.0)
    assert config.hazards == "perceived" and config.candidates == 24
    assert work.node.get_parameter("weights.lateral").value == 2.5


@pytest.mark.ros
@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"weights__lateral": -1.0}, "weights.lateral: .*greater than or equal to 0"),
        ({"weights__laterall": 1.0}, "unknown key 'weights.laterall'"),
        ({"hazards": "guessed"}, "hazards"),
        ({"horizon": 10}, "horizon cannot change"),
        ({"model": "another"}, "model cannot change now"),
        ({"actor_proposals": 4}, "learned behaviour"),
        ({"cruise_mps": 3.0, "risk__cvar_alpha": 0.0}, "risk.cvar_alpha"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason_and_changes_nothing(planner_node, values, text):
    import re

    work, change = planner_node
    before = work._planner.config
    result = change(**values)
    assert not result.successful and re.search(text, result.reason)
    assert work._planner.config == before
    assert change(cruise_mps=6.0).successful, "it goes on"


@pytest.mark.ros
def test_parameters_set_before_it_drives_count_or_keep_it_from_driving(planner_node):
    work, change = planner_node
    work.deactivate()
    assert change(cruise_mps=4.0).successful
    work.activate()
    assert work._planner.config.cruise_mps == 4.0
    work.deactivate()
    assert change(horizon=9).successful
    with pytest.raises(UserError, match="horizon cannot change"):
        work.activate()


def test_updated_is_all_or_nothing():
    config = updated(PlannerConfig(), {"weights.near": 1.0, "risk.beta": 2.0})
    assert (config.weights.near, config.risk.beta) == (1.0, 2.0)
    assert config.weights.collision == PlannerConfig().weights.collision
    with pytest.raises(UserError, match="weights.near"):
        updated(PlannerConfig(), {"weights.near": "much"})
