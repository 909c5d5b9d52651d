"""Training learns, resumes to the bit, and refuses what it cannot use."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from wm_dynamics.checkpoint import load_checkpoint
from wm_dynamics.errors import UserError
from wm_training.commands.train import Args, main
from wm_training.losses import head_losses
from wm_training.store import Store
from wm_training.train_config import TrainConfig
from wm_training.trainer import STATE_FILE, Trainer
from wm_training.validation import auroc

TINY = {"size": "tiny", "batch": 4, "ego_steps": 20, "ego_batch": 32, "warmup": 5}
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def store(tmp_path_factory, write_store) -> Store:
    return Store.open(write_store(tmp_path_factory.mktemp("store")))


def same_tensors(a, b) -> None:
    first, second = load_file(a / STATE_FILE), load_file(b / STATE_FILE)
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


def test_six_steps_are_three_and_three_resumed(tmp_path, store):
    config = TrainConfig(steps=6, **TINY)
    Trainer(config, store, tmp_path / "whole").fit()
    Trainer(config, store, tmp_path / "parts").fit(until=3)
    assert json.loads((tmp_path / "parts" / "metadata.json").read_text())["steps"] == 3
    torch.rand(5)  # whatever happened to the global random state in between
    Trainer.resume(store, tmp_path / "parts", {}).fit()
    same_tensors(tmp_path / "whole", tmp_path / "parts")
    assert load_checkpoint(tmp_path / "whole").hash == load_checkpoint(tmp_path / "parts").hash


def test_training_learns_and_reports(tmp_path, store):
    seen = []
    config = TrainConfig(
        steps=48, log_every=12, learning_rate=3e-3, size="tiny", batch=6, ego_steps=150,
        ego_batch=64, warmup=5,
    )  # fmt: skip
    trainer = Trainer(config, store, tmp_path, store, report=lambda *args: seen.append(args))
    metrics = trainer.fit()
    train = [scalars for phase, _, scalars in seen if phase == "train"]
    for name in ("loss", "recon_loss", "dynamics_loss"):
        assert train[-1][name] < 0.75 * train[0][name], name
    assert {"kl_loss", "reward_loss", "heads/leader_gap", "imagined/collision"} <= set(train[0])
    assert metrics["ego_path_3s_m"] < metrics["constant_velocity_3s_m"]
    assert json.loads((tmp_path / "metadata.json").read_text())["metrics"] == metrics


def test_signal_saves_and_stops(tmp_path, store):
    def press_ctrl_c(phase, step, scalars):
        if phase == "train":
            os.kill(os.getpid(), signal.SIGINT)

    config = TrainConfig(steps=50, log_every=2, **TINY)
    trainer = Trainer(config, store, tmp_path, report=press_ctrl_c)
    trainer.fit()
    assert trainer.stop.made and trainer.step == 2
    assert Trainer.resume(store, tmp_path, {}).step == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_command_trains_logs_and_resumes(tmp_path, capsys, write_store):
    data, out = write_store(tmp_path / "data", 3), tmp_path / "run"
    shared = {"data": [data], "out": out, "size": "tiny", "batch": 2, "ego_steps": 2, "threads": 1}
    main(Args(steps=2, **shared))
    assert "done: 2 steps" in capsys.readouterr().out
    assert any(file.name.startswith("events") for file in (out / "tensorboard").iterdir())
    main(Args(steps=3, resume=True, val=[data], **shared))
    facts = json.loads((out / "metadata.json").read_text())
    assert facts["steps"] == 3 and "ego_path_3s_m" in facts["metrics"]
    with pytest.raises(UserError, match="already holds a run"):
        main(Args(steps=2, **shared))
    main(Args(steps=1, init=out, **(shared | {"out": tmp_path / "next", "ego_steps": 1})))
    first, second = load_checkpoint(out), load_checkpoint(tmp_path / "next")
    assert (first.head[0].weight - second.head[0].weight).abs().max() < 0.01


def test_a_bad_command_leaves_nothing_behind(tmp_path):
    with pytest.raises(UserError, match="is no training store"):
        main(Args(data=[tmp_path / "nowhere"], out=tmp_path / "run", steps=1, threads=1))
    assert not (tmp_path / "run").exists()


def test_divergence_is_told_and_the_last_save_stays(tmp_path, store):
    trainer = Trainer(TrainConfig(steps=4, **TINY), store, tmp_path)
    trainer.fit(until=2)
    with torch.no_grad():
        trainer.model.head[0].bias.fill_(float("nan"))
    with pytest.raises(UserError, match="diverged"):
        trainer.fit()
    assert torch.isfinite(load_checkpoint(tmp_path).head[0].bias).all()


def test_a_minutes_budget_ends(tmp_path, store):
    trainer = Trainer(TrainConfig(minutes=0.01, **TINY), store, tmp_path)
    trainer.fit()
    assert trainer.fraction >= 1.0 and trainer.step >= 1


def test_user_errors(tmp_path, store, write_store):
    with pytest.raises(UserError, match="in steps or in minutes"):
        Trainer(TrainConfig(**TINY), store, tmp_path)
    with pytest.raises(UserError, match="unknown size 'huge'"):
        Trainer(TrainConfig(steps=1, size="huge"), store, tmp_path)
    with pytest.raises(UserError, match="too short to imagine"):
        Trainer(TrainConfig(steps=1, length=10, **TINY), store, tmp_path)
    short = Store.open(write_store(tmp_path / "short", 1, frames=40))
    with pytest.raises(UserError, match="no episode is long enough"):
        Trainer(TrainConfig(steps=1, **TINY), store, tmp_path, validation=short)
    with pytest.raises(UserError, match="nothing to resume"):
        Trainer.resume(store, tmp_path / "nowhere", {})
    Trainer(TrainConfig(steps=1, **TINY), store, tmp_path / "run").fit()
    other = Store.open(write_store(tmp_path / "other", 2, seed=8))
    with pytest.raises(UserError, match="trained on other data"):
        Trainer.resume(other, tmp_path / "run", {})
    (tmp_path / "run" / STATE_FILE).write_bytes(b"nonsense")
    with pytest.raises(UserError, match="cannot be resumed"):
        Trainer.resume(store, tmp_path / "run", {})


def test_absent_things_and_masked_steps_teach_nothing(store):
    columns = {name: i for i, name in enumerate(store.labels)}
    raw = torch.randn(2, 6, len(store.labels), generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(2, 6, len(columns))
    labels[..., columns["leader_gap"]] = 1e6  # a sentinel where there is no leader
    mask = torch.ones(2, 6)
    assert head_losses(raw, labels, mask, columns)["leader_gap"] == 0.0
    losses = head_losses(raw, labels, torch.zeros(2, 6), columns)
    assert all(value == 0.0 for value in losses.values())


def test_auroc():
    scores = np.array([0.1, 0.2, 0.2, 0.8, 0.9, 0.7])
    assert auroc(scores, np.array([0, 0, 0, 1, 1, 1], bool)) == 1.0
    assert auroc(scores, np.array([1, 1, 1, 0, 0, 0], bool)) == 0.0
    assert auroc(np.ones(8), np.arange(8) < 4) == pytest.approx(0.5)
    assert auroc(scores, np.zeros(6, bool)) is None
