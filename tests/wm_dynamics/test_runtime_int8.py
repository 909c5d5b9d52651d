"""The engine's int8 computes what its specification says, alike on every instruction set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wm_dynamics.backends import make_backend_of
from wm_dynamics.config import SIZES, ModelConfig
from wm_dynamics.engine import Engine, extension, instruction_sets
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_dynamics.reference import Futures, imagine
from wm_dynamics.reference_int8 import Int8Matrix, int8_weights, quantise_rows, quantise_weight
from wm_dynamics.weights import Weights, read_weights, weights_of

SHIPPED = Path(__file__).parents[2] / "models" / "driving-bev"
STATE = np.array([0.5, 0.02, 0.0, 0.1, 0.0], np.float32)
ROWS, STEPS = 41, 3
# A number between two integers may fall either way, and its future is another one from there on.
MOST_OTHER = 6  # of ROWS
FIELDS = ("path", "speed", "heads", "spreads", "deter", "stoch", "ego_state")
VARIANTS = (
    {"ensemble": 3},
    {"ensemble": 3, "latent": "gaussian", "gaussian_width": 13},
    {"ensemble": 2, "groups": 9, "classes": 33, "hidden": 48, "deter": 80},
    {"ensemble": 1, "hidden": 48, "deter": 544},  # more inputs than are exact in float32
)

needs_engine = pytest.mark.skipif(not instruction_sets(), reason="built without a compiler")


def weights(changes: dict) -> Weights:
    config = ModelConfig.model_validate({**SIZES["tiny"].model_dump(), **changes})
    return weights_of(WorldModel.untrained(config, 1))


def belief(config: ModelConfig) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    deter = np.tanh(rng.normal(size=config.deter)).astype(np.float32)
    if config.latent == "gaussian":
        return deter, rng.normal(size=config.gaussian_width).astype(np.float32)
    return deter, rng.integers(0, config.classes, config.groups)


def actions(n: int, horizon: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (n, horizon, 2)).astype(np.float32)


def rows_apart(found: Futures, wanted: Futures) -> set[int]:
    """Futures in which any number is another."""
    apart: set[int] = set()
    for name in FIELDS:
        ours, theirs = getattr(found, name), getattr(wanted, name)
        assert ours.shape == theirs.shape
        off = ~np.isclose(ours, theirs, atol=1e-4, rtol=1e-4)
        apart |= set(np.flatnonzero(off.reshape(len(ours), -1).any(1)))
    return apart


def test_rounding_is_never_off_by_more_than_half_a_step():
    x = np.random.default_rng(0).normal(size=(5, 48)).astype(np.float32)
    x[1] = 0.25  # one number throughout
    integers, scale, least = quantise_rows(x)
    assert integers.min() == 0 and integers.max() == 255
    assert (np.abs(integers * scale + least - x) <= 0.5001 * scale).all()
    integers, scale = quantise_weight(x)
    assert np.abs(integers).max() == 127
    assert (np.abs(integers * scale[:, None] - x) <= 0.5001 * scale[:, None]).all()


def test_the_product_is_that_of_the_rounded_numbers():
    rng = np.random.default_rng(0)
    x, weight = (rng.normal(size=(n, 64)).astype(np.float32) for n in (7, 24))
    wanted = np.zeros((7, 24))
    for part in (slice(0, 16), slice(16, 64)):
        integers, scale, least = quantise_rows(x[:, part])
        weights_of_part, weight_scale = quantise_weight(weight[:, part])
        wanted += (integers * scale.astype(float) + least) @ (
            weights_of_part * weight_scale.astype(float)[:, None]
        ).T
    np.testing.assert_allclose(x @ Int8Matrix(weight, (16, 48)).T, wanted, atol=1e-5)
    assert np.abs(wanted - x @ weight.T).max() < 0.15


@needs_engine
@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_every_instruction_set_computes_what_the_specification_says(changes, isa):
    model = weights(changes)
    start, wanted = belief(model.config), actions(ROWS, STEPS)
    draws = np.random.default_rng(1).random((ROWS, STEPS, len(start[1])), np.float32)
    for how in ({}, {"every_member": True}, {"uniforms": draws}):
        found = Engine(model, "int8", isa=isa).imagine(*start, STATE, wanted, **how)
        specified = imagine(int8_weights(model), *start, STATE, wanted, **how)
        exact = imagine(model, *start, STATE, wanted, **how)
        members = model.config.ensemble if "every_member" in how else 1
        assert len(rows_apart(found, specified)) <= MOST_OTHER * members
        assert len(rows_apart(found, exact)) == ROWS * members
        np.testing.assert_allclose(found.path, specified.path, atol=1e-4)


@needs_engine
def test_the_shipped_model_is_near_float32_and_nearer_to_its_specification():
    model = read_weights(SHIPPED)
    start = belief(model.config)
    for n in (1, 24, 110):
        found = Engine(model, "int8").imagine(*start, STATE, actions(n, 1))
        off = found.deter - imagine(int8_weights(model), *start, STATE, actions(n, 1)).deter
        exact = found.deter - imagine(model, *start, STATE, actions(n, 1)).deter
        assert np.abs(off).max() < 1e-3 and np.abs(off).mean() < 1e-5
        assert 1e-4 < np.abs(exact).mean() < 3e-3 and np.abs(exact).max() < 0.03


@needs_engine
def test_the_path_is_float32_and_threads_change_nothing():
    model = read_weights(SHIPPED)
    start, wanted = belief(model.config), actions(200, 15)
    exact = Engine(model).imagine(*start, STATE, wanted)
    alone, together = (Engine(model, "int8", n).imagine(*start, STATE, wanted) for n in (1, 3))
    np.testing.assert_array_equal(alone.path, exact.path)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(alone, name), getattr(together, name))


@needs_engine
@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_does_not_become_so(odd, isa):
    model = weights({})
    deter, stoch = belief(model.config)
    deter[5] = odd
    found = Engine(model, "int8", isa=isa).imagine(deter, stoch, STATE, actions(2, 2))
    assert np.isnan(found.heads).all() and np.isfinite(found.path).all()


@needs_engine
def test_a_backend_in_int8_tests_itself_and_says_what_it_is():
    backend = make_backend_of(read_weights(SHIPPED), "cpp", "int8")
    assert "int8" in backend.name and not backend.notice
    assert extension().peak("auto", "int8") > 0.0


@needs_engine
def test_a_core_without_int8_is_refused_and_said():
    model = weights({"core": "block_gru"})
    with pytest.raises(UserError, match="int8 is for the gru core"):
        Engine(model, "int8")
    with pytest.raises(UserError, match="int8 is for the gru core"):
        int8_weights(model)
    backend = make_backend_of(model, "auto", "int8")
    assert "fp32" in backend.name and "int8 is for the gru core" in backend.notice
