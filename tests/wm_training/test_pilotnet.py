"""Behaviour cloning: what may be imitated, that it is learned, and that a run goes on exactly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from wm_dynamics.checkpoint import save_checkpoint
from wm_dynamics.config import SIZES
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_training.commands import train_pilotnet as command
from wm_training.drivers import PILOTNETS, driver_model, make_driver, simulator_camera
from wm_training.evaluation import drive_route
from wm_training.pilotnet import PilotNet, PilotNetConfig, load_pilotnet, save_pilotnet
from wm_training.pilotnet_data import Demonstrations
from wm_training.pilotnet_trainer import PilotNetTrainer, PilotNetTraining
from wm_training.store import StoreWriter
from wm_training.store_columns import COLUMNS, TEACHER, camera_columns
from wm_training.suites import RouteTask

HEIGHT, WIDTH, FRAMES = 64, 64, 60
pytestmark = pytest.mark.usefixtures("one_thread")


def write(path: Path, episode, habits=("clean",), taught: bool = False, blind=slice(0)) -> Path:
    """A store whose pictures show the right steering as brightness; ``blind`` frames have none."""
    rng = np.random.default_rng(len(habits))
    columns = (*COLUMNS, *camera_columns(["front"]), *([TEACHER] if taught else []))
    with StoreWriter(path, columns=columns) as writer:
        for habit in habits:
            data = episode(rng, FRAMES)
            right = rng.uniform(-0.8, 0.8, (FRAMES, 2)).astype(np.float32)
            data["command"] = np.roll(right, 1, 0)  # applied after the frame: told by the next one
            grey = np.uint8(127 + 120 * right[:, 0])
            data["image-front"] = np.broadcast_to(
                grey[:, None, None, None], (FRAMES, HEIGHT, WIDTH, 3)
            )
            data["state"][:, 0] = right[:, 1]  # the right pedal hides in the speed
            data["age-front"] = np.zeros(FRAMES)
            data["age-front"][blind] = np.nan
            if taught:
                data[TEACHER] = right
                data["command"] = rng.normal(0.0, 0.3, (FRAMES, 2))
            writer.append_episode(data, {"habit": habit} if habit else {})
    return path


def shown(data: Demonstrations, rows) -> np.ndarray:
    """The steering that the pictures show."""
    return (data.batch(rows).pictures[:, 0, 0, 0].astype(float) - 127) / 120


def test_only_careful_drivers_are_imitated_and_each_frame_has_the_command_after_it(
    tmp_path, episode
):
    store = write(tmp_path / "s", episode, ("reckless", "clean", "noisy", None))
    data = Demonstrations.open([store])
    assert len(data) == 2 * (FRAMES - 1)
    rows = np.arange(len(data))
    np.testing.assert_allclose(shown(data, rows), data.commands[:, 0], atol=0.01)
    with pytest.raises(UserError, match="nobody drives carefully"):
        Demonstrations.open([write(tmp_path / "r", episode, ("reckless", "noisy"))])


def test_a_lesson_tells_the_teachers_wish_not_what_was_done(tmp_path, episode):
    store = write(tmp_path / "s", episode, ("lesson", "lesson"), taught=True, blind=slice(5, 9))
    plain = write(tmp_path / "p", episode)
    data = Demonstrations.open([store, plain])
    assert len(data) == 2 * (FRAMES - 5) + FRAMES - 1, "frames without a picture teach nothing"
    rows = np.random.default_rng(0).permutation(len(data))[:40]
    np.testing.assert_allclose(shown(data, rows), data.commands[rows, 0], atol=0.01)
    assert data.hash != Demonstrations.open([store]).hash


def test_a_store_without_a_camera_is_refused(tmp_path, write_store):
    with pytest.raises(UserError, match="no camera called front"):
        Demonstrations.open([write_store(tmp_path / "s", 1)])


@pytest.fixture(scope="module")
def lessons(tmp_path_factory, episode) -> Demonstrations:
    path = tmp_path_factory.mktemp("lessons") / "s"
    return Demonstrations.open([write(path, episode, ("clean",) * 4)])


def settings(**changed) -> PilotNetTraining:
    fixed = {"steps": 60, "batch": 16, "warmup": 5, "log_every": 20, "learning_rate": 3e-3}
    quiet = {"colour": 0.0, "cutout": 0.0, "shift_px": 0}
    return PilotNetTraining.model_validate(fixed | {"augment": quiet} | changed)


def test_it_learns_to_steer_by_the_picture_and_the_pedals_by_the_speed(lessons, tmp_path):
    measures = {}
    for inputs in ("image", "image+speed"):
        trainer = PilotNetTrainer(settings(inputs=inputs), lessons, tmp_path / inputs, lessons)
        trainer.fit()
        measures[inputs] = trainer.kept
        assert trainer.kept["mse_steer"] < 0.3 * trainer.kept["mean_mse_steer"]
    assert measures["image"]["mse_accel"] > 0.7 * measures["image"]["mean_mse_accel"]
    assert measures["image+speed"]["mse_accel"] < 0.7 * measures["image"]["mse_accel"]
    facts = json.loads((tmp_path / "image" / "metadata.json").read_text())
    assert facts["metrics"] == measures["image"] and facts["metrics"]["step"] == 60
    assert facts["data_hash"] == lessons.hash and facts["examples"] == len(lessons)


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(lessons, tmp_path):
    config = settings(steps=12, augment={})
    whole = PilotNetTrainer(config, lessons, tmp_path / "whole")
    whole.fit()
    PilotNetTrainer(config, lessons, tmp_path / "parts").fit(until=5)
    torch.manual_seed(99)
    resumed = PilotNetTrainer.resume(lessons, tmp_path / "parts", {})
    assert resumed.step == 5
    resumed.fit()
    for kind in ("network", "ema"):
        pairs = zip(getattr(whole, kind).parameters(), getattr(resumed, kind).parameters(),
                    strict=True)  # fmt: skip
        assert all(torch.equal(a, b) for a, b in pairs)
    loaded = load_pilotnet(tmp_path / "parts")
    assert all(
        torch.equal(a, b) for a, b in zip(loaded.parameters(), whole.ema.parameters(), strict=True)
    )
    assert loaded.metadata["steps"] == 12


def test_the_network_with_the_lowest_held_out_error_is_kept(lessons, tmp_path):
    config = settings(steps=6, measure_every=1, learning_rate=0.03)
    trainer = PilotNetTrainer(config, lessons, tmp_path / "net", lessons)
    trainer.fit(until=3)
    trainer = PilotNetTrainer.resume(lessons, tmp_path / "net", {}, validation=lessons)
    trainer.fit()
    measured = {row["step"]: row["mse"] for row in trainer.curve if "mse" in row}
    assert len(measured) == 6
    best = min(measured, key=measured.__getitem__)
    kept = load_pilotnet(tmp_path / "net").metadata
    assert kept["metrics"]["step"] == kept["steps"] == best
    assert kept["metrics"]["mse"] == pytest.approx(measured[best], abs=1e-5)


def test_another_seed_is_another_run(lessons, tmp_path):
    nets = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        trainer = PilotNetTrainer(settings(steps=2, seed=seed), lessons, tmp_path / name)
        trainer.fit()
        nets.append(torch.cat([p.flatten() for p in trainer.network.parameters()]))
    assert torch.equal(nets[0], nets[1]) and not torch.equal(nets[0], nets[2])


def test_the_shape_is_the_papers():
    net = PilotNet(PilotNetConfig(height=66, width=200, inputs="image", route=0))
    weights = [tuple(p.shape) for p in net.parameters() if p.ndim > 1]
    assert weights[:5] == [(24, 3, 5, 5), (36, 24, 5, 5), (48, 36, 5, 5), (64, 48, 3, 3),
                           (64, 64, 3, 3)]  # fmt: skip
    assert weights[5:] == [(100, 1152), (50, 100), (10, 50), (2, 10)]


def test_without_speed_it_does_not_look_at_it():
    net = PilotNet(PilotNetConfig(inputs="image")).eval()
    picture, route = torch.zeros(1, 80, 144, 3, dtype=torch.uint8), torch.zeros(1, 20)
    slow, fast = (net(picture, route, torch.full((1, 1), v)) for v in (0.0, 1.0))
    assert torch.equal(slow, fast)
    other = net(picture, route + 0.2, torch.zeros(1, 1))
    assert not torch.equal(slow, other), "the route says where to"


def test_what_cannot_be_loaded_says_why(tmp_path):
    with pytest.raises(UserError, match="no PilotNet at .*nowhere; .*wm train pilotnet"):
        load_pilotnet(tmp_path / "nowhere")
    save_checkpoint(WorldModel.untrained(SIZES["tiny"], seed=1), tmp_path / "world")
    with pytest.raises(UserError, match="a PilotNet is made by `wm train pilotnet`"):
        load_pilotnet(tmp_path / "world")
    save_pilotnet(PilotNet(PilotNetConfig()), tmp_path / "net")
    (tmp_path / "net" / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="copy the whole directory again"):
        load_pilotnet(tmp_path / "net")


def test_the_command_trains_resumes_and_refuses(tmp_path, episode, capsys):
    store, out = write(tmp_path / "s", episode, ("clean", "clean")), tmp_path / "net"
    args = {"data": [store], "val": [store], "out": out, "batch": 4}
    command.main(command.Args(**args, steps=2, inputs="image"))
    assert "open-loop error on held-out drives: steer" in capsys.readouterr().out
    with pytest.raises(UserError, match="already holds a run"):
        command.main(command.Args(**args, steps=2))
    with pytest.raises(UserError, match="has inputs = image, asked for is image"):
        command.main(command.Args(**args, inputs="image+speed", resume=True))
    other = write(tmp_path / "other", episode, ("clean",) * 3)
    with pytest.raises(UserError, match="trained on other data"):
        command.main(command.Args(**args | {"data": [other]}, resume=True))
    command.main(command.Args(**args, steps=4, resume=True))
    assert load_pilotnet(out).metadata["steps"] == 4
    with pytest.raises(UserError, match="--batch 1"):
        command.main(command.Args(**args | {"out": tmp_path / "x", "batch": 1}))


@pytest.mark.camera
@pytest.mark.parametrize("name", PILOTNETS)
def test_the_shipped_one_keeps_its_lane_and_stays_the_one_whose_figures_are_told(name):
    from wm_sim.simulator import Simulator

    path = driver_model(name)
    assert json.loads((path / "metadata.json").read_text())["data_hash"] == "f891718694c38dd6"
    driver = make_driver(name, path)
    with Simulator("val01", frame_dt=0.1, camera=simulator_camera(driver)) as simulator:
        task = RouteTask("val01", 1, traffic=0, seed=0, time_limit_s=12.0)
        result = drive_route(simulator, driver, task).result
    assert result.outcome == "timeout" and result.driven_m > 8.0
    assert result.mean_lateral_m < 0.8
