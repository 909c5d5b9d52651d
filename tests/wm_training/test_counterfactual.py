"""Same situation, other actions: what is collected, and what is measured with it."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from wm_dynamics.checkpoint import load_checkpoint
from wm_dynamics.errors import UserError
from wm_perception.frame import Command
from wm_planner.paths import model_path
from wm_training import counterfactual, counterfactual_eval
from wm_training.commands.counterfactual import Counterfactual
from wm_training.commands.counterfactual import counterfactual as run_command
from wm_training.counterfactual import collect_town
from wm_training.counterfactual_actions import WAYS, plan
from wm_training.counterfactual_eval import (
    Branches,
    differences,
    extrapolated,
    gather,
    measure_counterfactual,
    summary,
)
from wm_training.counterfactual_job import CounterfactualJob
from wm_training.store import Store

HISTORY = 22  # frames before the fork


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """Two situations of the small town."""
    path = tmp_path_factory.mktemp("counterfactual") / "tiny"
    collect_town(CounterfactualJob("tiny", 2, 3, path))
    return path


@pytest.fixture(scope="module")
def branches(collected) -> Branches:
    return gather(load_checkpoint(model_path("driving-bev")), Store.open(collected))


def test_branches_share_their_past_and_differ_after_it(collected):
    store = Store.open(collected)
    assert [info["way"] for info in store.infos] == 2 * list(WAYS)
    assert [info["situation"] for info in store.infos] == [0] * 8 + [1] * 8
    for episode, info in enumerate(store.infos):
        assert info["fork_frame"] == HISTORY and info["branch"] == episode % 8
        first = store.starts[episode - episode % 8]
        begin, end = store.starts[episode : episode + 2]
        assert end - begin <= HISTORY + 1 + 32
        for column in store.columns.values():
            past = column[begin : begin + HISTORY + 1]
            np.testing.assert_array_equal(past, column[first : first + HISTORY + 1])
        assert not store.columns["motion"][begin].any()
    ends = store.starts[1:] - 1
    speeds = store.columns["state"][ends, 0].reshape(2, 8)
    assert (speeds[:, WAYS.index("full_brake")] <= speeds.min(1) + 1e-3).all()
    assert (speeds[:, WAYS.index("throttle")] > speeds[:, WAYS.index("brake")] + 0.1).all()


def test_an_action_is_held_as_long_as_a_step_of_the_model(collected):
    store = Store.open(collected)
    for episode in range(16):
        commands = store.columns["command"][slice(*store.starts[episode : episode + 2])]
        branch = commands[HISTORY + 1 :]
        branch = branch[: len(branch) // 2 * 2].reshape(-1, 2, 2)
        np.testing.assert_array_equal(branch[:, 0], branch[:, 1])


def test_a_collection_that_was_stopped_goes_on_to_the_same_store(collected, tmp_path):
    def stop(done: int) -> None:
        if done:
            raise KeyboardInterrupt

    job = CounterfactualJob("tiny", 2, 3, tmp_path / "tiny")
    with pytest.raises(KeyboardInterrupt):
        collect_town(job, stop)
    assert len(Store.open(job.out).bev) == 8
    collect_town(job)
    assert Store.open(job.out).hash == Store.open(collected).hash
    with pytest.raises(UserError, match="choose another directory"):
        collect_town(replace(job, seed=4))


def test_a_situation_whose_branch_dies_is_left_out(tmp_path, monkeypatch):
    whole, calls = counterfactual.drive_on, []

    def dies(job, simulator, labeller, expert, way, *rest):
        if way == "hold" and len(calls) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(job, simulator, labeller, expert, way, *rest)

    fork = counterfactual._Drive._fork

    def counted(self, *arguments):
        calls.append(arguments)  # here, not in the copy
        return fork(self, *arguments)

    monkeypatch.setattr(counterfactual, "drive_on", dies)
    monkeypatch.setattr(counterfactual._Drive, "_fork", counted)
    job = CounterfactualJob("tiny", 1, 3, tmp_path / "tiny")
    collect_town(job)
    store = Store.open(job.out)
    assert len(calls) == 2 and len(store.bev) == 8
    assert store.infos[0]["frame"] > calls[0][2]["frame"] or store.infos[0]["drive"] > 0


@pytest.mark.parametrize("way", WAYS)
def test_plans_are_seeded_and_what_they_are_called(way):
    wish = Command(0.1, 0.3)
    made = [plan(way, np.random.default_rng(1), 16, Command(0.2, 0.5), 6.0) for _ in range(2)]
    first, again = (np.array([go(k, wish, 5.0) for k in range(16)]) for go in made)
    np.testing.assert_array_equal(first, again)
    steer, accel = first.T
    follows = way not in ("steer", "random")
    assert follows == bool(np.abs(steer - wish.steer).max() < 0.1)
    if way == "random":
        np.testing.assert_allclose(first[0], (0.2, 0.5))
    if way in ("brake", "full_brake"):
        assert (accel < -0.1).all()
    if way == "brake_then_go":
        assert accel[0] < -0.3 and accel[-1] > 0.3
    if way == "hold":
        np.testing.assert_allclose(accel, 0.5)


def test_a_perfect_imagination_has_no_bias_and_an_optimistic_one_a_positive(branches):
    moments = branches.moments
    for offset in (0.0, 3.0):
        heads = moments.heads | {
            name: moments.labels[name] + offset for name in ("leader_gap", "stop_distance")
        }
        told = replace(branches, moments=replace(moments, heads=heads))
        result = summary(told)
        for name in ("gap", "stop"):
            if result["counts"][f"{name}_bias_m"]:
                assert result[f"{name}_bias_m"] == pytest.approx(offset, abs=1e-4)
                assert result[f"{name}_bias_mean_m"] == pytest.approx(offset, abs=1e-4)
                assert result[f"{name}_error_m"]["3s"] == pytest.approx(offset, abs=1e-4)
    assert result["counts"]["gap_bias_m"] + result["counts"]["stop_bias_m"] > 0


def test_extrapolation_takes_the_way_driven_from_the_present_gap(branches):
    moments = branches.moments
    now = moments.labels_now | {
        "leader_present": np.ones(16), "leader_gap": np.full(16, 20.0),
        "leader_speed": np.full(16, 2.0), "stop_present": np.zeros(16),
    }  # fmt: skip
    path = np.zeros_like(moments.ego.path)
    path[..., 0] = 0.5 * np.arange(1, path.shape[1] + 1)  # 2.5 m/s
    guess = extrapolated(replace(moments, labels_now=now, ego=replace(moments.ego, path=path)))
    np.testing.assert_allclose(guess["gap"][:, -1], 20.0 + 3.0 * (2.0 - 2.5), rtol=1e-6)
    assert np.isnan(guess["stop"]).all()


def test_only_what_is_near_and_within_the_episode_counts(branches):
    moments = branches.moments
    shape = moments.ego.inside.shape
    labels = moments.labels | {
        "leader_present": np.ones(shape), "leader_gap": np.full(shape, 10.0)
    }  # fmt: skip
    labels["leader_gap"][0] = 26.0
    labels["leader_present"][1] = 0.0
    inside = np.ones(shape, bool)
    inside[2, 5:] = False
    changed = replace(moments, labels=labels, ego=replace(moments.ego, inside=inside))
    difference, use = differences(changed, "gap", np.full(shape, 12.0))
    assert not use[:2].any() and use[2].sum() == 5 and use[3:].all()
    np.testing.assert_allclose(difference[3:], 2.0)


def test_numbers_and_picture_of_a_store(branches, tmp_path, monkeypatch):
    monkeypatch.setattr(counterfactual_eval, "gather", lambda model, store: branches)
    picture = tmp_path / "deep" / "counterfactual.png"
    anything: Any = None
    result = measure_counterfactual(anything, anything, picture)
    assert picture.stat().st_size > 10_000
    assert (result["situations"], result["branches"]) == (2, 16)
    assert result["ego_error_m"]["1s"] < 0.5
    assert {"collision_auroc", "gap_bias_m", "stop_bias_m"} <= result.keys()
    assert set(result["by_way"]) == set(WAYS)
    assert result["intervals"].keys() == result["counts"].keys()


def test_another_store_is_refused(tmp_path, write_store):
    model = load_checkpoint(model_path("driving-bev"))
    with pytest.raises(UserError, match="wm dataset counterfactual"):
        gather(model, Store.open(write_store(tmp_path / "store", episodes=1)))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"situations": 0}, "at least 1"),
        ({"processes": 0}, "at least 1"),
        ({"towns": ("tiny", "tiny")}, "twice"),
        ({"towns": ("nowhere",)}, "nowhere"),
    ],
)
def test_options_that_make_no_sense(tmp_path, options, text):
    with pytest.raises(UserError, match=text):
        run_command(Counterfactual(**({"towns": ("tiny",), "out": tmp_path} | options)))
