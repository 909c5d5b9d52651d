"""Streams: shapes are checked, missing ones are known to be missing, cameras are told apart."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from wm_dynamics.backend import TorchBackend
from wm_dynamics.bev import unpack_bev
from wm_dynamics.config import ModelConfig
from wm_dynamics.decoder import image_error
from wm_dynamics.encoder import CameraEncoder, Encoder
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_dynamics.streams import hide_streams, image_input, network_inputs
from wm_dynamics.synthetic import synthetic_window
from wm_dynamics.variants import variant

CONFIG = variant("tiny", inputs="all", modality_dropout=0.3)
NAMES = ("camera_front", "camera_left", "camera_right", "lidar_bev", "bev", "state", "route")


@pytest.fixture(scope="module")
def streams() -> dict[str, torch.Tensor]:
    window = synthetic_window(CONFIG, 3, 1)
    return network_inputs({name: window[name][:, 0] for name in NAMES}, CONFIG)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return WorldModel.untrained(CONFIG, seed=1).encoder.requires_grad_(False)


def test_the_streams_of_a_configuration():
    assert sorted(CONFIG.streams) == sorted(NAMES)
    assert ModelConfig().streams == ("bev", "state", "route")


@pytest.mark.parametrize("name", NAMES)
def test_absent_rows_and_absent_streams_look_the_same(encoder, streams, name):
    whole = encoder(streams)
    without = encoder({key: value for key, value in streams.items() if key != name})
    flags = torch.tensor([True, False, True])
    some = encoder(streams, {name: flags})
    torch.testing.assert_close(some[flags], whole[flags])
    torch.testing.assert_close(some[~flags], without[~flags])
    assert not torch.allclose(without, whole)


@pytest.mark.parametrize("name", NAMES)
def test_missing_is_not_zero(encoder, streams, name):
    """A stream of zeros is a measurement; that there is none is something else."""
    zeros = encoder({**streams, name: torch.zeros_like(streams[name])})
    without = encoder({key: value for key, value in streams.items() if key != name})
    assert not torch.allclose(zeros, without)


def test_without_modality_dropout_nothing_may_be_missing(streams):
    config = CONFIG.model_copy(update={"modality_dropout": 0.0})
    encoder = WorldModel.untrained(config).encoder
    assert encoder.missing is None
    with pytest.raises(UserError, match="the model needs lidar_bev"):
        encoder({key: value for key, value in streams.items() if key != "lidar_bev"})


def test_nothing_at_all_is_refused(encoder):
    with pytest.raises(UserError, match="sees nothing"):
        encoder({})


def test_each_row_keeps_a_stream():
    torch.manual_seed(0)
    seen = hide_streams(NAMES, 500, 0.9, torch.device("cpu"))
    counts = torch.stack(list(seen.values())).sum(0)
    assert counts.min() == 1
    assert counts.float().mean() == pytest.approx(0.7 + 0.9**7, abs=0.15)
    assert set(seen) == set(NAMES)


def test_dropout_is_for_training_only():
    config = CONFIG.model_copy(update={"modality_dropout": 0.15})
    model = WorldModel.untrained(config, seed=1)
    window = synthetic_window(config, 16, 2)
    embed: list[tuple[torch.Tensor, torch.Tensor]] = []
    model.rssm.observe = lambda embedding, drive: embed.append((embedding, drive))
    masks = unpack_bev(window["bev"], CONFIG.bev_channels)
    with torch.no_grad():
        torch.manual_seed(0)
        for mode in (False, False, True):
            model.train(mode)
            model.observe(masks, window)
    assert torch.equal(embed[0][0], embed[1][0])
    rows = (embed[0][0] - embed[2][0]).abs().amax((1, 2)) > 1e-4
    assert rows.any() and not rows.all()
    # Speed is hidden with the state; what is left is the distance of the last step.
    speed, distance = embed[2][1][..., 5], window["motion"][..., 0] / 2.0
    hidden = (speed == distance).all(1)
    assert hidden.any() and not hidden.all()


@pytest.mark.parametrize(
    "name, shape",
    [("bev", (2, 32, 32)), ("camera_front", (2, 64, 48, 3)), ("lidar_bev", (2, 1, 64, 64)),
     ("state", (2, 4)), ("route", (2, 22))],
)  # fmt: skip
def test_wrong_shapes_are_refused(name, shape):
    with pytest.raises(UserError, match=f"stream '{name}' arrives as"):
        network_inputs({name: torch.zeros(shape, dtype=torch.uint8)}, CONFIG)


def test_unknown_streams_are_not_read():
    assert network_inputs({"radar": torch.zeros(2, 3)}, CONFIG) == {}


def test_images_are_centred_and_keep_their_memory():
    image = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 2, 1).expand(1, 1, 2, 3)
    ready = image_input(image.contiguous())
    torch.testing.assert_close(ready[0, :, 0], torch.tensor([[-0.5, 0.5]] * 3))
    assert ready.is_contiguous(memory_format=torch.channels_last)


def test_one_picture_in_another_camera_is_another_sight():
    cameras = CameraEncoder(CONFIG)
    picture = torch.rand(2, 3, CONFIG.camera.height, CONFIG.camera.width)
    first, second, _ = cameras.look([picture] * 3)
    torch.testing.assert_close(first, second)
    assert not torch.allclose(cameras.label(first, 0), cameras.label(second, 1))


def test_image_error_is_zero_for_the_picture_itself():
    pictures = torch.rand(2, 3, 3, 8, 8)
    half = torch.nn.functional.avg_pool2d(pictures.flatten(0, 1), 2).unflatten(0, (2, 3))
    assert image_error(half, pictures).abs().max() < 1e-9
    torch.testing.assert_close(image_error(half + 0.1, pictures), torch.full((2,), 9 * 0.01))


def test_the_runtime_passes_sensors_on():
    model = WorldModel.untrained(variant("tiny", inputs="camera"), seed=1)
    backend = TorchBackend(model)
    window = {name: x[0, 0].numpy() for name, x in synthetic_window(model.config, 1, 1).items()}
    still = (np.zeros(2), np.zeros(3))
    sight = SimpleNamespace(
        bev=window["bev"], state=window["state"], route=window["route"],
        sensors={"camera_front": window["camera_front"]},
    )  # fmt: skip
    _, surprise = backend.observe(backend.initial(), *still, sight)
    dark = {"camera_front": np.zeros_like(window["camera_front"])}
    _, other = backend.observe(
        backend.initial(), *still, SimpleNamespace(**{**vars(sight), "sensors": dark})
    )
    assert np.isfinite(surprise) and surprise != other
    del sight.sensors
    with pytest.raises(UserError, match="the model needs camera_front"):
        backend.observe(backend.initial(), *still, sight)
