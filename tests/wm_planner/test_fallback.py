"""The last good plan goes on for two frames, then a stop is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from wm_perception.frame import Command
from wm_planner.fallback import Fallback, moved_on
from wm_planner.plan import Plan

ACTIONS = np.stack([np.linspace(0.0, 0.4, 5), np.linspace(0.5, -0.5, 5)], 1)


def plan() -> Plan:
    nothing = np.zeros((1, 5, 2))
    return Plan(
        command=Command(0.0, 0.5),
        actions=ACTIONS,
        path=np.zeros((5, 3)),
        candidates=nothing,
        speeds=nothing[..., 0],
        costs=np.zeros(1),
        disagreement=np.zeros(1),
        chosen=0,
    )


@pytest.fixture
def fallback() -> Fallback:
    made = Fallback(0.5)
    made.good(plan())
    return made


def test_the_plan_goes_on_half_a_step_per_frame(fallback):
    commands = [fallback.failed("NaN")[0].command for _ in range(2)]
    assert [c.steer for c in commands] == pytest.approx([0.05, 0.1])
    assert [c.accel for c in commands] == pytest.approx([0.375, 0.25])


def test_the_third_failure_in_a_row_asks_for_a_stop(fallback):
    stops = [fallback.failed("no engine")[1] for _ in range(4)]
    assert stops[:2] == ["", ""]
    assert stops[2] == "planning failed 3 times in a row: no engine" and stops[3]


def test_a_good_plan_in_between_begins_the_count_anew(fallback):
    for _ in range(5):
        assert fallback.failed("NaN")[1] == ""
        assert fallback.failed("NaN")[1] == ""
        fallback.good(plan())


def test_without_a_plan_there_is_nothing_to_fall_back_on(fallback):
    fallback.reset()
    assert fallback.failed("NaN") == (None, "")


def test_the_last_action_is_held():
    for _ in range(50):
        moved = moved_on(ACTIONS, 0.5)
    np.testing.assert_allclose(moved[-1], ACTIONS[-1])
