"""Whole plans by C++ are those by numpy, with the shipped models and every kind of parameter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from toy_world import STRAIGHT, ToyWorld, state

from wm_dynamics.array_latent import ArrayFutures, ArrayLatent
from wm_dynamics.backend_cpp import CppBackend
from wm_dynamics.engine import instruction_sets
from wm_dynamics.errors import UserError
from wm_dynamics.heads import HEADS
from wm_dynamics.novelty import Novelty
from wm_dynamics.reference import imagine
from wm_dynamics.weights import Weights, read_weights
from wm_planner import arithmetic_cpp
from wm_planner.arithmetic_cpp import CppArithmetic
from wm_planner.arithmetic_numpy import NumpyArithmetic
from wm_planner.paths import model_path
from wm_planner.plan import Plan
from wm_planner.planner import Planner
from wm_planner.planner_config import CostWeights, DoubtConfig, PlannerConfig, RiskConfig

pytestmark = pytest.mark.skipif(not instruction_sets(), reason="built without a compiler")

MODELS = ("driving-bev", "driving-camera")
AHEAD = np.arange(-5.0, 46.0)
BEND = np.stack([AHEAD, 0.5 + 0.01 * AHEAD * np.abs(AHEAD)], 1)
CONFIGS = [
    PlannerConfig(),
    PlannerConfig(optimiser="mppi"),
    PlannerConfig(optimiser="mppi", effective_share=0.5, iterations=3, decay=2.0),
    PlannerConfig(knots=6, iterations=2),
    PlannerConfig(knots=2, optimiser="mppi", horizon=8),
    PlannerConfig(noise_beta=0.0, steer_std=0.1, accel_std=1.5, seed=2**33 + 5),
    PlannerConfig(momentum=0.5, min_std=0.2, iterations=3, kept_elites=0),
    PlannerConfig(candidates=20, elites=12, kept_elites=12),
    PlannerConfig(hazards="perceived"),
    PlannerConfig(risk=RiskConfig(max_collision_probability=1.0)),
    PlannerConfig(risk=RiskConfig(beta=1.0, cvar_alpha=0.4, finalists=9)),
    PlannerConfig(risk=RiskConfig(max_collision_probability=1e-9)),
    PlannerConfig(risk=RiskConfig(horizon_budget=0.2, least_steps=2)),
    PlannerConfig(doubt=DoubtConfig(on_after=1, risk_factor=5.0, speed_cap_mps=1.0)),
    PlannerConfig(weights=CostWeights(near=0.0, smoothness=9.0, disagreement=3.0)),
    PlannerConfig(cruise_mps=3.0, leader_margin_m=8.0, leader_headway_s=2.0, stop_margin_m=9.0),
    PlannerConfig(max_lateral_acceleration=0.3, comfortable_deceleration=1.0),
]


class Reference:
    """Imagination in numpy, written to be read."""

    novelty = None

    def __init__(self, weights: Weights):
        self.weights, self.members, self.dt = weights, weights.config.ensemble, weights.config.dt

    def imagine(self, latent: ArrayLatent, ego_state, actions, every_member=False) -> ArrayFutures:
        start = (latent.deter[0], latent.stoch[0], ego_state, actions)
        found = imagine(self.weights, *start, every_member=every_member)
        heads = {head.name: found.heads[..., i] for i, head in enumerate(HEADS)}
        return ArrayFutures(found.path, found.speed, heads, found.disagreement, found.spreads)

    def imagine_members(self, latent, ego_state, actions) -> ArrayFutures:
        return self.imagine(latent, ego_state, actions, every_member=True)


@pytest.fixture(scope="module", params=MODELS)
def weights(request) -> Weights:
    return read_weights(model_path(request.param))


@pytest.fixture(scope="module")
def engine(weights) -> CppBackend:
    return CppBackend(weights)


def drive(planner: Planner, latent: Any, frames: int = 4) -> list[Plan]:
    """Frames that differ: faster and faster into a bend, arrived in the last."""
    plans = []
    for i in range(frames):
        ego = np.array([0.2 + 0.15 * i, 0.05 * i, 0.1, -0.2, 0.0], np.float32)
        reference = STRAIGHT if i == 0 else BEND
        plans.append(planner.plan(latent, ego, reference, i == 3, novelty=9.0 * i, degraded=i == 2))
    return plans


def assert_same(found: Plan, wanted: Plan, close: float) -> None:
    assert (found.chosen, found.feasible, found.finite) == (
        wanted.chosen, wanted.feasible, wanted.finite,
    )  # fmt: skip
    np.testing.assert_allclose(found.actions, wanted.actions, atol=close)
    for name in ("costs", "trusted_steps", "speed_cap_mps"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=close)
    for name in ("terms", "term_means", "term_least"):
        ours, theirs = getattr(found, name), getattr(wanted, name)
        assert set(ours) == set(theirs)
        for term in theirs:
            np.testing.assert_allclose(ours[term], theirs[term], rtol=close, atol=close)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: str(c.model_dump(exclude_defaults=True)))
def test_the_same_futures_make_the_same_plans(engine, config):
    found, wanted = (
        drive(Planner(engine, config, arithmetic=arithmetic), engine.initial())
        for arithmetic in (CppArithmetic(), NumpyArithmetic())
    )
    for ours, theirs in zip(found, wanted, strict=True):
        assert_same(ours, theirs, 1e-9)
    assert len({plan.command for plan in found}) == len(found)


@pytest.mark.parametrize("optimiser", ["icem", "mppi"])
def test_numpy_alone_makes_the_plans_that_cpp_alone_makes(weights, engine, optimiser):
    config = PlannerConfig(optimiser=optimiser)
    found = drive(Planner(engine, config, arithmetic=CppArithmetic()), engine.initial(), 2)
    slow = Planner(Reference(weights), config, arithmetic=NumpyArithmetic())
    for ours, theirs in zip(found, drive(slow, engine.initial(), 2), strict=True):
        assert_same(ours, theirs, 1e-4)


class Damaged:
    """The engine, some heads of whose futures are not numbers."""

    def __init__(self, engine: CppBackend, rows: slice, head: str):
        self._engine, self._rows, self._head = engine, rows, head
        self.members, self.dt, self.novelty = engine.members, engine.dt, engine.novelty

    def _damaged(self, futures: ArrayFutures) -> ArrayFutures:
        head = futures.heads[self._head].copy()
        head[self._rows, 4] = np.nan
        return replace(futures, heads={**futures.heads, self._head: head})

    def imagine(self, *asked) -> ArrayFutures:
        return self._damaged(self._engine.imagine(*asked))

    def imagine_members(self, *asked) -> ArrayFutures:
        return self._damaged(self._engine.imagine_members(*asked))


@pytest.mark.parametrize("optimiser", ["icem", "mppi"])
@pytest.mark.parametrize("head", ["collision", "leader_gap", "near"])
@pytest.mark.parametrize("rows", [slice(0, 5), slice(1, None), slice(None, None, 7), slice(None)])
def test_heads_that_are_not_numbers_have_the_same_consequences(engine, rows, head, optimiser):
    config = PlannerConfig(optimiser=optimiser, iterations=2)
    found, wanted = (
        drive(Planner(Damaged(engine, rows, head), config, arithmetic=a), engine.initial(), 2)
        for a in (CppArithmetic(), NumpyArithmetic())
    )
    for ours, theirs in zip(found, wanted, strict=True):
        assert_same(ours, theirs, 1e-9)
    assert found[0].usable == (rows != slice(None) and rows != slice(1, None))


def test_the_same_is_done_where_every_plan_may_collide():
    plans = [
        Planner(ToyWorld(wall_m=(None, 0.5)), arithmetic=arithmetic).plan(
            None, state(10.0), STRAIGHT
        )
        for arithmetic in (CppArithmetic(), NumpyArithmetic())
    ]
    assert not plans[0].feasible and plans[0].usable
    assert_same(*plans, 1e-9)


def test_doubt_has_the_same_consequences():
    world = ToyWorld()
    world.novelty = Novelty({}, 2.0, 0.2, {"quantiles": {"novelty": [1.0, 2.0]}})
    config = PlannerConfig(doubt=DoubtConfig(on_after=1, risk_factor=5.0))
    found, wanted = (
        drive(Planner(world, config, arithmetic=arithmetic), None)
        for arithmetic in (CppArithmetic(), NumpyArithmetic())
    )
    assert found[-1].speed_cap_mps == config.doubt.speed_cap_mps
    for ours, theirs in zip(found, wanted, strict=True):
        assert_same(ours, theirs, 1e-9)


def test_without_an_engine_numpy_does_the_sums(monkeypatch):
    assert isinstance(arithmetic_cpp.fastest_arithmetic(), CppArithmetic)
    built = Planner(ToyWorld()).plan(None, state(5.0), STRAIGHT)

    def missing():
        raise UserError("not built")

    monkeypatch.setattr(arithmetic_cpp, "extension", missing)
    assert isinstance(arithmetic_cpp.fastest_arithmetic(), NumpyArithmetic)
    assert_same(built, Planner(ToyWorld()).plan(None, state(5.0), STRAIGHT), 1e-9)
