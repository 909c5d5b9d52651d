"""The planner on a toy world whose best plan is known."""

from __future__ import annotations

import numpy as np
import pytest
from toy_world import STRAIGHT, ToyWorld, settle, state

from wm_dynamics.errors import UserError
from wm_dynamics.novelty import Novelty
from wm_planner.doubt import Level
from wm_planner.planner import Planner
from wm_planner.planner_config import CostWeights, DoubtConfig, PlannerConfig, RiskConfig

EVERY_WAY = [
    PlannerConfig(),
    PlannerConfig(optimiser="mppi", iterations=2),
    PlannerConfig(knots=6),
    PlannerConfig(risk=RiskConfig(max_collision_probability=1.0)),
]
WAYS = ["icem", "mppi", "splines", "without members"]
NO_BOUND = RiskConfig(max_collision_probability=1.0)


@pytest.mark.parametrize("config", EVERY_WAY, ids=WAYS)
def test_accelerates_on_an_empty_straight_and_keeps_straight(config):
    plan = settle(Planner(ToyWorld(), config), 3.0)
    assert plan.command.accel > 0.3
    assert abs(plan.command.steer) < 0.15


@pytest.mark.parametrize("config", EVERY_WAY, ids=WAYS)
def test_steers_left_towards_a_route_on_the_left(config):
    plan = settle(Planner(ToyWorld(), config), 6.0, STRAIGHT + [0.0, 2.0])
    assert plan.command.steer > 0.1
    assert plan.path[-1, 1] > 0.5


@pytest.mark.parametrize("config", EVERY_WAY, ids=WAYS)
def test_brakes_for_a_stop_line_and_stays_behind_it(config):
    plan = settle(Planner(ToyWorld(stop_m=10.0), config), 6.0)
    assert plan.command.accel < -0.1
    assert plan.path[-1, 0] < 10.0


def test_stops_once_it_has_arrived():
    planner = Planner(ToyWorld())
    settle(planner, 6.0)
    plan = settle(planner, 6.0, cycles=4, arrived=True)
    assert plan.command.accel < -0.3
    assert plan.speeds[plan.chosen, -1] < 0.5


@pytest.mark.parametrize("config", EVERY_WAY, ids=WAYS)
def test_same_seed_same_plan_other_seed_other_plan(config):
    world = ToyWorld(wall_m=(None, 30.0))
    plans = [settle(Planner(world, replace_seed(config, seed)), 5.0) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(plans[0].actions, plans[1].actions)
    np.testing.assert_array_equal(plans[0].costs, plans[1].costs)
    assert not np.array_equal(plans[0].actions, plans[2].actions)


def replace_seed(config: PlannerConfig, seed: int) -> PlannerConfig:
    return config.model_copy(update={"seed": seed})


def test_reset_forgets():
    planner = Planner(ToyWorld(), PlannerConfig(seed=3))
    first = settle(planner, 5.0)
    planner.reset(3)
    np.testing.assert_array_equal(first.actions, settle(planner, 5.0).actions)


def test_the_search_is_warm_started():
    """One frame after another finds what no single frame does."""
    config = PlannerConfig(candidates=8, elites=2, risk=NO_BOUND)
    first, later = (
        np.mean([settle(Planner(ToyWorld(), replace_seed(config, seed)), 3.0, cycles=n).costs.min()
                 for seed in range(8)])
        for n in (1, 12)
    )  # fmt: skip
    assert later < first


def test_what_is_not_finite_is_said_and_does_not_live_on():
    world = ToyWorld()
    planner = Planner(world)
    settle(planner, 5.0)
    world.broken = True
    plan = planner.plan(None, state(5.0), STRAIGHT)
    assert not plan.finite and not plan.usable and not plan.feasible
    assert "not finite" in plan.reason
    world.broken = False
    after = planner.plan(None, state(5.0), STRAIGHT)
    assert after.usable and np.isfinite(after.actions).all() and np.isfinite(after.costs).any()


def test_an_iteration_that_breaks_leaves_the_one_before_it():
    class BreaksLater(ToyWorld):
        def imagine(self, *args):
            self.broken = self.calls["imagine"] % 2 == 1
            return super().imagine(*args)

    plan = Planner(BreaksLater(), PlannerConfig(iterations=2, risk=NO_BOUND)).plan(
        None, state(5.0), STRAIGHT
    )
    assert plan.usable and np.isfinite(plan.path).all()


@pytest.mark.parametrize("what", ["ego_state", "reference"])
def test_inputs_that_are_not_finite_give_no_plan(what):
    ego, reference = state(5.0), STRAIGHT.copy()
    (ego if what == "ego_state" else reference)[...] = np.nan
    planner = Planner(ToyWorld())
    assert not planner.plan(None, ego, reference).usable
    assert planner.plan(None, state(5.0), STRAIGHT).usable


def test_members_of_whom_one_is_broken_are_not_driven_by():
    class OneBroken(ToyWorld):
        def imagine_members(self, *args):
            imagined = super().imagine_members(*args)
            imagined.heads["near"][-1] = np.nan
            return imagined

    world = OneBroken(wall_m=(None, None))
    plan = Planner(world).plan(None, state(5.0), STRAIGHT)
    assert plan.usable, "only the last finalist is broken"
    world.imagine_members = lambda *args: ToyWorld(wall_m=(None, None), broken=True)._imagine(
        state(5.0), np.concatenate([args[2]] * 2), [None] * 2 * len(args[2])
    )
    assert not Planner(world).plan(None, state(5.0), STRAIGHT).usable


def test_commands_stay_within_limits():
    plan = settle(Planner(ToyWorld(), PlannerConfig(accel_std=5.0, steer_std=5.0)), 5.0)
    assert np.abs(plan.actions).max() <= 1.0


# ------------------------------------------------------------------ what is driven


def test_the_driven_sequence_is_the_one_that_was_imagined():
    planner = Planner(ToyWorld(wall_m=(None, None)))
    plan = settle(planner, 5.0)
    again = ToyWorld().imagine(None, state(5.0), plan.actions[None].astype(np.float32))
    np.testing.assert_allclose(plan.path, again.path[0], atol=1e-5)
    assert plan.chosen == len(plan.costs) - 1 == len(plan.candidates) - 1
    np.testing.assert_allclose(plan.candidates[plan.chosen], plan.path[:, :2])
    assert plan.costs[plan.chosen] == pytest.approx(sum(plan.terms.values()))
    assert all(plan.term_least[n] <= plan.term_means[n] for n in plan.terms)


def test_the_most_pessimistic_member_decides_whether_to_brake():
    """One member of three believes in a wall; the sampled futures follow one that does not."""
    walls = (None, None, 12.0)
    bold = settle(Planner(ToyWorld(wall_m=walls), PlannerConfig(risk=NO_BOUND)), 6.0, cycles=1)
    careful = settle(Planner(ToyWorld(wall_m=walls)), 6.0, cycles=1)
    assert bold.path[-1, 0] > 12.0
    assert careful.path[-1, 0] <= 12.0
    assert careful.feasible and careful.collision_probability == 0.0


def test_the_least_bad_plan_is_chosen_and_it_says_so_when_none_is_feasible():
    plan = settle(Planner(ToyWorld(wall_m=(None, 0.5))), 10.0, cycles=1)
    assert not plan.feasible and plan.usable
    assert plan.collision_probability == 1.0
    assert "every plan may collide" in plan.reason


def test_who_stands_is_feasible_whatever_the_model_says():
    class Surrounded(ToyWorld):
        def _imagine(self, *args):
            imagined = super()._imagine(*args)
            imagined.heads["collision"] += 1.0
            return imagined

    plan = settle(Planner(Surrounded(stop_m=0.5, wall_m=(None, None))), 0.0, cycles=6)
    assert plan.feasible and plan.speeds[plan.chosen].max() < 0.2


def test_members_are_asked_only_where_it_matters():
    for risk, calls in (
        (NO_BOUND, 0),
        (RiskConfig(max_collision_probability=1.0, beta=1.0), 1),
        (RiskConfig(max_collision_probability=1.0, cvar_alpha=0.5), 1),
        (RiskConfig(), 1),
    ):
        world = ToyWorld(wall_m=(None, None))
        Planner(world, PlannerConfig(risk=risk)).plan(None, state(5.0), STRAIGHT)
        assert world.calls["imagine_members"] == calls


def test_perceived_hazards_do_not_foresee_what_imagination_does():
    """A wall that only imagination knows of."""
    for hazards, braking in (("imagined", True), ("perceived", False)):
        config = PlannerConfig(hazards=hazards)
        plan = settle(Planner(ToyWorld(wall_m=(12.0, 12.0)), config), 6.0)
        assert bool(plan.path[-1, 0] < 12.5) is braking
    plan = settle(Planner(ToyWorld(stop_m=10.0), PlannerConfig(hazards="perceived")), 6.0)
    assert plan.path[-1, 0] < 10.0, "a line that is seen is stopped at"


# ------------------------------------------------------------------ time


class Clock:
    """Every look takes ``step`` seconds."""

    def __init__(self, step: float):
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def test_anytime_begins_no_iteration_that_would_end_too_late():
    config = PlannerConfig(iterations=8, anytime=True, deadline_ms=50.0)
    # An iteration is one look long: 10 ms. Settling takes as long.
    planner = Planner(ToyWorld(), config, clock=Clock(0.010))
    assert planner.plan(None, state(5.0), STRAIGHT).iterations == 5
    assert planner.plan(None, state(5.0), STRAIGHT).iterations == 4, "settling is reckoned with"
    slow = Planner(ToyWorld(), config, clock=Clock(1.0)).plan(None, state(5.0), STRAIGHT)
    assert slow.iterations == 1 and slow.usable, "the best so far"


def test_without_anytime_the_clock_changes_nothing():
    config = PlannerConfig(iterations=3, deadline_ms=1.0)
    plans = [
        settle(Planner(ToyWorld(), config, clock=Clock(step)), 5.0, cycles=3)
        for step in (0.0, 10.0)
    ]
    np.testing.assert_array_equal(plans[0].actions, plans[1].actions)
    assert plans[0].iterations == plans[1].iterations == 3


# ------------------------------------------------------------------ doubt


def measured(world: ToyWorld) -> ToyWorld:
    quantiles = {"novelty": [1.0, 2.0], "disagreement": [0.1, 0.2]}
    world.novelty = Novelty({}, 2.0, 0.2, {"quantiles": quantiles})
    return world


def test_doubt_slows_down_and_lets_risks_weigh_more():
    planner = Planner(measured(ToyWorld()))
    calm = settle(planner, 8.0, cycles=6, novelty=0.0)
    unusual = settle(planner, 8.0, cycles=6, novelty=3.0)
    assert calm.doubt.level is Level.USUAL and unusual.doubt.level is Level.DOUBT
    assert unusual.speed_cap_mps == planner.config.doubt.speed_cap_mps
    assert unusual.command.accel < -0.2 < calm.command.accel
    assert not unusual.stop_requested


def test_very_unusual_for_long_asks_for_a_stop():
    planner = Planner(measured(ToyWorld()))
    plan = settle(planner, 5.0, cycles=10, novelty=9.0)
    assert plan.stop_requested and "novelty" in plan.reason


def test_without_doubt_nothing_follows():
    config = PlannerConfig(doubt=DoubtConfig(enabled=False))
    with_it, without = (
        settle(Planner(measured(ToyWorld()), config), 8.0, cycles=12, novelty=n) for n in (9.0, 0.0)
    )
    np.testing.assert_array_equal(with_it.actions, without.actions)


def test_steps_beyond_the_budget_of_doubt_are_not_trusted_and_speed_follows():
    """The line lies where nothing is known any more; the vehicle slows down for want of sight."""
    doubtful = measured(ToyWorld(stop_m=14.0, spread=(0.0, 0.2, 2.0)))
    sure = measured(ToyWorld(stop_m=14.0, spread=(0.0, 0.0, 0.0)))
    config = PlannerConfig(doubt=DoubtConfig(enabled=False))
    short, whole = (Planner(world, config) for world in (doubtful, sure))
    assert settle(whole, 5.0).trusted_steps == 15.0
    plan = settle(short, 5.0)
    assert 5.0 <= plan.trusted_steps < 12.0
    assert plan.speed_cap_mps == pytest.approx(4.0 * 0.2 * plan.trusted_steps)
    off = config.model_copy(update={"risk": RiskConfig(horizon_budget=0.0)})
    assert settle(Planner(doubtful, off), 5.0).trusted_steps == 15.0


# ------------------------------------------------------------------ parameters


def test_a_zero_weight_switches_its_term_off():
    weights = CostWeights(lateral=0.0)
    plan = Planner(ToyWorld(), PlannerConfig(weights=weights)).plan(None, state(5.0), STRAIGHT)
    assert "lateral" not in plan.terms and "speed" in plan.terms


def test_weights_change_while_driving_and_the_plan_goes_on():
    planner = Planner(ToyWorld(stop_m=10.0))
    assert settle(planner, 6.0).command.accel < -0.1
    planner.configure(PlannerConfig(weights=CostWeights(stop_line=0.0)))
    plan = settle(planner, 6.0)
    assert plan.command.accel > 0.1 and "stop_line" not in plan.terms


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"horizon": 8}, "horizon cannot change"),
        ({"optimiser": "mppi"}, "optimiser cannot change"),
        ({"actor_proposals": 2}, "learned behaviour"),
        ({"weights": CostWeights(value=1.0)}, "learned behaviour"),
    ],
)
def test_what_cannot_change_is_refused_and_leaves_all_as_it_was(changed, text):
    planner = Planner(ToyWorld())
    with pytest.raises(UserError, match=text):
        planner.configure(PlannerConfig(**changed))
    assert planner.config == PlannerConfig()


def test_parameters_that_need_what_is_not_there_are_refused():
    class Least:
        dt = 0.2

        def imagine(self, *args):
            return ToyWorld().imagine(*args)

    with pytest.raises(UserError, match="says what it sees"):
        Planner(Least(), PlannerConfig(hazards="perceived"))
    assert Planner(Least()).plan(None, state(5.0), STRAIGHT).usable, "without an ensemble"


@pytest.mark.parametrize("knots", [1, 16])
def test_knots_are_0_or_from_2_to_the_horizon(knots):
    with pytest.raises(ValueError, match="knots"):
        PlannerConfig(knots=knots)
