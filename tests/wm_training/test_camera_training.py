"""Models that see cameras or lidar learn from stores that hold them, and draw what they see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_dynamics.variants import variant
from wm_training.held_out import HeldOut
from wm_training.losses import world_model_loss
from wm_training.model_choice import check_fits, fresh_model
from wm_training.sampler import WindowSampler
from wm_training.store import Store, StoreWriter
from wm_training.store_columns import COLUMNS, LIDAR, camera_columns
from wm_training.train_config import LossConfig, TrainConfig
from wm_training.validation import filter_context

HEIGHT, WIDTH = 32, 48
CAMERA = {"names": ("front",), "height": HEIGHT, "width": WIDTH}
CONFIG = variant("tiny", bev=False, camera=CAMERA, lidar={"size": 32})
TRAINING = TrainConfig(size="tiny", steps=1, batch=2, ego_steps=2, ego_batch=32, warmup=5)
pytestmark = pytest.mark.usefixtures("one_thread")


def write(path: Path, episode, episodes: int = 3, blind: slice = slice(0)) -> Path:
    """A store with a camera that shows the leader; frames ``blind`` have no picture."""
    rng = np.random.default_rng(0)
    columns = (*COLUMNS, *camera_columns(["front"]), LIDAR)
    with StoreWriter(path, columns=columns) as writer:
        for _ in range(episodes):
            data = episode(rng)
            frames = len(data["bev"])
            shown = (data["bev"][:, :HEIGHT, 8 : 8 + WIDTH] & 8 > 0) * np.uint8(200)
            ages = np.zeros(frames)
            ages[blind] = np.nan
            data |= {"image-front": np.repeat(shown[..., None], 3, -1), "age-front": ages}
            data[LIDAR] = np.stack([data["bev"][:, ::2, ::2] & 8] * 3, 1)
            writer.append_episode(data)
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory, episode) -> Store:
    return Store.open(write(tmp_path_factory.mktemp("store"), episode))


def test_windows_hold_the_streams_asked_for(store):
    assert store.streams == ("bev", "state", "route", "camera_front", "lidar_bev")
    plain = WindowSampler(store, 20, 2, seed=3)
    sampler = WindowSampler(store, 20, 2, seed=3, streams=CONFIG.streams)
    first, second = plain.batch(4), sampler.batch(4)
    assert set(second) - set(first) == {"camera_front", "lidar_bev"}
    for key, value in first.items():  # the same windows
        assert torch.equal(second[key], value), key
    assert second["camera_front"].shape == (4, 20, HEIGHT, WIDTH, 3)
    assert second["lidar_bev"].shape == (4, 20, 3, 32, 32)
    window = sampler.windows(np.array([91]))  # the second episode begins at frame 90
    rows = np.arange(1, 41, 2)
    np.testing.assert_array_equal(window["camera_front"][0], store.images["front"][1][rows])
    np.testing.assert_array_equal(window["lidar_bev"][0], store.lidar[1][rows])


def test_windows_without_a_picture_are_not_drawn(tmp_path, episode):
    store = Store.open(write(tmp_path / "some", episode, blind=slice(40, 41)))
    sampler = WindowSampler(store, 20, 2, streams=("camera_front",))
    offsets = sampler.starts % 90
    steps = np.minimum(offsets[:, None] + np.arange(20) * 2, 89)
    assert len(offsets) and not (steps == 40).any()
    assert (offsets % 2 == 1).any() and (offsets % 2 == 0).any()  # those that pass frame 40 by
    assert len(WindowSampler(store, 20, 2).starts) == len(sampler.ego_starts) > len(sampler.starts)
    store = Store.open(write(tmp_path / "none", episode, blind=slice(0, 90)))
    with pytest.raises(UserError, match="no window of 20 steps has a picture of camera_front"):
        WindowSampler(store, 20, 2, streams=("camera_front",))


def test_a_camera_model_learns_and_draws(tmp_path, store):
    model = fresh_model(CONFIG, 0, store).train()
    sampler = WindowSampler(store, 24, 2, streams=CONFIG.streams)
    columns = {name: i for i, name in enumerate(store.labels)}
    optimizer = torch.optim.Adam([p for n, p in model.named_parameters() if "ego." not in n], 2e-3)
    seen = []
    for _ in range(16):
        total, parts = world_model_loss(model, sampler.batch(4), columns, LossConfig())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        seen.append({name: float(value) for name, value in parts.items()})
    idle = [n for n, p in model.named_parameters() if p.grad is None and not n.startswith("ego.")]
    assert not idle
    for name in ("camera_recon_loss", "recon_loss", "loss"):
        assert seen[-1][name] < 0.7 * seen[0][name], name
    held_out = HeldOut(store, CONFIG, TRAINING, stride=2)
    measured = held_out.measure(model.eval())
    assert measured["camera_recon_loss"] > 0 and "ego_path_3s_m" in measured
    pictures = held_out.pictures(model)
    assert set(pictures) == {"bev", "camera_front"}
    assert pictures["camera_front"].dtype == np.uint8 and np.ptp(pictures["camera_front"]) > 100


def test_masks_are_a_target_and_no_input(store):
    # A continuous latent moves with everything that is seen.
    model = WorldModel.untrained(variant("tiny", latent="gaussian", bev=False, camera=CAMERA))
    batch = WindowSampler(store, 24, 2, streams=CONFIG.streams).batch(3)
    other = {**batch, "bev": torch.zeros_like(batch["bev"])}
    beliefs = [filter_context(model, window) for window in (batch, other)]
    assert torch.equal(beliefs[0].deter, beliefs[1].deter)
    dark = {**batch, "camera_front": torch.zeros_like(batch["camera_front"])}
    assert not torch.equal(filter_context(model, dark).deter, beliefs[0].deter)
    blind = WorldModel.untrained(variant("tiny", bev=False, decode_bev=False, camera=CAMERA))
    columns = {name: i for i, name in enumerate(store.labels)}
    without = {name: value for name, value in batch.items() if name != "bev"}
    _, parts = world_model_loss(blind, without, columns, LossConfig())
    assert parts["recon_loss"] == 0 and parts["camera_recon_loss"] > 0


def test_a_window_counts_as_much_as_it_weighs(store):
    model = WorldModel.untrained(variant("tiny"))
    columns = {name: i for i, name in enumerate(store.labels)}
    batch = WindowSampler(store, 24, 2).windows(np.array([1, 91]))

    def loss(**changes: torch.Tensor) -> dict[str, float]:
        torch.manual_seed(0)
        _, parts = world_model_loss(model, {**batch, **changes}, columns, LossConfig())
        return {name: float(value) for name, value in parts.items() if not value.dim()}

    plain, first, second = (
        loss(weight=torch.tensor(weight)) for weight in ([1.0, 1.0], [2.0, 0.0], [0.0, 2.0])
    )
    assert plain == loss()
    for name in ("heads/lateral_deviation", "imagined/reward", "kl_loss", "recon_loss"):
        assert min(first[name], second[name]) < plain[name] < max(first[name], second[name]), name
    labels = batch["labels"].clone()
    labels[1] += 1.0
    assert loss(labels=labels, weight=torch.tensor([2.0, 0.0])) == first
    assert loss(labels=labels) != plain


def test_what_does_not_fit_is_refused(tmp_path, store, write_store):
    check_fits(store, CONFIG)
    with pytest.raises(UserError, match=r"has camera_front as \(32, 48, 3\) uint8, the model"):
        check_fits(store, variant("tiny", inputs="camera"))
    with pytest.raises(UserError, match="the model wants camera_left"):
        check_fits(store, variant("tiny", camera={**CAMERA, "names": ("front", "left")}))
    plain = Store.open(write_store(tmp_path / "plain", 1))
    with pytest.raises(UserError, match="has no stream 'camera_front', it has bev, state, route"):
        WindowSampler(plain, 20, 2, streams=CONFIG.streams)
