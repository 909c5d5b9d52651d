"""Novelty: signs that can be counted by hand, a score that knows usual from unusual."""

from __future__ import annotations

import math
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from wm_dynamics.backend import TorchBackend
from wm_dynamics.checkpoint import load_checkpoint, save_checkpoint
from wm_dynamics.config import SIZES
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_dynamics.novelty import (
    SPANS_S,
    WARM_STEPS,
    Novelty,
    Usual,
    combine,
    extend,
    follow,
)
from wm_dynamics.novelty_file import FILE, load_novelty, save_novelty
from wm_dynamics.novelty_fit import fit_novelty, ledoit_wolf
from wm_dynamics.novelty_signs import Glimpse, mask_signs, moved_masks, picture_signs, signs
from wm_dynamics.synthetic import synthetic_window
from wm_dynamics.variants import variant

CONFIG = SIZES["tiny"]
STILL = np.zeros((1, 3), np.float32)


@pytest.fixture(scope="module")
def model() -> WorldModel:
    return WorldModel.untrained(CONFIG)


def glimpses(model: WorldModel, batch: dict) -> list[Glimpse]:
    latent, seen = model.initial(len(batch["action"])), []
    for t in range(batch["action"].shape[1]):
        streams = {name: batch[name][:, t] for name in model.config.streams}
        action, motion = batch["action"][:, t], batch["motion"][:, t]
        observed = model.observe_closely(latent, action, motion, streams)
        latent = observed.latent
        seen.append(Glimpse(action, motion, streams, observed))
    return seen


def usual(model: WorldModel, seed: int) -> dict[str, np.ndarray]:
    """Extended signs of made-up driving, group -> (N, T, d)."""
    seen = glimpses(model, synthetic_window(model.config, 24, 40, seed))
    rows: dict[str, list] = {}
    for before, now in zip(seen, seen[1:], strict=False):
        for name, numbers in signs(now, before, model.ego, model.config).items():
            kept = rows.setdefault(name, [])
            kept.append(extend(name, numbers, kept[-1] if kept else None, model.config.dt))
    return {name: np.stack(r, 1) for name, r in rows.items()}


@pytest.fixture(scope="module")
def novelty(model) -> Novelty:
    return fit_novelty(usual(model, 0), usual(model, 1), model.config.dt, {"data_hash": "x"})


def scores(model, novelty, batch) -> np.ndarray:
    trace, found = None, []
    for now in glimpses(model, batch):
        trace, score = follow(novelty, trace, now, model.ego, model.config)
        found.append(score)
    return np.stack(found, 1)


def test_masks_move_against_the_vehicle():
    masks = np.zeros((1, 64, 64), np.uint8)
    masks[0, 20:24, 30:32] = 8
    ahead = moved_masks(masks, np.array([[1.6, 0.0, 0.0]], np.float32), CONFIG)
    np.testing.assert_array_equal(ahead, np.roll(masks, 2, 1), "1.6 m are two cells nearer")
    left = moved_masks(masks, np.array([[0.0, 1.6, 0.0]], np.float32), CONFIG)
    np.testing.assert_array_equal(left, np.roll(masks, 2, 2))
    turned = moved_masks(masks, np.array([[0.0, 0.0, math.pi / 2]], np.float32), CONFIG)
    rows, columns = np.nonzero(turned[0])
    assert abs(rows.mean() - 0.78 * 64) < 3, "what was ahead is to the right after a left turn"
    assert columns.mean() > 55


def test_what_appears_and_vanishes_is_counted():
    before = np.zeros((1, 64, 64), np.uint8)
    before[0, 30:34, 30:32] = 8
    now = np.zeros_like(before)
    now[0, 10:14, 30:32] = 8
    same = mask_signs(before, before, STILL, CONFIG)[0]
    other = mask_signs(now, before, STILL, CONFIG)[0]
    vehicle, channels = 3, CONFIG.bev_channels
    assert other[vehicle] == other[channels + vehicle] == pytest.approx(math.log1p(8))
    assert same[vehicle] == same[channels + vehicle] == 0.0
    assert same[3 * channels + vehicle] == pytest.approx(math.log1p(8)), "cells that are set"


def test_a_moving_vehicle_that_stays_is_told_from_one_that_moves():
    before = np.zeros((1, 64, 64), np.uint8)
    before[0, 30:34, 30:32] = 8
    before[0, 20:32, 30:32] |= 16  # it drives up
    driven = np.zeros_like(before)
    driven[0, 28:32, 30:32] = 8
    ahead, taken, stayed = -4, -3, -2  # then the way driven
    moved = mask_signs(driven, before, STILL, CONFIG)[0]
    stuck = mask_signs(before, before, STILL, CONFIG)[0]
    assert moved[ahead] == stuck[ahead] == pytest.approx(math.log1p(20))
    assert moved[taken] == pytest.approx(math.log1p(4)) and stuck[taken] == 0.0
    assert stuck[stayed] > moved[stayed]


def test_pictures_show_black_blur_and_standing_still():
    rng = np.random.default_rng(0)
    one, two = rng.integers(0, 256, (2, 1, 80, 144, 3), np.uint8)
    live = picture_signs(two, one)[0]
    frozen, black = picture_signs(two, two)[0], picture_signs(0 * two, one)[0]
    change, sharp = slice(32, 48), -1
    assert (frozen[change] == 0.0).all() and (live[change] > 1.0).all()
    assert black[sharp] == 0.0 < live[sharp] and (black[:16] == 0.0).all()


def test_the_covariance_is_shrunk_where_there_is_little_data():
    rng = np.random.default_rng(0)
    few = rng.normal(size=(20, 40))
    assert np.linalg.matrix_rank(np.cov(few.T)) < 40
    np.linalg.cholesky(ledoit_wolf(few - few.mean(0)))
    many = rng.normal(size=(50_000, 3)) * [1.0, 2.0, 3.0]
    np.testing.assert_allclose(np.diag(ledoit_wolf(many)), [1.0, 4.0, 9.0], rtol=0.05)


def test_means_run_over_their_spans():
    first = extend("motion", np.ones((1, 2), np.float32), None, 0.2)
    assert first.tolist() == [[1.0] * 6]
    second = extend("motion", np.zeros((1, 2), np.float32), first, 0.2)
    np.testing.assert_allclose(second[0, 2::2], [1 - 0.2 / span for span in SPANS_S])
    assert extend("scene", np.ones((1, 2)), None, 0.2).shape == (1, 2), "none for the embedding"


def test_usual_driving_is_usual_and_a_break_is_seen(model, novelty):
    batch = synthetic_window(CONFIG, 24, 40, seed=2)
    calm = scores(model, novelty, batch)[:, WARM_STEPS:]
    assert (calm > novelty.threshold).mean() < 0.1
    broken = {**batch, "state": batch["state"] + 4.0 * (torch.arange(40) >= 20)[:, None]}
    odd = scores(model, novelty, broken)
    assert np.array_equal(odd[:, :20], scores(model, novelty, batch)[:, :20]), "not before"
    assert (odd[:, 25:] > novelty.threshold).mean() > 0.9


def test_flickering_masks_are_unusual(model, novelty):
    batch = synthetic_window(CONFIG, 12, 40, seed=3)
    dark = batch["bev"].clone()
    dark[:, ::2] = 0
    assert (scores(model, novelty, {**batch, "bev": dark})[:, 8:] > novelty.threshold).mean() > 0.9


def test_nothing_is_said_at_first_and_no_number_is_never_usual(model, novelty):
    batch = synthetic_window(CONFIG, 2, 10, seed=4)
    assert (scores(model, novelty, batch)[:, :WARM_STEPS] == 0.0).all()
    batch["state"][0, 6] = math.nan
    found = scores(model, novelty, batch)
    assert np.isnan(found[0, 6:]).all() and np.isfinite(found[1]).all()
    assert novelty.unusual(math.nan) and novelty.unusual(novelty.threshold + 1e-6)
    assert not novelty.unusual(novelty.threshold)


def test_the_facts_say_where_doubt_ends_and_begins(model):
    measured = {"quantiles": {"disagreement": [0.1, 0.2]}}
    novelty = fit_novelty(usual(model, 0), usual(model, 1), model.config.dt, measured)
    low, high = novelty.facts["quantiles"]["novelty"]
    assert low < high == novelty.threshold
    assert novelty.facts["quantiles"]["disagreement"] == [0.1, 0.2]


def test_the_soft_maximum():
    np.testing.assert_allclose(combine(np.zeros((3, 2))), 0.0, atol=1e-12)
    assert combine(np.array([0.0, 1e4])) == pytest.approx(1e4, rel=1e-3), "does not overflow"


def test_too_little_driving_is_refused(model):
    few = {name: x[:2] for name, x in usual(model, 0).items()}
    with pytest.raises(UserError, match="500 steps"):
        fit_novelty(few, few, 0.2, {})


@pytest.mark.parametrize("inputs", ["camera", "cameras-3", "all"])
def test_models_with_cameras_are_scored(inputs):
    config = variant("tiny", inputs=inputs)
    other = WorldModel.untrained(config)
    batch = synthetic_window(config, 2, 8)
    seen = glimpses(other, batch)
    found = signs(seen[1], seen[0], other.ego, config)
    assert set(config.cameras) <= set(found)
    assert ("masks" in found) == config.bev
    without = {name: x for name, x in seen[1].streams.items() if name != "camera_front"}
    gone = Glimpse(seen[1].action, seen[1].motion, without, seen[1].observed)
    assert "camera_front" not in signs(gone, seen[0], other.ego, config)


def test_it_lies_beside_the_model_and_belongs_to_its_weights(model, novelty, tmp_path):
    save_checkpoint(model, tmp_path)
    assert load_checkpoint(tmp_path).novelty is None
    loaded = load_checkpoint(tmp_path)
    save_novelty(novelty, tmp_path, loaded.metadata["weights_sha256"])
    again = load_checkpoint(tmp_path)
    batch = synthetic_window(CONFIG, 2, 10, seed=5)
    np.testing.assert_array_equal(
        scores(again, again.novelty, batch), scores(model, novelty, batch)
    )
    assert again.novelty.facts == novelty.facts
    with pytest.raises(UserError, match="other weights"):
        load_novelty(tmp_path, "0" * 64)
    (tmp_path / FILE).write_bytes(b"nonsense")
    with pytest.raises(UserError, match="wm calibrate"):
        load_checkpoint(tmp_path)
    save_checkpoint(model, tmp_path)
    assert load_checkpoint(tmp_path).novelty is None, "new weights: the old measure goes"


def test_the_backend_scores_as_the_batch_does(model, novelty):
    model = WorldModel.untrained(CONFIG)
    model.novelty = novelty
    backend = TorchBackend(model)
    batch = synthetic_window(CONFIG, 1, 12, seed=6)
    latent, trace, found, surprises = backend.initial(), None, [], []
    plain, expected = backend.initial(), []
    for t in range(12):
        sight = SimpleNamespace(sensors={})
        sight.bev = batch["bev"][0, t].numpy()
        sight.state, sight.route = batch["state"][0, t].numpy(), batch["route"][0, t].numpy()
        action, motion = batch["action"][0, t].numpy(), batch["motion"][0, t].numpy()
        latent, surprise, trace, score = backend.observe_judged(
            latent, trace, action, motion, sight
        )
        plain, same = backend.observe(plain, action, motion, sight)
        found.append(score)
        surprises.append(surprise)
        expected.append(same)
    np.testing.assert_allclose(found, scores(model, novelty, batch)[0], rtol=1e-4, atol=1e-4)
    assert surprises == expected


@pytest.mark.slow
def test_a_score_costs_less_than_a_millisecond():
    model = WorldModel.untrained(SIZES["small"])
    found = {}
    for seed in (0, 1):
        found[seed] = usual(model, seed)
    novelty = fit_novelty(found[0], found[1], 0.2, {})
    seen = glimpses(model, synthetic_window(model.config, 1, 60))
    trace, times = None, []
    for now in seen:
        begin = time.perf_counter()
        trace, _ = follow(novelty, trace, now, model.ego, model.config)
        times.append(time.perf_counter() - begin)
    assert np.median(times) < 1e-3


def test_distances_are_mahalanobis():
    gauss = Usual(np.array([1.0, 0.0]), np.diag([1.0, 0.5]), 0.0, 1.0)
    assert gauss.log_distance(np.array([[3.0, 2.0]]))[0] == pytest.approx(math.log(5.0))
