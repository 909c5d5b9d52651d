"""Who is asked for what, and when: the manager without ROS."""

from __future__ import annotations

from wm_planner.manager import ACTIVATE, ACTIVE, CONFIGURE, INACTIVE, UNCONFIGURED, BringUp, Phase

NAMES = ("perception", "planner", "gate")


def settle(bring_up: BringUp, now_s: float = 0.0) -> list[tuple[str, str]]:
    """Grant every request until there is none; what was asked, in order."""
    asked = []
    while requests := bring_up.requests(now_s):
        for name, transition in requests:
            asked.append((name, transition))
            bring_up.answered(name, True, now_s)
    return asked


def there(*names: str) -> BringUp:
    bring_up = BringUp.of(NAMES)
    for name in names:
        bring_up.saw(name, UNCONFIGURED)
    return bring_up


def test_all_are_configured_then_activated_in_order():
    bring_up = there(*NAMES)
    assert bring_up.requests(0.0) == [(name, CONFIGURE) for name in NAMES]
    assert bring_up.requests(0.0) == [], "asked already"
    for name in reversed(NAMES):
        bring_up.answered(name, True, 0.0)
    assert settle(bring_up) == [(name, ACTIVATE) for name in NAMES]
    assert bring_up.phase == Phase.ACTIVE and bring_up.waiting_for({}) == []


def test_nobody_is_activated_before_those_in_front_of_it():
    bring_up = there("planner", "gate")
    assert settle(bring_up) == [("planner", CONFIGURE), ("gate", CONFIGURE)]
    assert bring_up.phase == Phase.WAITING
    assert bring_up.waiting_for({})[0] == "perception is not there"
    bring_up.saw("perception", UNCONFIGURED)
    assert settle(bring_up)[1:] == [(name, ACTIVATE) for name in NAMES]


def test_a_refused_configure_is_reported_and_tried_again_later():
    bring_up = there(*NAMES)
    bring_up.requests(0.0)
    bring_up.answered("planner", False, 10.0)
    assert bring_up.phase == Phase.REFUSED
    reasons = {"planner": "no model"}
    assert "planner is unconfigured: no model" in bring_up.waiting_for(reasons)
    assert ("planner", CONFIGURE) not in bring_up.requests(12.0)
    assert ("planner", CONFIGURE) in bring_up.requests(15.1)
    bring_up.answered("planner", True, 16.0)
    assert bring_up.phase != Phase.REFUSED


def test_a_node_configured_by_hand_is_no_longer_refused():
    bring_up = there(*NAMES)
    bring_up.requests(0.0)
    for name in ("perception", "gate"):
        bring_up.answered(name, True, 0.0)
    bring_up.answered("planner", False, 0.0)
    bring_up.saw("planner", INACTIVE)
    assert bring_up.phase == Phase.UNCONNECTED
    assert settle(bring_up, 1.0) == [(name, ACTIVATE) for name in NAMES]


def test_a_refused_activation_is_tried_again_soon():
    bring_up = there(*NAMES)
    bring_up.requests(0.0)
    for name in NAMES:
        bring_up.answered(name, True, 0.0)
    assert bring_up.requests(0.0) == [("perception", ACTIVATE)]
    bring_up.answered("perception", False, 0.0)
    assert bring_up.phase == Phase.UNCONNECTED
    assert bring_up.requests(0.1) == []
    assert bring_up.requests(0.5) == [("perception", ACTIVATE)]


def test_what_somebody_deactivated_is_left_alone():
    bring_up = there(*NAMES)
    settle(bring_up)
    bring_up.saw("planner", INACTIVE)
    assert settle(bring_up) == [] and bring_up.phase != Phase.ACTIVE
    assert bring_up.waiting_for({}) == ["planner is inactive"]


def test_a_restarted_node_is_brought_up_again():
    bring_up = there(*NAMES)
    settle(bring_up)
    bring_up.lost("planner")
    assert bring_up.phase == Phase.WAITING
    bring_up.saw("planner", UNCONFIGURED)
    assert settle(bring_up) == [("planner", CONFIGURE), ("planner", ACTIVATE)]


def test_a_lost_answer_is_made_good_by_the_state():
    bring_up = there(*NAMES)
    bring_up.requests(0.0)
    bring_up.saw("perception", INACTIVE)
    assert bring_up.requests(0.0) == [("perception", ACTIVATE)]
    bring_up.saw("perception", ACTIVE)
    assert bring_up.members["perception"].busy == ""


def test_barred_nodes_are_not_asked():
    bring_up = there(*NAMES)
    assert ("planner", CONFIGURE) not in bring_up.requests(0.0, barred=["planner"])
    assert bring_up.requests(0.0) == [("planner", CONFIGURE)]
