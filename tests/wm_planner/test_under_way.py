"""Commands that act late: what is under way is imagined, what is planned comes behind it."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from toy_world import STRAIGHT, ToyWorld, state

from wm_dynamics.errors import UserError
from wm_perception.frame import Command
from wm_planner.fallback import Fallback
from wm_planner.planner import Planner
from wm_planner.planner_config import PlannerConfig
from wm_planner.under_way import UnderWay

H = 6
RISING = np.stack([np.arange(H), 10.0 + np.arange(H)], 1)
STANDING = np.array([0.1, -0.2])


def test_without_a_delay_everything_is_as_it_was():
    under_way = UnderWay(0, H, 0.5)
    under_way.begin(STANDING)
    assert under_way.then(RISING) is RISING
    assert under_way.give(RISING).tolist() == [0.0, 10.0]
    under_way.give_again()
    assert under_way.then(RISING) is RISING


def test_before_the_first_command_what_acts_now_is_under_way():
    under_way = UnderWay(2, H, 0.5)
    under_way.begin(STANDING)
    assert under_way.then(RISING)[0].tolist() == STANDING.tolist()
    assert (under_way.then(RISING)[1:] == RISING[1:]).all()


def test_commands_come_about_in_the_order_in_which_they_were_given():
    under_way = UnderWay(3, H, 0.5)  # one and a half steps
    under_way.begin(STANDING)
    for value in (1.0, 2.0, 4.0):
        under_way.give(np.full((H, 2), value))
    many = under_way.then(np.stack([RISING, 2.0 * RISING]))
    assert many[0, :2, 0].tolist() == [1.5, 0.5 * 4.0 + 0.5 * 1.0]  # two frames; one, and its own
    assert many[1, 1, 0] == 0.5 * 4.0 + 0.5 * 2.0
    assert (many[0, 2:] == RISING[2:]).all()
    assert under_way.step == 1 and under_way.give(RISING).tolist() == [1.0, 11.0]


def test_where_there_is_no_new_command_the_last_acts_on():
    under_way = UnderWay(2, H, 1.0)
    under_way.begin(STANDING)
    under_way.give(np.full((H, 2), 3.0))
    under_way.give_again()
    assert under_way.then(RISING)[:2, 0].tolist() == [3.0, 3.0]
    under_way.reset()
    under_way.begin(STANDING)
    assert under_way.then(RISING)[:2, 0].tolist() == [0.1, 0.1]


def test_what_is_no_number_is_not_under_way():
    under_way = UnderWay(2, H, 1.0)
    under_way.begin(np.array([np.nan, 0.5]))
    assert (under_way.then(RISING)[:2] == 0.0).all()


def test_a_delay_as_long_as_the_horizon_is_refused():
    with pytest.raises(UserError, match="input_delay_s: 10 frames .* 6 imagined"):
        UnderWay(10, H, 0.5)
    UnderWay(9, H, 0.5)


class Listens(ToyWorld):
    """Keeps what it was asked to imagine last."""

    def imagine(self, latent, ego_state, actions):
        self.asked = actions
        return super().imagine(latent, ego_state, actions)


def test_every_sequence_begins_with_what_is_under_way():
    world = Listens()
    planner = Planner(world, PlannerConfig(input_delay_s=0.4))
    given = [planner.plan(None, state(6.0), STRAIGHT + [0.0, 2.0]).command for _ in range(6)]
    plan = planner.plan(None, state(6.0), STRAIGHT + [0.0, 2.0])
    steers = [command.steer for command in given[-4:]]
    first, second = np.mean(steers[:2]), np.mean(steers[2:])
    assert world.asked[:, :2, 0] == pytest.approx(np.tile([first, second], (len(world.asked), 1)))
    assert plan.actions[:2, 0] == pytest.approx([first, second])
    assert np.unique(world.asked[:, 2, 0]).size > 4
    assert plan.acts_at == 2 and plan.command.steer == plan.actions[2, 0]
    fallback = Fallback(0.5)
    fallback.good(plan)
    held = fallback.failed("broken")[0]
    assert held.command.steer == pytest.approx(plan.actions[2:4, 0].mean())


def test_what_cannot_be_planned_repeats_the_last_command():
    world = ToyWorld()
    planner = Planner(world, PlannerConfig(input_delay_s=0.2))
    last = [planner.plan(None, state(6.0), STRAIGHT + [0.0, 2.0]).command for _ in range(4)][-1]
    world.broken = True
    assert not planner.plan(None, state(6.0), STRAIGHT).usable
    world.broken = False
    plan = planner.plan(None, state(6.0), STRAIGHT)
    assert plan.actions[0] == pytest.approx([last.steer, last.accel])


def strays(input_delay_s: float, delay_frames: int = 4) -> float:
    """Root mean square of metres off a straight route after 4 s, from 1 m beside it."""
    planner = Planner(ToyWorld(), PlannerConfig(input_delay_s=input_delay_s, seed=1))
    x, y, yaw, speed = 0.0, 1.0, 0.0, 6.0
    pipe, off = deque([Command()] * delay_frames), []
    for frame in range(100):
        away = STRAIGHT + [x // 1.0 - x, -y]
        turned = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
        plan = planner.plan(None, state(speed), away @ turned)
        pipe.append(plan.command)
        acting = pipe.popleft()
        speed = max(0.0, speed + 0.4 * acting.accel)
        yaw += 0.02 * speed * acting.steer
        x, y = x + 0.1 * speed * np.cos(yaw), y + 0.1 * speed * np.sin(yaw)
        off += [y] if frame >= 40 else []
    return float(np.sqrt(np.mean(np.square(off))))


def test_a_late_vehicle_swerves_unless_the_planner_is_told():
    told, not_told = strays(0.4), strays(0.0)
    assert told < 0.3 and not_told > 2.0 * told


@pytest.mark.parametrize("delay_s", [0.1, 0.2])
def test_the_delay_cannot_change_while_driving(delay_s):
    planner = Planner(ToyWorld(), PlannerConfig(input_delay_s=0.3))
    with pytest.raises(UserError, match="input_delay_s cannot change"):
        planner.configure(PlannerConfig(input_delay_s=delay_s))
