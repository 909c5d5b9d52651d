"""Runs of behaviour learning: they learn, go on exactly, and take in what the actor drove."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from wm_dynamics.behavior_checkpoint import load_behavior
from wm_dynamics.checkpoint import save_checkpoint
from wm_dynamics.config import SIZES
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_training.behavior_config import BehaviorTraining
from wm_training.behavior_reward import TERMS
from wm_training.behavior_rounds import FreshData
from wm_training.behavior_trainer import CURVE, STATE_FILE, BehaviorTrainer
from wm_training.commands.train_behavior import Args, RewardOptions, main, settings
from wm_training.store import Store

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = {
    "network": {"hidden": 16, "layers": 1},
    "loss": {"horizon": 4, "starts": 3},
    "batch": 3, "length": 10, "warmup": 2, "clone_steps": 3, "log_every": 1,
}  # fmt: skip
# Trains or goes on training, and prints the loss of every step.
PROGRAM = """
import sys
from pathlib import Path
import torch
from wm_dynamics.checkpoint import load_checkpoint
from wm_training.behavior_config import BehaviorTraining
from wm_training.behavior_trainer import STATE_FILE, BehaviorTrainer
from wm_training.store import Store

def report(phase, step, scalars):
    print(step, scalars["loss"].hex(), flush=True)

torch.set_num_threads(1)
store, model, out = Store.open(Path(sys.argv[1])), load_checkpoint(sys.argv[2]), Path(sys.argv[3])
options = {"report": report, "refresh": lambda number: store}
if (out / STATE_FILE).exists():
    BehaviorTrainer.resume(model, out, lambda number: store, {}, **options).fit()
else:
    config = BehaviorTraining.model_validate_json(sys.argv[4])
    BehaviorTrainer(config, model, store, out, **options).fit()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_store) -> Path:
    return write_store(tmp_path_factory.mktemp("store"), 3)


@pytest.fixture(scope="module")
def store(folder) -> Store:
    return Store.open(folder)


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model")
    save_checkpoint(WorldModel.untrained(SIZES["tiny"]), path)
    return path


@pytest.fixture
def model() -> WorldModel:
    return WorldModel.untrained(SIZES["tiny"])


def config(**changes) -> BehaviorTraining:
    return BehaviorTraining.model_validate(SMALL | changes)


def trainer(model, store, out, **kwargs) -> tuple[BehaviorTrainer, dict[int, dict]]:
    seen: dict[int, dict] = {}
    changes = kwargs.pop("config", {"steps": 8})
    made = BehaviorTrainer(
        config(**changes), model, store, out, report=lambda _, step, s: seen.update({step: s}),
        **kwargs,
    )  # fmt: skip
    return made, seen


@pytest.mark.parametrize("gradient", ["dynamics", "reinforce"])
def test_an_actor_that_is_paid_for_calm_becomes_calm(tmp_path, model, store, gradient):
    reward = {"weights": dict.fromkeys(TERMS, 0.0) | {"smoothness": 1.0}}
    loss = {"horizon": 4, "starts": 6, "reward": reward, "clone_weight": 0.0, "gradient": gradient,
            "entropy": 0.0}  # fmt: skip
    changes = {"steps": 40, "clone_steps": 0, "batch": 4, "learning_rate": 2e-2, "loss": loss}
    run, seen = trainer(model, store, tmp_path, config=changes)
    run.fit()
    names = [name for name in seen[1] if name.startswith("reward/")]
    assert names == ["reward/smoothness"]
    first, last = (np.mean([seen[s][names[0]] for s in rows])
                   for rows in (range(1, 6), range(36, 41)))  # fmt: skip
    assert last > 0.5 * first  # both negative: half of the cost is gone
    assert seen[40]["critic_loss"] < 0.7 * seen[1]["critic_loss"]


def test_at_first_it_only_imitates(tmp_path, model, store):
    run, seen = trainer(model, store, tmp_path, config={"steps": 5, "clone_steps": 4})
    run.fit()
    parts = seen[2]
    assert parts["loss"] == pytest.approx(parts["critic_loss"] + parts["clone_loss"], rel=1e-4)
    weight, parts = run.config.loss.clone_weight, seen[5]
    wanted = parts["actor_loss"] + parts["critic_loss"] + weight * parts["clone_loss"]
    assert parts["loss"] == pytest.approx(wanted, rel=1e-4)


def test_the_world_model_stays_as_it_is_and_the_files_say_what_happened(tmp_path, model, store):
    before = model.hash
    run, _ = trainer(model, store, tmp_path)
    run.fit()
    assert WorldModel.untrained(SIZES["tiny"]).hash == before
    model.refresh()
    assert model.hash == before
    loaded = load_behavior(tmp_path, model)
    assert loaded.metadata["steps"] == 8 and loaded.metadata["data_hash"] == store.hash
    assert BehaviorTraining.model_validate(loaded.metadata["training"]) == run.config
    for mine, saved in zip(run.ema.parameters(), loaded.parameters(), strict=True):
        assert torch.equal(mine, saved)
    curve = json.loads((tmp_path / CURVE).read_text())
    assert [row["step"] for row in curve] == list(range(1, 9))
    assert {"return", "value", "entropy", "reward/progress"} <= curve[0].keys()


def test_stopped_and_resumed_it_learns_the_same(tmp_path, model, store):
    whole, wanted = trainer(model, store, tmp_path / "whole")
    whole.fit()
    first, seen = trainer(model, store, tmp_path / "parts")
    first.fit(until=5)
    again = BehaviorTrainer.resume(
        model, tmp_path / "parts", lambda number: store, {},
        report=lambda _, step, s: seen.update({step: s}),
    )  # fmt: skip
    again.fit()
    assert seen == wanted
    ends = [load_file(tmp_path / name / STATE_FILE) for name in ("whole", "parts")]
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])
    curves = [json.loads((tmp_path / name / CURVE).read_text()) for name in ("whole", "parts")]
    losses = [[row["loss"] for row in curve] for curve in curves]
    assert losses[0] == losses[1]


def test_what_does_not_fit_is_refused(tmp_path, model, store, write_store):
    run, _ = trainer(model, store, tmp_path / "run")
    run.fit(until=2)
    other = WorldModel.untrained(SIZES["tiny"], seed=1)
    with pytest.raises(UserError, match="was trained in world model"):
        BehaviorTrainer.resume(other, tmp_path / "run", lambda number: store, {})
    more = Store.open(write_store(tmp_path / "more", 2, seed=5))
    with pytest.raises(UserError, match="give the same stores"):
        BehaviorTrainer.resume(model, tmp_path / "run", lambda number: more, {})
    with pytest.raises(UserError, match="nothing to resume"):
        BehaviorTrainer.resume(model, tmp_path / "none", lambda number: store, {})
    with pytest.raises(UserError, match="either in steps or in minutes"):
        trainer(model, store, tmp_path, config={})
    with pytest.raises(UserError, match="too short"):
        trainer(model, store, tmp_path, config={"steps": 1, "length": 5})
    with pytest.raises(UserError, match="fresh data"):
        trainer(model, store, tmp_path, config={"steps": 1, "rounds": 1})


def test_rounds_share_the_budget_and_each_begins_with_more_data(tmp_path, model, store, folder):
    asked: list[tuple[int, int]] = []
    grown = Store.open(folder, folder)

    def refresh(number: int) -> Store:
        saved = json.loads((tmp_path / "metadata.json").read_text())
        asked.append((number, saved["steps"]))  # the actor that is to drive lies ready
        return grown

    run, _ = trainer(model, store, tmp_path, config={"steps": 9, "rounds": 2}, refresh=refresh)
    run.fit(until=4)
    assert asked == [(1, 3)] and run.store is grown
    again = BehaviorTrainer.resume(model, tmp_path, lambda number: grown, {}, refresh=refresh)
    again.fit()
    assert asked == [(1, 3), (2, 6)]
    assert json.loads((tmp_path / "metadata.json").read_text())["rounds"] == 2


def test_fresh_data_is_driven_by_the_actor_of_the_run(
    tmp_path, model_dir, model, store, folder, monkeypatch, write_store
):
    out, jobs = tmp_path / "run", []
    run, _ = trainer(model, store, out)
    run.fit(until=2)

    def collect(wanted, processes) -> None:
        for job in wanted:
            jobs.append(job)
            load_behavior(job.model / "behavior", WorldModel.untrained(SIZES["tiny"]))
            write_store(job.out, 1, seed=job.seed)

    monkeypatch.setattr("wm_training.behavior_rounds.collect", collect)
    fresh = FreshData([folder], model_dir, out, ("train01", "train02"), 90, seed=0)
    assert fresh.stores(0).hash == store.hash
    half = out / "fresh" / "round-1" / "train01"
    half.mkdir(parents=True)
    (half / "rest").touch()  # of a run that was killed while it drove
    grown = fresh.stores(1)
    assert grown.frames == store.frames + 2 * 90
    assert [(job.town, job.driver) for job in jobs] == [("train01", "actor"), ("train02", "actor")]
    assert fresh.stores(1).hash == grown.hash and len(jobs) == 2  # driven once


def test_killed_and_resumed(tmp_path, folder, model_dir):
    settings_json = config(steps=20, save_every_s=0.1, rounds=1).model_dump_json()

    def start(out: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROGRAM, str(folder), str(model_dir), str(out)]
        return subprocess.Popen([*command, settings_json], stdout=subprocess.PIPE, text=True)

    whole, killed = start(tmp_path / "whole"), start(tmp_path / "killed")
    lines = []
    for line in killed.stdout:
        lines.append(line)
        if line.startswith("11 "):
            time.sleep(0.03)
            killed.send_signal(signal.SIGKILL)
            break
    lines += [line for line in killed.stdout if line.endswith("\n")]
    assert killed.wait(60) == -signal.SIGKILL
    rest, _ = start(tmp_path / "killed").communicate(timeout=120)
    wanted, _ = whole.communicate(timeout=120)
    assert set(lines) | set(rest.splitlines(True)) == set(wanted.splitlines(True))
    ends = [load_file(tmp_path / name / STATE_FILE) for name in ("whole", "killed")]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])


class TestCommand:
    def test_options_become_settings(self):
        reward = RewardOptions(cruise_mps=7.0, weights=["collision=40", "near=0"])
        asked = settings(Args(data=[], entropy=0.01, batch=4, precision="float32", reward=reward))
        made = BehaviorTraining.model_validate(asked)
        assert (made.batch, made.bf16, made.loss.entropy) == (4, False, 0.01)
        weights = made.loss.reward.weights
        assert (made.loss.reward.cruise_mps, weights.collision, weights.near) == (7.0, 40.0, 0.0)
        assert weights.progress == 1.0

    @pytest.mark.parametrize("text", ["collision", "colision=3", "near=-1", "near=much"])
    def test_weights_that_make_no_sense(self, tmp_path, folder, model_dir, text):
        options = {"data": [folder], "model": str(model_dir), "out": tmp_path, "steps": 1}
        with pytest.raises(UserError, match="col|near"):
            main(Args(**options, reward=RewardOptions(weights=[text])))

    def test_from_nothing_to_a_behavior_and_on(self, tmp_path, folder, model_dir, model):
        options = {"data": [folder], "model": str(model_dir), "out": tmp_path / "b", "batch": 2}
        main(Args(**options, steps=2))
        assert load_behavior(tmp_path / "b", model).metadata["steps"] == 2
        with pytest.raises(UserError, match="already holds a run"):
            main(Args(**options, steps=2))
        with pytest.raises(UserError, match="batch = 2, asked for is 3"):
            main(Args(**options | {"batch": 3}, resume=True))
        with pytest.raises(UserError, match="entropy = "):
            main(Args(**options, entropy=0.5, resume=True))
        main(Args(**options, steps=3, resume=True))
        assert load_behavior(tmp_path / "b", model).metadata["steps"] == 3
