"""The gate around any driver in process."""

from __future__ import annotations

import math

from wm_perception.frame import Command, EgoState, SceneFrame
from wm_planner.guard import FULL_BRAKE, Guard


def drive(guard: Guard, wishes, speed: float = 5.0) -> list[Command]:
    frames = (SceneFrame(i * 100_000_000, EgoState(0.5 * i, 0, 0, speed)) for i in range(1000))
    return [guard.command(frame, wish) for frame, wish in zip(frames, wishes, strict=False)]


def test_an_ordinary_wish_passes_and_a_jump_of_the_wheel_does_not():
    guard = Guard()
    assert drive(guard, [Command(0.02, 0.1)] * 3)[-1].steer == 0.02
    guard.reset()
    commands = drive(guard, [Command(0.0, 0.0)] * 3 + [Command(1.0, 0.0)])
    assert commands[-1].steer < 0.9
    assert guard.decision is not None


def test_without_a_usable_wish_it_brakes_with_finite_numbers():
    for wish in (None, Command(math.nan, 0.3)):
        commands = drive(Guard(), [Command(0.0, 0.1)] * 3 + [wish] * 30)
        assert all(math.isfinite(c.steer) and math.isfinite(c.accel) for c in commands)
        assert commands[-1].accel < 0.0


def test_a_new_route_begins_afresh():
    guard = Guard()
    first = drive(guard, [Command(0.5, 0.5)] * 5)
    guard.reset()
    assert guard.decision is None
    assert drive(guard, [Command(0.5, 0.5)] * 5) == first


def test_left_out_it_lets_everything_through_that_is_a_command():
    wishes = [Command(0.0, 0.0), Command(1.0, 1.0), None]
    assert drive(Guard(active=False), wishes) == [*wishes[:2], FULL_BRAKE]
