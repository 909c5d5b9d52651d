"""The planner on a toy world whose best plan is known."""

from dataclasses import dataclass

import numpy as np
import pytest

from wm_planner import costs
from wm_planner.planner import Planner, colored_noise
from wm_planner.planner_config import CostWeights, PlannerConfig


@dataclass
class Imagined:
    path: np.ndarray
    speed: np.ndarray
    heads: dict
    disagreement: np.ndarray


class ToyWorld:
    """A kinematic vehicle; optional red stop line ``stop_m`` ahead."""

    dt = 0.2

    def __init__(self, stop_m=None, broken=False):
        self.stop_m, self.broken = stop_m, broken

    def imagine(self, latent, ego_state, actions):
        n, horizon, _ = actions.shape
        speed = np.full(n, ego_state[0] * 10.0)
        pose = np.zeros((n, 3))
        path, speeds = [], []
        for t in range(horizon):
            speed = np.maximum(0.0, speed + 4.0 * actions[:, t, 1] * self.dt)
            pose = pose + self.dt * np.stack(
                [speed * np.cos(pose[:, 2]), speed * np.sin(pose[:, 2]),
                 0.2 * speed * actions[:, t, 0]], 1
            )  # fmt: skip
            path.append(pose)
            speeds.append(speed)
        path, speeds = np.stack(path, 1), np.stack(speeds, 1)
        if self.broken:
            path = path * np.nan
        names = ("leader_presence", "stop_presence", "collision", "near", "off_road",
                 "red_violation")  # fmt: skip
        heads = {name: np.zeros((n, horizon)) for name in names}
        heads |= {name: np.full((n, horizon), 100.0) for name in ("leader_gap", "leader_speed")}
        heads["stop_distance"] = np.full((n, horizon), 100.0)
        if self.stop_m is not None:
            heads["stop_presence"] += 1.0
            heads["stop_distance"] = self.stop_m - path[..., 0]
        return Imagined(path, speeds, heads, np.zeros(n))


STRAIGHT = np.stack([np.arange(-5.0, 46.0), np.zeros(51)], 1)


def state(speed):
    return np.array([speed / 10.0, 0, 0, 0, 0], np.float32)


def settle(planner, speed, reference=STRAIGHT, cycles=8):
    for _ in range(cycles):
        plan = planner.plan(None, state(speed), reference)
    return plan


def test_accelerates_on_an_empty_straight_and_keeps_straight():
    plan = settle(Planner(ToyWorld()), 3.0)
    assert plan.command.accel > 0.3
    assert abs(plan.command.steer) < 0.15


def test_steers_left_towards_a_route_on_the_left():
    plan = settle(Planner(ToyWorld()), 6.0, STRAIGHT + [0.0, 2.0])
    assert plan.command.steer > 0.1
    assert plan.path[-1, 1] > 0.5


def test_brakes_for_a_stop_line_and_stays_behind_it():
    plan = settle(Planner(ToyWorld(stop_m=10.0)), 6.0)
    assert plan.command.accel < -0.1
    assert plan.path[-1, 0] < 10.0


def test_stops_once_it_has_arrived():
    planner = Planner(ToyWorld())
    settle(planner, 6.0)
    for _ in range(4):
        plan = planner.plan(None, state(6.0), STRAIGHT, arrived=True)
    assert plan.command.accel < -0.3
    assert plan.speeds[plan.chosen, -1] < 0.5


def test_same_seed_same_plan_other_seed_other_plan():
    plans = [settle(Planner(ToyWorld(), PlannerConfig(seed=seed)), 5.0) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(plans[0].actions, plans[1].actions)
    assert not np.array_equal(plans[0].actions, plans[2].actions)


def test_reset_forgets():
    planner = Planner(ToyWorld(), PlannerConfig(seed=3))
    first = settle(planner, 5.0)
    planner.reset(3)
    np.testing.assert_array_equal(first.actions, settle(planner, 5.0).actions)


def test_says_when_imagination_is_not_finite():
    assert not Planner(ToyWorld(broken=True)).plan(None, state(5.0), STRAIGHT).finite


def test_commands_stay_within_limits():
    plan = settle(Planner(ToyWorld(), PlannerConfig(accel_std=5.0, steer_std=5.0)), 5.0)
    assert np.abs(plan.actions).max() <= 1.0


def test_every_weight_has_a_term_and_every_term_a_weight():
    assert set(costs.TERMS) == set(CostWeights.model_fields)


def test_a_zero_weight_switches_its_term_off():
    weights = CostWeights(lateral=0.0)
    plan = Planner(ToyWorld(), PlannerConfig(weights=weights)).plan(None, state(5.0), STRAIGHT)
    assert "lateral" not in plan.terms and "speed" in plan.terms


def test_lateral_offset_and_heading_have_the_right_sign():
    path = np.array([[[10.0, 1.0, 0.1]]])
    lateral, heading = costs.against_route(path, STRAIGHT)
    assert lateral[0, 0] == pytest.approx(1.0)
    assert heading[0, 0] == pytest.approx(0.1)


def test_colored_noise_is_smooth_and_seeded():
    white = colored_noise(np.random.default_rng(0), 200, 15, 0.0)
    red = colored_noise(np.random.default_rng(0), 200, 15, 2.0)
    assert np.abs(np.diff(red, axis=1)).mean() < 0.7 * np.abs(np.diff(white, axis=1)).mean()
    np.testing.assert_array_equal(red, colored_noise(np.random.default_rng(0), 200, 15, 2.0))
