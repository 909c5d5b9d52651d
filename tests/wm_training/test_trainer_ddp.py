"""Several processes that share each batch learn what one learns from the whole of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from wm_dynamics import ranks
from wm_dynamics.errors import UserError
from wm_dynamics.ranks import Share, sharing
from wm_training.commands.train import Args, main
from wm_training.devices import Devices
from wm_training.sampler import Draw
from wm_training.store import Store
from wm_training.train_config import TrainConfig
from wm_training.trainer import STATE_FILE, Trainer

pytestmark = pytest.mark.usefixtures("one_thread")
SETTINGS = {
    "size": "tiny", "batch": 6, "ego_steps": 3, "seed": 4, "precision": "float32", "warmup": 1,
}  # fmt: skip


def train_in_processes(store: Path, out: Path, devices: int, *more: str) -> str:
    """Run the command, with a process per device; its output."""
    words = {key.replace("_", "-"): str(value) for key, value in SETTINGS.items()}
    command = [sys.executable, "-m", "wm_training.cli", "train", "--data", str(store)]
    command += ["--out", str(out), "--devices", str(devices), *more]
    command += [word for key, value in words.items() for word in (f"--{key}", value)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert run.returncode == 0, run.stderr
    return run.stdout + run.stderr


def test_two_processes_learn_what_one_learns(tmp_path, write_store):
    # Windows that run past the end of their episode: each process has another number of steps.
    store = write_store(tmp_path / "store", 4, frames=60)
    text = train_in_processes(
        store, tmp_path / "two", 2, "--steps", "3", "--val", str(store), "--validate-every", "2"
    )
    assert text.count("done: 3 steps") == 1 and text.count("validation 2 ") == 1
    main(Args(data=[store], out=tmp_path / "one", steps=3, **SETTINGS))
    main(Args(data=[store], out=tmp_path / "begin", steps=1, **SETTINGS))
    one, two, begin = (load_file(tmp_path / name / STATE_FILE) for name in ("one", "two", "begin"))
    weights = [name for name in one if name.startswith("model.") and ".ego." not in name]
    for name in weights:
        # Adam makes much of what differs where a gradient is nearly 0: hence by the median.
        assert (one[name] - two[name]).abs().median() < 1e-6, name
        torch.testing.assert_close(one[name], two[name], rtol=1e-3, atol=1e-4)
    moved = torch.cat([(one[name] - begin[name]).abs().flatten() for name in weights])
    assert moved.median() > 1e-4
    assert torch.equal(one["rng"], two["rng"])


def test_rows_are_those_of_the_whole_batch():
    """Two windows of four, in two copies; what rank 1 draws is its part of the whole draw."""
    device = torch.device("cpu")
    with sharing(Share(rank=1, ranks=2, windows=2)):
        assert ranks.numbers(4, device).tolist() == [2, 3, 6, 7]
        assert ranks.numbers(6, device, per_window=3).tolist() == [6, 7, 8, 9, 10, 11]
        assert ranks.own_rows(torch.tensor([7, 0, 2, 5]), 4).tolist() == [3, 0]
        assert ranks.own_rows(torch.tensor([0, 11, 6]), 6, per_window=3).tolist() == [5, 0]
        assert ranks.count(4) == 8
        torch.manual_seed(0)
        part = ranks.uniform((3, 4), device, dim=1)
    torch.manual_seed(0)
    assert torch.equal(part, ranks.uniform((3, 8), device)[:, [2, 3, 6, 7]])
    assert ranks.numbers(3, device).tolist() == [0, 1, 2] and ranks.count(4) == 4
    assert ranks.own_rows(torch.tensor([2, 0]), 3).tolist() == [2, 0]
    assert ranks.total(torch.tensor([1.0, 2.0])) == 3.0


def test_shares_of_a_draw():
    draw = Draw(torch.arange(6).numpy(), torch.rand(6).numpy())
    shares = [draw.share(rank, 3) for rank in range(3)]
    assert [share.starts.tolist() for share in shares] == [[0, 1], [2, 3], [4, 5]]
    assert [len(share.weight) for share in shares] == [2, 2, 2]


def test_what_cannot_be_shared_or_computed(tmp_path, write_store):
    store = Store.open(write_store(tmp_path / "store", 1))

    def trainer(devices: Devices, **changes) -> Trainer:
        config = TrainConfig(steps=1, **(SETTINGS | changes))
        return Trainer(config, store, tmp_path / "run", devices=devices)

    with pytest.raises(UserError, match="4 processes cannot have equal shares of 6 windows"):
        trainer(Devices(count=4))
    with pytest.raises(UserError, match="fp16 is for GPUs"):
        trainer(Devices(), precision="fp16")
    with pytest.raises(UserError, match="unknown device 'tpu'"):
        trainer(Devices("tpu"))
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="cuda is not available here"):
            trainer(Devices("cuda"))
        assert trainer(Devices("auto")).fabric.device.type == "cpu"
