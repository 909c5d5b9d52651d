"""However its windows are chosen, a run resumes to the bit."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from wm_training.store import Store
from wm_training.train_config import TrainConfig
from wm_training.train_state import read_facts
from wm_training.trainer import STATE_FILE, Trainer

TINY = {"size": "tiny", "batch": 4, "ego_steps": 3, "ego_batch": 32, "warmup": 5, "log_every": 1}
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def store(tmp_path_factory, write_store) -> Store:
    return Store.open(write_store(tmp_path_factory.mktemp("store")))


@pytest.mark.parametrize("kind", ["uniform", "event", "prioritised"])
def test_six_steps_are_four_and_two_resumed(tmp_path, store, kind):
    config, seen = TrainConfig(steps=6, sampler=kind, **TINY), []
    Trainer(config, store, tmp_path / "whole", report=lambda *args: seen.append(args[2])).fit()
    Trainer(config, store, tmp_path / "parts").fit(until=4)
    Trainer.resume(store, tmp_path / "parts", {}).fit()
    ends = [load_file(tmp_path / name / STATE_FILE) for name in ("whole", "parts")]
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])
    states = [read_facts(tmp_path / name / STATE_FILE)["sampler"] for name in ("whole", "parts")]
    assert json.dumps(states[0]) == json.dumps(states[1])
    assert "window_loss" not in seen[-1] and seen[-1]["data_stall"] < 0.5
    assert (states[0].get("level") is not None) == (kind == "prioritised")
