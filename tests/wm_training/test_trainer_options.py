"""What can be chosen about a run: model, losses, how weights move, what is kept and shown."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from wm_dynamics.checkpoint import load_checkpoint
from wm_dynamics.config import SIZES
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_dynamics.variants import CORES, LATENTS, variant
from wm_training.checkpoints import FOLDER, BestCheckpoints
from wm_training.commands.train import Args, LossOptions, main
from wm_training.held_out import HeldOut
from wm_training.model_choice import check_fits
from wm_training.optimiser import clip_adaptively, clip_gradients, kl_scale, learning_rate
from wm_training.store import Store
from wm_training.strips import ENLARGED, GAP, paint, strips
from wm_training.tb import TrainingLog
from wm_training.train_config import LossConfig, TrainConfig
from wm_training.trainer import Trainer

TINY = {"size": "tiny", "batch": 2, "ego_steps": 2, "ego_batch": 32, "warmup": 5}
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_store) -> Path:
    return write_store(tmp_path_factory.mktemp("store"), 3)


@pytest.fixture(scope="module")
def store(folder) -> Store:
    return Store.open(folder)


@pytest.mark.parametrize(
    "core, latent", [(c, z) for c in CORES for z in LATENTS if (c, z) != ("gru", "discrete")]
)
def test_the_command_trains_every_kind(tmp_path, folder, core, latent):
    options = {"data": [folder], "out": tmp_path, "size": "tiny", "batch": 2, "ego_steps": 1}
    main(Args(steps=1, core=core, latent=latent, **options))
    model = load_checkpoint(tmp_path)
    assert model.config == variant("tiny", core, latent)
    training = json.loads((tmp_path / "metadata.json").read_text())["training"]
    assert (training["size"], training["core"], training["latent"]) == ("tiny", core, latent)
    main(Args(steps=2, resume=True, **options))
    assert json.loads((tmp_path / "metadata.json").read_text())["steps"] == 2


def test_a_run_keeps_its_model_and_its_settings(tmp_path, folder):
    out, start = tmp_path / "run", {"data": [folder], "size": "tiny", "ego_steps": 1, "batch": 2}
    loss = LossOptions(free_nats=0.5)
    main(Args(out=out, steps=1, core="transformer", loss=loss, precision="float32", **start))
    training = json.loads((out / "metadata.json").read_text())["training"]
    assert training["loss"]["free_nats"] == 0.5 and training["precision"] == "float32"
    for change, text in (
        ({"core": "gru"}, "has core 'transformer', asked for is 'gru'; leave out --core"),
        ({"latent": "gaussian"}, "has latent 'discrete', asked for is 'gaussian'"),
        ({"size": "small"}, "has size 'tiny', asked for is 'small'"),
        ({"batch": 4}, "has batch = 2, asked for is 4"),
        ({"loss": LossOptions(free_nats=1.0)}, "has loss.free_nats = 0.5, asked for is 1.0"),
        ({"precision": "bf16"}, "has precision = float32, asked for is bf16"),
    ):
        with pytest.raises(UserError, match=re.escape(text)):
            main(Args(out=out, steps=2, resume=True, **(start | change)))
    with pytest.raises(UserError, match="has core 'transformer'"):
        main(Args(out=tmp_path / "next", steps=1, init=out, core="gru", **start))
    config = out / "config.yaml"
    config.write_text(config.read_text().replace("unimix: 0.01", "unimix: 0.02"))
    with pytest.raises(UserError, match="is not the one this run began with"):
        main(Args(out=out, steps=2, resume=True, **start))


def test_settings_that_make_no_sense(tmp_path, folder, store):
    options = {"data": [folder], "out": tmp_path / "run", "steps": 1}
    for change, text in (
        ({"core": "lstm"}, "unknown core 'lstm'; choose one of gru, block_gru, transformer"),
        ({"learning_rate": -1.0}, "--learning-rate -1.0: "),
        ({"loss": LossOptions(free_nats=-1.0)}, "--loss.free-nats -1.0: "),
        ({"patience": 2}, "patience looks at held-out data; give some with --val"),
    ):
        with pytest.raises(UserError, match=re.escape(text)):
            main(Args(**(options | change)))
    with pytest.raises(UserError, match="wants camera_front, the training store holds bev"):
        check_fits(store, variant("tiny", inputs="camera"))


def test_learning_rate_warms_up_and_falls():
    config = TrainConfig(steps=1000, learning_rate=1.0, warmup=10, final_learning_rate=0.1)
    rates = [learning_rate(config, step, step / 1000) for step in range(1001)]
    assert rates[0] == pytest.approx(0.1) and rates[4] == pytest.approx(0.5, abs=1e-3)
    assert max(rates) == pytest.approx(1.0, abs=1e-3) and rates[500] == pytest.approx(0.55)
    assert rates[-1] == pytest.approx(0.1)
    assert np.all(np.diff(rates[10:]) < 0)


def test_kl_annealing():
    assert kl_scale(LossConfig(), 0) == 1.0
    scales = [kl_scale(LossConfig(kl_anneal_steps=4), step) for step in range(6)]
    assert scales == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_adaptive_clipping_is_by_weight():
    long, short, zero = (
        torch.nn.Parameter(x) for x in torch.tensor([[3.0, 4], [0.6, 0.8], [0, 0]])
    )
    unused = torch.nn.Parameter(torch.ones(2))
    for parameter in (long, short, zero):
        parameter.grad = torch.tensor([0.8, 0.6])
    norm = clip_adaptively([long, unused, short, zero], 0.5)
    assert norm == pytest.approx(3**0.5)
    assert long.grad.norm() == pytest.approx(1.0)  # below half of 5: left alone
    assert short.grad.norm() == pytest.approx(0.5)
    assert zero.grad.norm() == pytest.approx(0.5e-3)
    assert torch.allclose(short.grad / short.grad.norm(), torch.tensor([0.8, 0.6]))
    zero.grad = torch.tensor([30.0, 40.0])
    assert clip_gradients([zero], TrainConfig(clip=5.0)) == pytest.approx(50.0)
    assert zero.grad.norm() == pytest.approx(5.0)


def test_loss_settings_reach_the_training(tmp_path, store):
    def weights(name: str, loss: dict | None = None, **changes) -> torch.Tensor:
        # Without free nats: the KL of random weights lies below them and teaches nothing.
        changes["loss"] = {"free_nats": 0.0} | (loss or {})
        trainer = Trainer(TrainConfig(steps=2, **TINY, **changes), store, tmp_path / name)
        trainer.fit()
        return torch.cat([p.detach().flatten() for p in trainer.model.parameters()])

    plain = weights("plain")
    assert torch.equal(plain, weights("again"))
    for name, changes in {
        "free nats": {"loss": {"free_nats": 1.0}},
        "anneal": {"loss": {"kl_anneal_steps": 9}},
        "balance": {"loss": {"dynamics": 0.1, "representation": 0.8}},
        "adaptive": {"clip_kind": "adaptive", "adaptive_clip": 1e-3},
        "float32": {"precision": "float32"},
        "displaced": {"augment": {"sideways_m": 0.3}},
        "uniform": {"sampler": "uniform"},
    }.items():
        other = weights(name, **changes)
        assert torch.isfinite(other).all() and not torch.equal(plain, other), name


def test_prioritised_windows_resume_exactly(tmp_path, store):
    config = TrainConfig(steps=4, sampler="prioritised", **TINY)
    whole = Trainer(config, store, tmp_path / "whole")
    whole.fit()
    Trainer(config, store, tmp_path / "parts").fit(until=2)
    resumed = Trainer.resume(store, tmp_path / "parts", {})
    resumed.fit()
    assert whole.loader.state() == resumed.loader.state()
    assert whole.sampler.level is not None  # it has heard of losses
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_runs_of_the_time_before_precision_had_a_name():
    assert TrainConfig.model_validate({"bf16": False}).precision == "float32"
    assert TrainConfig.model_validate({"bf16": True}).precision == "bf16"


def test_the_best_are_kept(tmp_path):
    best = BestCheckpoints(tmp_path, keep=2)
    for step, loss in enumerate((5.0, 3.0, 4.0, float("nan"), 6.0, 2.0), 1):
        best.offer(loss, step, lambda path: path.mkdir())
    names = {"step-00000002", "step-00000006"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert best.best == tmp_path / "step-00000006" and best.stale == 0
    (tmp_path / "step-00000009").mkdir()  # of a run that was killed before it noted this
    again = BestCheckpoints(tmp_path, keep=2)
    again.restore(json.loads(json.dumps(best.state())))
    assert {path.name for path in tmp_path.iterdir()} == names
    again.offer(2.0, 6, lambda path: pytest.fail("offered already"))
    again.offer(7.0, 7, lambda path: pytest.fail("not among the best"))
    assert again.stale == 1 and again.kept == best.kept


def test_patience_ends_a_run(tmp_path, store, monkeypatch):
    losses = iter((4.0, 3.0, 3.5, 3.2, 1.0))
    monkeypatch.setattr(HeldOut, "measure", lambda self, model: {"loss": next(losses)})
    config = TrainConfig(steps=20, validate_every=2, patience=2, **TINY)
    trainer = Trainer(config, store, tmp_path, store)
    assert trainer.fit() == {"loss": 3.2}
    assert trainer.step == 8 and trainer.best.best == tmp_path / FOLDER / "step-00000004"
    facts = json.loads((trainer.best.best / "metadata.json").read_text())
    assert facts["steps"] == 4 and facts["metrics"] == {"loss": 3.0}
    resumed = Trainer.resume(store, tmp_path, {}, validation=store)
    resumed.fit(until=9)
    assert resumed.step == 8  # patience is remembered


def test_held_out_losses_depend_on_the_weights_only(store):
    config = TrainConfig(steps=1, **TINY)
    held_out = HeldOut(store, SIZES["tiny"], config, stride=2)
    model, before = WorldModel.untrained(SIZES["tiny"]), torch.get_rng_state()
    first = held_out.losses(model)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert held_out.losses(model) == first
    assert held_out.losses(WorldModel.untrained(SIZES["tiny"], seed=1)) != first


def test_strips_show_truth_reconstruction_and_imagination(store):
    model = WorldModel.untrained(SIZES["tiny"])
    held_out = HeldOut(store, model.config, TrainConfig(steps=1, **TINY), stride=2)
    picture = held_out.pictures(model)["bev"]
    windows, steps = len(held_out.shown["bev"]), held_out.shown["bev"].shape[1]
    cell = (32 + GAP) * ENLARGED
    assert picture.shape == (3 * windows * cell, steps * cell, 3)
    truth, seen, imagined = picture[: 3 * cell].reshape(3, cell, -1, 3)
    context = 10 * cell
    shown = imagined[: 32 * ENLARGED]
    assert np.ptp(shown[:, : 32 * ENLARGED]) == 0 and np.ptp(shown[:, context:]) > 0
    assert np.ptp(truth) > np.ptp(seen) > 0  # nothing learned: the reconstruction is a blur
    assert np.array_equal(held_out.pictures(model)["bev"], picture)
    blind = WorldModel.untrained(variant("tiny", decode_bev=False))
    assert strips(blind, held_out.shown, 10) == {}
    colours = paint(torch.eye(6)[None, None, :, :, None])[0, 0, :, 0]
    assert len({tuple(colour) for colour in colours.tolist()}) == 6


def test_what_tensorboard_gets(tmp_path, folder):
    options = {"data": [folder], "val": [folder], "size": "tiny", "batch": 2, "ego_steps": 1}
    main(Args(out=tmp_path, steps=50, **options))
    lost = TrainingLog(tmp_path / "tensorboard", Console(quiet=True))
    lost("validation", 70, {"loss": 1.0})  # by a run that was killed before it saved
    lost.close()
    main(Args(out=tmp_path, steps=51, resume=True, **options))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    names = set(events.Tags()["scalars"])
    assert {"loss", "recon_loss", "kl_loss", "reward_loss", "dynamics_loss"} <= names
    assert {"learning_rate", "grad_norm", "validation/loss", "validation/recon_loss"} <= names
    assert {"data_stall", "frames_per_s"} <= names
    assert [event.step for event in events.Scalars("validation/loss")] == [50, 51]
    assert [event.step for event in events.Images("strips/bev")] == [50, 51]
