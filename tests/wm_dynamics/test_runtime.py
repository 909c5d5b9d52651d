"""The C++ engine computes what the specification says, on every instruction set there is."""

from __future__ import annotations

import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest

from wm_dynamics.config import SIZES, ModelConfig
from wm_dynamics.engine import Engine, extension, instruction_sets
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_dynamics.reference import Futures, head_values, imagine
from wm_dynamics.reference_latents import make_latent
from wm_dynamics.weights import Weights, read_weights, weights_of
from wm_planner.arithmetic_cpp import fastest_arithmetic

SHIPPED = Path(__file__).parents[2] / "models" / "driving-bev"
CLOSE = 1e-4
STATE = np.array([0.5, 0.02, 0.0, 0.1, 0.0], np.float32)
FIELDS = ("path", "speed", "heads", "spreads", "deter", "stoch", "ego_state")
VARIANTS = [
    {"core": core, "latent": latent, "ensemble": ensemble}
    for core in ("gru", "block_gru")
    for latent in ("discrete", "gaussian")
    for ensemble in (1, 3)
] + [
    {"groups": 3, "classes": 24, "ensemble": 2},  # groups and vectors do not line up
    {"groups": 9, "classes": 33, "ensemble": 2, "hidden": 48, "deter": 80},
    {"latent": "gaussian", "gaussian_width": 13},
    {"core": "block_gru", "core_blocks": 2, "deter": 96, "hidden": 64},
    {"core": "block_gru", "core_blocks": 16},
]

pytestmark = pytest.mark.skipif(not instruction_sets(), reason="built without a compiler")


def weights(changes: dict, seed: int = 1) -> Weights:
    config = ModelConfig.model_validate({**SIZES["tiny"].model_dump(), **changes})
    return weights_of(WorldModel.untrained(config, seed))


def belief(config: ModelConfig, rows: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    shape = () if rows is None else (rows,)
    deter = np.tanh(rng.normal(size=(*shape, config.deter))).astype(np.float32)
    if config.latent == "gaussian":
        return deter, rng.normal(size=(*shape, config.gaussian_width)).astype(np.float32)
    return deter, rng.integers(0, config.classes, (*shape, config.groups))


def actions(n: int, horizon: int = 15) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (n, horizon, 2)).astype(np.float32)


def uniforms(config: ModelConfig, n: int, horizon: int = 15) -> np.ndarray:
    width = belief(config)[1].shape[0]
    return np.random.default_rng(1).random((n, horizon, width), np.float32)


def assert_same(found: Futures, wanted: Futures) -> None:
    for name in FIELDS:
        ours, theirs = getattr(found, name), getattr(wanted, name)
        np.testing.assert_allclose(ours, theirs, atol=CLOSE, rtol=CLOSE, err_msg=name)


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_every_variant_is_what_the_specification_says(changes, isa):
    model = weights(changes)
    engine, start, wanted = Engine(model, isa=isa), belief(model.config), actions(7)
    draws = uniforms(model.config, 7)
    for how in ({}, {"every_member": True}, {"uniforms": draws}):
        assert_same(
            engine.imagine(*start, STATE, wanted, **how),
            imagine(model, *start, STATE, wanted, **how),
        )


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("every_member", [False, True])
def test_the_shipped_model_is_what_the_specification_says(threads, every_member):
    model = read_weights(SHIPPED)
    engine, start, wanted = Engine(model, threads=threads), belief(model.config), actions(110)
    for n in (1, 24, 110):
        assert_same(
            engine.imagine(*start, STATE, wanted[:n], every_member),
            imagine(model, *start, STATE, wanted[:n], every_member),
        )


def test_heads_of_the_present_belief():
    model = weights({})
    deter, stoch = belief(model.config)
    wanted = head_values(model.tensors, deter[None], stoch[None], make_latent(model.config))
    np.testing.assert_allclose(Engine(model).heads(deter, stoch), wanted[0], atol=CLOSE)


@pytest.mark.parametrize("latent", ["discrete", "gaussian"])
def test_every_future_may_start_from_a_belief_of_its_own(latent):
    model = weights({"latent": latent})
    start, wanted = belief(model.config, 5), actions(5)
    assert_same(Engine(model).imagine(*start, STATE, wanted), imagine(model, *start, STATE, wanted))


def test_the_same_numbers_however_many_threads_and_callers():
    model = weights({"ensemble": 3})
    engine, start = Engine(model, threads=4), belief(model.config)
    alone = Engine(model).imagine(*start, STATE, actions(200))
    found: list[Futures] = []

    def call() -> None:
        found.append(engine.imagine(*start, STATE, actions(200)))

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(found) == 4
    for futures in found:
        for name in ("path", "stoch"):
            np.testing.assert_array_equal(getattr(futures, name), getattr(alone, name))
        np.testing.assert_allclose(futures.heads, alone.heads, atol=CLOSE)


@pytest.mark.skipif("avx512_bf16" not in instruction_sets(), reason="needs AVX512-BF16")
@pytest.mark.parametrize("core", ["gru", "block_gru"])
def test_bfloat16_is_near_where_no_class_can_flip(core):
    model = weights({"latent": "gaussian", "core": core})
    start, wanted = belief(model.config), actions(9)
    exact = Engine(model).imagine(*start, STATE, wanted)
    quick = Engine(model, "bf16").imagine(*start, STATE, wanted)
    assert np.abs(exact.deter - quick.deter).max() < 0.03
    np.testing.assert_array_equal(exact.path, quick.path)  # the ego motion stays float32
    assert (exact.heads != quick.heads).any()


def test_what_is_not_a_number_stays_so():
    model = weights({})
    deter, stoch = belief(model.config)
    deter[0] = np.nan
    found = Engine(model).imagine(deter, stoch, STATE, actions(2))
    assert np.isnan(found.heads).all() and np.isfinite(found.path).all()
    wild = actions(2)
    wild[1, 3] = np.inf
    found = Engine(model).imagine(*belief(model.config), STATE, wild)
    assert np.isfinite(found.heads[0]).all() and not np.isfinite(found.path[1]).all()


BAD = {
    "deter": {"deter": np.zeros(31)},
    "stoch": {"stoch": np.zeros(5, np.int64)},
    "out of range": {"stoch": np.full(4, 8)},
    "class": {"stoch": np.full(4, -1)},
    "int64": {"stoch": np.zeros(4, np.float32)},
    "ego_state": {"ego_state": np.zeros(6)},
    "actions": {"actions": np.zeros((3, 15, 3))},
    "too few": {"actions": np.zeros((0, 15, 2))},
    "uniforms": {"uniforms": np.zeros((3, 15, 5))},
    "not samples": {"uniforms": np.zeros((3, 15, 4)), "every_member": True},
}


@pytest.mark.parametrize("says", BAD)
def test_arguments_that_do_not_fit_are_refused(says):
    engine = Engine(weights({}))
    good = {
        "deter": np.zeros(32),
        "stoch": np.zeros(4, np.int64),
        "ego_state": STATE,
        "actions": actions(3),
    }
    with pytest.raises(ValueError, match=says):
        engine.imagine(**{**good, **BAD[says]})
    assert engine.imagine(**good).path.shape == (3, 15, 3)


def test_what_it_cannot_run_is_refused():
    for changes, says in (({"core": "transformer"}, "transformer"), ({"hidden": 24}, "multiples")):
        with pytest.raises(UserError, match=says):
            Engine(weights(changes))
    model = weights({})
    for how, says in (
        ({"isa": "abacus"}, "unknown instruction set"),
        ({"precision": "fp7"}, "unknown precision"),
        ({"isa": "portable", "precision": "bf16"}, "portable has no bf16"),
        ({"threads": 0}, "threads"),
    ):
        with pytest.raises(UserError, match=says):
            Engine(model, **how)
    tensors = {**model.tensors, "rssm.inp.bias": np.zeros(31, np.float32)}
    with pytest.raises(UserError, match=r"rssm.inp.bias is \(31,\)"):
        Engine(Weights(model.config, tensors))
    tensors = {**model.tensors, "rssm.inp.bias": np.full(32, np.nan, np.float32)}
    with pytest.raises(UserError, match="not finite"):
        Engine(Weights(model.config, tensors))


def test_an_engine_of_other_sources_is_refused(monkeypatch):
    older = types.ModuleType("_wm_runtime")
    monkeypatch.setitem(sys.modules, "_wm_runtime", older)
    with pytest.raises(UserError, match="built from other sources.*make setup"):
        extension()
    assert instruction_sets() == []
    assert fastest_arithmetic().name == "numpy"


def test_its_peak_can_be_measured():
    assert extension().peak("auto", "fp32") > 0.0
