"""The text form of faults, and what is refused."""

from __future__ import annotations

import math

import pytest

from wm_dynamics.errors import UserError
from wm_sim.faults_spec import KINDS, Fault, parse_fault, parse_faults


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("odometry:delay:3", Fault("odometry", "delay", 3.0)),
        ("image:drop:0.2@5+10", Fault("image", "drop", 0.2, start_s=5.0, duration_s=10.0)),
        ("image:drop", Fault("image", "drop", 1.0)),
        ("*:nan%0.1", Fault("*", "nan", 1.0, 0.1)),
        ("clock:clock_jump:-5+2", Fault("clock", "clock_jump", -5.0, duration_s=2.0)),
        (
            "odometry.pose.pose.position:noise:1e-06",
            Fault("odometry", "noise", 1e-6, field="pose.pose.position"),
        ),
    ],
)
def test_text_form_goes_both_ways(text, fault):
    assert parse_fault(text) == fault
    assert parse_fault(fault.text) == fault


def test_one_text_may_hold_several_faults():
    assert [f.text for f in parse_faults(["a:drop, b:delay:2", "", "c:scale:1.2"])] == [
        "a:drop:1",
        "b:delay:2",
        "c:scale:1.2",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("odometry", "is no fault; write TOPIC"),
        ("odometry:delay:soon", "is no fault; write TOPIC"),
        ("odometry:explode", "unknown kind of fault 'explode'; known: drop, delay"),
        ("odometry:delay", "odometry:delay: needs a number of frames"),
        ("odometry:delay:1.5", "value must be a number of frames, at most 100; not 1.5"),
        ("odometry:drop:0", "value must be a probability below 1, or n"),
        ("odometry:drop:2.5", "value must be a probability below 1, or n"),
        ("odometry:noise:0", "value must be a standard deviation above 0; not 0"),
        ("odometry:nan:1.1", "value must be the share"),
        ("odometry:wrong_size:1", "value must be the share that is kept"),
        ("odometry:drop%0", "probability must be in (0, 1], not 0"),
        ("odometry:drop@-1", "start must be 0 s or later"),
        ("odometry:drop+0", "duration must be above 0 s"),
        ("odometry.pose:drop", "only nan, noise, scale, wrong_size can be given a field"),
    ],
)
def test_what_is_no_fault_is_refused_with_a_reason(text, reason):
    with pytest.raises(UserError, match=".*") as caught:
        parse_fault(text)
    assert reason in str(caught.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", KINDS)
def test_a_value_is_finite(kind, value):
    with pytest.raises(UserError, match="value must be"):
        Fault("odometry", kind, value)
