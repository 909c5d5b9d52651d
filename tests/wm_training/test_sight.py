"""An encoder learns to see single moments; what it has learned is a start for a world model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from wm_dynamics.checkpoint import load_checkpoint, save_checkpoint
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_dynamics.variants import variant
from wm_training.commands import train, train_sight
from wm_training.sight_trainer import SightTrainer, SightTraining
from wm_training.store import Store, StoreWriter
from wm_training.store_columns import COLUMNS, camera_columns

HEIGHT, WIDTH = 32, 48
CAMERA = {"height": HEIGHT, "width": WIDTH, "encoder": "resnet", "features": 32, "cnn_channels": 8}
pytestmark = pytest.mark.usefixtures("one_thread")


def write(path: Path, episode, seed: int) -> Path:
    """A store with a camera that shows the leader."""
    rng = np.random.default_rng(seed)
    with StoreWriter(path, columns=(*COLUMNS, *camera_columns(["front"]))) as writer:
        for _ in range(3):
            data = episode(rng)
            shown = (data["bev"][:, :HEIGHT, 8 : 8 + WIDTH] & 8 > 0) * np.uint8(200)
            ages = np.zeros(len(shown))
            data |= {"image-front": np.repeat(shown[..., None], 3, -1), "age-front": ages}
            writer.append_episode(data)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory, episode) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("sight")
    return write(folder / "train", episode, 0), write(folder / "val", episode, 1)


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> Path:
    """A model that sees masks, to start from."""
    path = tmp_path_factory.mktemp("begun") / "model"
    save_checkpoint(WorldModel.untrained(variant("tiny"), seed=1), path)
    return path


def options(data, begun, out: Path) -> dict:
    changes = ["bev=false", f"camera={CAMERA}"]
    return {"data": [data[0]], "val": [data[1]], "out": out, "init": begun, "set": changes}


def trainer(data, out: Path, steps: int) -> SightTrainer:
    model = WorldModel.untrained(variant("tiny", bev=False, camera=CAMERA), seed=0)
    config = SightTraining(steps=steps, batch=24, warmup=5, ema=0.9)
    return SightTrainer(config, model, Store.open(data[0]), out, Store.open(data[1]))


def test_it_sees_more_the_longer_it_learns(tmp_path, data):
    run = trainer(data, tmp_path / "run", 60)
    before = run.fit(until=1)
    after = run.fit()
    assert after["recon_loss"] < 0.7 * before["recon_loss"]
    assert after["loss"] < 0.8 * before["loss"]


def test_only_the_encoder_changes_and_a_run_goes_on_from_it(tmp_path, data, begun):
    out = tmp_path / "sight"
    train_sight.main(train_sight.Args(steps=2, batch=8, **options(data, begun, out)))
    old, new = load_checkpoint(begun).state_dict(), load_checkpoint(out).state_dict()
    changed = {name for name in old if name in new and not old[name].equal(new[name])}
    assert changed and {name.partition(".")[0] for name in changed} == {"encoder"}
    further = tmp_path / "run"
    train.main(
        train.Args(
            data=[data[0]], out=further, init=out, freeze=["encoder", "ego"], steps=1, batch=2
        )
    )
    last = load_checkpoint(further).state_dict()
    moved = {name.partition(".")[0] for name in new if not new[name].equal(last[name])}
    assert "rssm" in moved and not moved & {"encoder", "ego"}


def test_a_resumed_run_is_the_run_that_was_not_stopped(tmp_path, data):
    whole = trainer(data, tmp_path / "a", 6)
    whole.fit()
    trainer(data, tmp_path / "b", 6).fit(until=3)
    resumed = SightTrainer.resume(
        Store.open(data[0]), tmp_path / "b", {}, validation=Store.open(data[1])
    )
    assert resumed.step == 3
    resumed.fit()
    for ours, theirs in zip(
        whole.sight.state_dict().values(), resumed.sight.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)
    with pytest.raises(UserError, match="was trained on other data"):
        SightTrainer.resume(Store.open(data[1]), tmp_path / "b", {})


def test_what_cannot_be_trained_is_refused(tmp_path, data, begun):
    with pytest.raises(UserError, match="--freeze encodr: the model's parts are"):
        train.main(
            train.Args(data=[data[0]], out=tmp_path / "a", init=begun, freeze=["encodr"], steps=1)
        )
    out = tmp_path / "b"
    train_sight.main(train_sight.Args(steps=1, batch=4, **options(data, begun, out)))
    with pytest.raises(UserError, match="already holds a run"):
        train_sight.main(train_sight.Args(steps=1, **options(data, begun, out)))
