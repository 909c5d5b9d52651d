"""Doubt as a state machine: hysteresis 3 on, 20 off, and what follows."""

from __future__ import annotations

import math

import pytest

from wm_dynamics.novelty import Novelty
from wm_planner.doubt import Band, Doubt, Level, Usual, usual_of
from wm_planner.planner_config import DoubtConfig

USUAL = Usual(Band(1.0, 2.0), Band(0.1, 0.2))
CONFIG = DoubtConfig()


def feed(doubt: Doubt, novelty, disagreement, frames: int, **more):
    for _ in range(frames):
        state = doubt.update(novelty, disagreement, **more)
    return state


def in_doubt() -> Doubt:
    doubt = Doubt(CONFIG, USUAL)
    assert feed(doubt, 3.0, 0.0, 3).level is Level.DOUBT
    return doubt


@pytest.mark.parametrize(
    ("novelty", "disagreement", "named"),
    [(2.1, 0.0, "novelty"), (0.0, 0.21, "disagreement"), (math.nan, 0.0, "novelty")],
)
def test_three_frames_above_the_99th_percentile_begin_it(novelty, disagreement, named):
    doubt = Doubt(CONFIG, USUAL)
    assert not feed(doubt, novelty, disagreement, 2).tripped
    state = feed(doubt, novelty, disagreement, 1)
    assert state.tripped and state.level is Level.DOUBT and named in state.reason
    assert state.speed_cap_mps == CONFIG.speed_cap_mps and state.risk_factor == CONFIG.risk_factor


def test_three_that_are_not_in_a_row_do_not():
    doubt = Doubt(CONFIG, USUAL)
    for _ in range(10):
        feed(doubt, 3.0, 0.0, 2)
        assert not feed(doubt, 1.5, 0.0, 1).tripped


def test_twenty_frames_below_the_95th_percentile_end_it():
    doubt = in_doubt()
    assert feed(doubt, 0.9, 0.09, 19).tripped
    state = feed(doubt, 0.9, 0.09, 1)
    assert not state.tripped and state.level is Level.USUAL and state.reason == ""
    assert state.speed_cap_mps == math.inf and state.risk_factor == 1.0


def test_between_the_percentiles_nothing_changes():
    doubt = in_doubt()
    assert feed(doubt, 1.5, 0.0, 100).tripped
    assert feed(doubt, 0.0, 0.15, 100).tripped
    assert not feed(Doubt(CONFIG, USUAL), 1.5, 0.15, 100).tripped


def test_far_from_usual_for_long_asks_for_a_stop_and_it_comes_back_step_by_step():
    doubt = Doubt(CONFIG, USUAL)
    far = CONFIG.stop_ratio * 2.0 + 0.1
    assert feed(doubt, far, 0.0, CONFIG.stop_after - 1).level is Level.DOUBT
    assert feed(doubt, far, 0.0, 1).level is Level.STOP
    assert feed(doubt, 1.5, 0.0, 19).level is Level.STOP
    assert feed(doubt, 1.5, 0.0, 1).level is Level.DOUBT
    assert feed(doubt, 0.5, 0.0, 20).level is Level.USUAL


def test_disagreement_alone_and_a_switched_off_stop_never_ask_for_one():
    assert feed(Doubt(CONFIG, USUAL), 0.0, 99.0, 100).level is Level.DOUBT
    never = Doubt(DoubtConfig(stop_after=0), USUAL)
    assert feed(never, 99.0, 0.0, 100).level is Level.DOUBT


def test_degraded_perception_is_doubt_for_any_model_but_no_stop():
    for usual in (USUAL, Usual()):
        doubt = Doubt(CONFIG, usual)
        state = feed(doubt, 0.0, 0.0, 100, degraded=True)
        assert state.level is Level.DOUBT and "perception" in state.reason
        assert not feed(doubt, 0.0, 0.0, 20).tripped


def test_what_nobody_measured_is_no_sign():
    assert not feed(Doubt(CONFIG, Usual()), 99.0, 99.0, 50).tripped
    assert not feed(Doubt(CONFIG, USUAL), None, None, 50).tripped


def test_switched_off_and_reset():
    assert not feed(Doubt(DoubtConfig(enabled=False), USUAL), 99.0, 99.0, 50).tripped
    doubt = in_doubt()
    doubt.reset()
    assert not doubt.state.tripped and not feed(doubt, 3.0, 0.0, 2).tripped


def test_the_bands_are_those_measured_for_the_model():
    assert usual_of(None) == Usual()
    old = Novelty({}, 2.6, 0.2, {})
    assert usual_of(old) == Usual(Band(2.6, 2.6), None)
    quantiles = {"novelty": [1.7, 2.6], "disagreement": [0.5, 0.8]}
    new = Novelty({}, 2.6, 0.2, {"quantiles": quantiles})
    assert usual_of(new) == Usual(Band(1.7, 2.6), Band(0.5, 0.8))
