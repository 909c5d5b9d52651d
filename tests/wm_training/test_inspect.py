"""`wm inspect`: numbers that can be checked by hand, and a page from a tiny store."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from wm_dynamics.beliefs import beliefs
from wm_dynamics.checkpoint import load_checkpoint
from wm_dynamics.config import SIZES
from wm_dynamics.ego import integrate
from wm_dynamics.errors import UserError
from wm_dynamics.imagine import FastImagination
from wm_dynamics.model import WorldModel
from wm_planner.paths import model_path
from wm_training.commands import inspect as command
from wm_training.inspect_beyond import Beyond
from wm_training.inspect_bicycle import bicycle, constant_velocity, fit_bicycle
from wm_training.inspect_metrics import (
    area,
    calibration_error,
    event,
    mean,
    path_errors,
    ratio,
    reliability,
    spearman,
)
from wm_training.inspect_moments import CONTEXT, Ego, measure
from wm_training.inspect_strips import IMAGINED, SIDE, scenes, strip, worst
from wm_training.inspect_summary import find, summary
from wm_training.sampler import WindowSampler
from wm_training.store import Store

KEYS = {
    "ego_error_m": {"1s", "2s", "3s"},
    "constant_velocity_error_m": {"1s", "2s", "3s"},
    "bicycle_error_m": {"1s", "2s", "3s"},
    "vehicle_iou": {"1s", "2s"},
    "copy_last_iou": {"1s", "2s"},
    "leader_gap_error_m": {"0s", "3s"},
    "stop_line_error_m": {"0s", "3s"},
    "counterfactual": {"collision_auroc", "gap_bias_m", "stop_bias_m"},
}
NUMBERS = {"collision_auroc", "offroad_auroc", "disagreement_spearman", "ood_auroc", "ece"}


@pytest.fixture(scope="module")
def model() -> WorldModel:
    return load_checkpoint(model_path("driving-bev"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_store):
    return write_store(tmp_path_factory.mktemp("data") / "store", episodes=4)


@pytest.fixture(scope="module")
def moments(model, folder):
    return measure(model, Store.open(folder), 60)


def straight(count: int, speed: float, actions: np.ndarray) -> Ego:
    """Windows at a constant speed, 15 steps of 0.2 s."""
    state = np.zeros((count, 5), np.float32)
    state[:, 0] = speed / 10
    path = np.zeros((count, 15, 3), np.float32)
    path[..., 0] = speed * 0.2 * np.arange(1, 16)
    return Ego(state, actions.astype(np.float32), path, np.ones((count, 15), bool), 0.2)


def test_the_page_and_the_numbers(model, folder, tmp_path, capsys):
    out, file = tmp_path / "page", tmp_path / "deep" / "numbers.json"
    arguments = {"model": model_path("driving-bev"), "out": out, "json": file, "windows": 60}
    command.main(command.Args(data=[folder], **arguments))
    result = json.loads(file.read_text())
    assert set(result) == {*KEYS, *NUMBERS, "intervals", "counts", "details", "why"}
    for name, keys in KEYS.items():
        assert set(result[name]) == keys
    for name in set(KEYS) - {"counterfactual"}:
        for key, value in result[name].items():
            low, high = result["intervals"][name][key]
            assert np.isfinite(value) and low <= value <= high, (name, key)
            assert result["counts"][name][key] > 0
    assert set(result["counterfactual"].values()) == {None} and result["ood_auroc"] is None
    assert {"counterfactual", "ood_auroc"} <= set(result["why"])
    assert "too few" in result["why"]["offroad_auroc"], "nobody leaves the road in this store"
    page = (out / "index.html").read_text()
    assert page.count("<img ") == len(list(out.glob("*.png"))) >= 8
    assert not re.search(r"(src|href)=['\"](https?:)?//", page), "the page needs no other host"
    videos = re.findall(r"href='(worst-\d\.mp4)'", page)
    assert videos
    for video in videos:
        good, picture = cv2.VideoCapture(str(out / video)).read()
        assert good and picture.std() > 0
    assert "index.html" in capsys.readouterr().out


def test_true_motion_is_followed_from_the_moment_on(moments, folder):
    store = Store.open(folder)
    row = 7
    first = moments.start[row] + (CONTEXT - 1) * 2
    assert moments.ego.state[row] == pytest.approx(store.columns["state"][first])
    motions = torch.from_numpy(store.columns["motion"][first + 1 : first + 31])
    if moments.ego.inside[row].all():
        assert moments.ego.path[row, -1] == pytest.approx(integrate(motions)[-1].numpy(), abs=1e-3)
    ends = store.starts[moments.episode + 1]
    steps = (ends - 1 - (moments.start + (CONTEXT - 1) * 2)) // 2
    assert (moments.ego.inside.sum(1) == np.minimum(steps, 15)).all()


def test_decoded_beliefs_are_those_of_the_fast_imagination(model):
    rng = np.random.default_rng(0)
    latent = model.initial(3)
    state = torch.from_numpy(rng.normal(0, 0.3, (3, 5)).astype(np.float32))
    actions = torch.from_numpy(rng.uniform(-1, 1, (3, 15, 2)).astype(np.float32))
    rollout = FastImagination(model, torch.float32)(latent, state, actions)
    for t, belief in enumerate(beliefs(model, latent, state, actions)):
        gap = model.perceive(belief)["leader_gap"]
        torch.testing.assert_close(gap, rollout.heads["leader_gap"][:, t], atol=1e-3, rtol=1e-3)


def test_the_bicycle_learns_another_bicycle_from_its_driving():
    rng = np.random.default_rng(0)
    actions = np.repeat(rng.uniform(-0.6, 0.6, (200, 1, 2)), 15, 1)
    ego = straight(200, 6.0, actions)
    truth = bicycle(np.array([0.5, 3.2, 1.0, 4.0, 6.0, 0.08, 0.2]), ego)
    driven = replace(ego, path=np.concatenate([truth, np.zeros((200, 15, 1))], -1))
    found = bicycle(fit_bicycle(driven), ego)
    error = np.linalg.norm(found - truth, axis=-1)[:, -1].mean()
    assert error < 0.2 < 0.1 * np.linalg.norm(constant_velocity(ego) - truth, axis=-1)[:, -1].mean()
    left = actions.copy()
    left[..., 0] = 0.5
    assert (bicycle(np.array([0.5, 3.2, 1.0, 4.0, 6.0, 0.08, 0.2]),
                    straight(200, 6.0, left))[:, -1, 1] > 0).all()  # fmt: skip


def test_constant_velocity_is_right_where_the_speed_is_constant():
    ego = straight(4, 7.0, np.zeros((4, 15, 2)))
    np.testing.assert_allclose(constant_velocity(ego), ego.path[..., :2], atol=1e-5)


def test_the_bicycle_is_fitted_on_other_episodes(moments, monkeypatch):
    seen = []

    def spy(ego):
        seen.append(ego.state)
        return np.array([0.6, 2.8, 1.4, 3.0, 7.0, 0.05, 0.1])

    monkeypatch.setattr("wm_training.inspect_metrics.fit_bicycle", spy)
    errors = path_errors(moments, None)
    assert sum(map(len, seen)) == len(moments.start) and len(seen) == 2
    assert (np.isnan(errors["bicycle_error_m"]) == ~moments.ego.inside).all()
    alone = replace(moments, episode=np.zeros_like(moments.episode))
    assert np.isnan(path_errors(alone, None)["bicycle_error_m"]).all()


def test_without_other_episodes_there_is_no_bicycle_but_a_reason(moments):
    alone = replace(moments, episode=np.zeros_like(moments.episode))
    result = summary(alone, find(alone, None, Beyond()))
    assert set(result["bicycle_error_m"].values()) == {None}
    assert "--fit" in result["why"]["bicycle_error_m"]
    assert result["intervals"]["ego_error_m"] == {"1s": None, "2s": None, "3s": None}
    assert "episodes" in result["why"]["intervals"]


def test_intervals_resample_episodes():
    episode = np.repeat([0, 1, 2, 3], 50)
    same = mean(np.tile([0.0, 1.0], 100), np.ones(200, bool), episode)
    assert (same.value, same.low, same.high, same.count) == (0.5, 0.5, 0.5, 200)
    apart = mean(np.repeat([0.0, 0.0, 1.0, 1.0], 50), np.ones(200, bool), episode)
    assert apart.value == 0.5 and apart.low < 0.1 and apart.high > 0.9
    two = mean(np.tile([0.0, 1.0], 50), np.ones(100, bool), np.repeat([0, 1], 50))
    assert (two.value, two.low, two.high) == (0.5, None, None), "two episodes say nothing"
    nothing = ratio(np.zeros(3), np.zeros(3), np.zeros(3))
    assert (nothing.value, nothing.count) == (None, 0)


def test_an_event_counts_before_it_happens_and_while_the_episode_lasts(moments):
    rows = slice(0, 4)
    inside = np.ones((4, 15), bool)
    inside[3, 5:] = False  # ends early without it: unknown
    now, later, heads = np.zeros(4), np.zeros((4, 15)), np.full((4, 15), 0.01)
    now[0] = later[0, 0] = 1.0  # happening already
    later[1, 9] = later[2, 10] = 1.0  # at 2.0 s, and just after
    case = replace(
        moments,
        ego=replace(moments.ego[np.arange(4)], inside=inside),
        episode=moments.episode[rows],
        labels_now=moments.labels_now | {"collision": now},
        labels=moments.labels | {"collision": later},
        heads=moments.heads | {"collision": heads},
    )
    seen = event(case, "collision")
    assert seen.happened.tolist() == [True, False]
    np.testing.assert_allclose(seen.probability, 1 - 0.99**10)
    assert (seen.area.value, seen.area.count, seen.calibration_error) == (None, 1, None)


def test_an_area_needs_ten_of_each():
    score, episode = np.linspace(0, 1, 40), np.arange(40) % 5
    assert area(score, score > 0.75, episode).value == 1.0
    assert area(score, score > 0.77, episode).value is None


def test_calibration_error():
    rng = np.random.default_rng(0)
    chance = rng.uniform(0, 1, 20_000)
    happened = rng.uniform(0, 1, 20_000) < chance
    assert calibration_error(chance, happened) < 0.02
    assert calibration_error(np.full(10, 0.9), np.arange(10) < 5) == pytest.approx(0.4)
    assert reliability(np.array([1.0, 0.0]), np.array([True, False])).tolist() == [
        [0.0, 0.0, 1.0],
        [1.0, 1.0, 1.0],
    ]


def test_rank_correlation():
    values = np.arange(20.0)
    assert spearman(values, np.exp(values)) == pytest.approx(1.0)
    assert spearman(values, -values) == pytest.approx(-1.0)
    assert spearman(values, np.ones(20)) is None
    tied = spearman(np.repeat([0.0, 1.0], 10), np.repeat([3.0, 5.0], 10))
    assert tied == pytest.approx(1.0)


def test_the_worst_moments_are_of_different_episodes_while_there_are_some(moments):
    errors = np.where(moments.ego.inside, np.arange(len(moments.start))[:, None], np.nan)
    rows = worst(moments, errors, 3, apart=50)
    assert len(rows) == 3 == len({moments.episode[row] for row in rows})
    assert rows[0] == np.flatnonzero(moments.ego.inside[:, -1])[-1]
    alone = replace(moments, episode=np.zeros_like(moments.episode))
    starts = np.sort(alone.start[worst(alone, errors, 3, apart=50)])
    assert len(starts) == 3 and np.diff(starts).min() >= 50


def test_only_what_is_imagined_is_marked(model, folder):
    sampler = WindowSampler(Store.open(folder), CONTEXT + 15, 2, min_steps=CONTEXT + 1, pools={})
    shown = scenes(model, sampler, sampler.starts[[0, -1]])
    assert shown.inside[0].all() and not shown.inside[1].all()
    marked = (strip(shown, 0) == IMAGINED).all(-1)
    rows, columns = np.nonzero(marked[:, SIDE:])
    assert rows.min() >= 22 + 128 + 8, "the upper line is the truth"
    assert columns.min() >= 128 + 8, "now is seen, not imagined"


def test_a_bag_is_measured_as_a_store(tmp_path, monkeypatch, write_store):
    asked = []

    def build(bags, out, options, console):
        asked.append(bags)
        write_store(out, episodes=3)

    monkeypatch.setattr("wm_training.from_bag.build_store", build)
    arguments = {"model": "driving-bev", "out": tmp_path / "page", "windows": 12}
    command.main(command.Args(bag=tmp_path / "drive.mcap", **arguments))
    assert asked == [[tmp_path / "drive.mcap"]]
    assert "driving-bev on drive.mcap" in (tmp_path / "page" / "index.html").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"page"}, "the store was for a moment"


def test_data_or_a_bag(tmp_path):
    with pytest.raises(UserError, match="not both"):
        command.main(command.Args(model="driving-bev", data=["a"], bag="b"))


def test_what_cannot_be_measured_is_said(model, folder, tmp_path, write_store):
    def run(**changes):
        arguments = {"model": "driving-bev", "out": tmp_path / "page", "data": [folder]}
        command.main(command.Args(**(arguments | changes)))

    with pytest.raises(UserError, match="no model directory"):
        run(model="nowhere")
    with pytest.raises(UserError, match="is no training store"):
        run(data=[tmp_path / "nothing"])
    with pytest.raises(UserError, match="no recording at"):
        run(data=[], bag=tmp_path / "bag")
    with pytest.raises(UserError, match="--windows"):
        run(windows=0)
    with pytest.raises(UserError, match="no episode is long enough"):
        run(data=[write_store(tmp_path / "short", episodes=2, frames=15)])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to"):
        run(out=tmp_path / "file", windows=4)
    assert not (tmp_path / "page").exists()
    other = WorldModel.untrained(SIZES["tiny"].model_copy(update={"dt": 0.25}))
    with pytest.raises(UserError, match="no multiple"):
        measure(other, Store.open(folder), 4)
    brief = WorldModel.untrained(SIZES["tiny"].model_copy(update={"horizon": 14}))
    with pytest.raises(UserError, match="imagines 2.8 s; 3 are needed"):
        measure(brief, Store.open(folder), 4)
