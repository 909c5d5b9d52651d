"""Killed at any moment, a run goes on to the losses and weights of one that was left alone."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from wm_dynamics.checkpoint import load_checkpoint
from wm_training.checkpoints import FOLDER
from wm_training.store import Store
from wm_training.train_config import TrainConfig
from wm_training.trainer import STATE_FILE, Trainer

STEPS = 16
CONFIG = TrainConfig(
    size="tiny", batch=4, steps=STEPS, ego_steps=20, ego_batch=32, warmup=5, log_every=1,
    save_every_s=0.2, validate_every=8, keep=2,
)  # fmt: skip
# Trains or goes on training, and prints the loss of every step.
PROGRAM = """
import sys
from pathlib import Path
import torch
from wm_training.store import Store
from wm_training.train_config import TrainConfig
from wm_training.trainer import STATE_FILE, Trainer

def report(phase, step, scalars):
    if phase == "train":
        print(step, scalars["loss"].hex(), flush=True)

torch.set_num_threads(1)
store, out = Store.open(Path(sys.argv[1])), Path(sys.argv[2])
options = {"validation": store, "report": report}
if (out / STATE_FILE).exists():
    Trainer.resume(store, out, {}, **options).fit()
else:
    Trainer(TrainConfig.model_validate_json(sys.argv[3]), store, out, **options).fit()
"""


def start(store: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(store), str(out), CONFIG.model_dump_json()]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def losses_of(lines: list[str]) -> dict[int, str]:
    """Step -> loss, to the bit."""
    return {int(step): loss for step, loss in (line.split() for line in lines)}


def alone(store: Path, out: Path) -> dict[int, str]:
    """The losses of a run that nobody kills."""
    seen: dict[int, str] = {}

    def report(phase: str, step: int, scalars: dict[str, float]) -> None:
        if phase == "train":
            seen[step] = scalars["loss"].hex()

    before, data = torch.get_num_threads(), Store.open(store)
    torch.set_num_threads(1)
    Trainer(CONFIG, data, out, data, report=report).fit()
    torch.set_num_threads(before)
    return seen


@pytest.mark.parametrize("kills", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_killed_and_resumed(tmp_path, write_store, kills):
    store = write_store(tmp_path / "store")
    wanted = alone(store, tmp_path / "alone")
    rng = np.random.default_rng(kills)
    # Random steps, the last before the end; and anywhere within a step or a save.
    at = np.sort(rng.choice(np.arange(1, STEPS - 3), kills, replace=False))
    for step in at:
        run = start(store, tmp_path / "killed")
        lines = []
        for line in run.stdout:
            lines.append(line)
            if int(line.split()[0]) >= step:
                time.sleep(rng.uniform(0.0, 0.05))
                run.send_signal(signal.SIGKILL)
                break
        lines += [line for line in run.stdout if line.endswith("\n")]
        assert run.wait(60) == -signal.SIGKILL
        assert losses_of(lines).items() <= wanted.items()
    run = start(store, tmp_path / "killed")
    rest, _ = run.communicate(timeout=600)
    assert run.returncode == 0
    last = losses_of(rest.splitlines())
    assert max(last) == STEPS and last.items() <= wanted.items()

    ends = [load_file(tmp_path / name / STATE_FILE) for name in ("alone", "killed")]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])
    folders = [tmp_path / name / FOLDER for name in ("alone", "killed")]
    kept = [{path.name: load_checkpoint(path).hash for path in f.iterdir()} for f in folders]
    assert kept[0] == kept[1] and len(kept[0]) == 2
