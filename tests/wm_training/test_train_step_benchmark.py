"""The benchmark of a training step runs, takes turns and writes what it promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from wm_dynamics.config import SIZES
from wm_dynamics.model import WorldModel

ROOT = Path(__file__).parents[2]
KEYS = {
    "world_model_speedup_vs_torchrl",
    "behavior_speedup_vs_torchrl",
    "world_model_ms",
    "behavior_ms",
    "precision",
}


def run(*arguments: str) -> str:
    command = [sys.executable, str(ROOT / "benchmarks" / "train_step.py"), "--quick", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_quick_round(tmp_path):
    pytest.importorskip("torchrl")
    out = tmp_path / "speed.json"
    printed = run("--rounds", "1", "--threads", "1", "--json", str(out))
    document = json.loads(out.read_text())
    assert document.keys() >= KEYS
    for column in ("act", "rssm", "imagine", "world_model", "behavior"):
        cells = document["columns"][column]
        assert set(cells) == {"ours", "torchrl"} and all(c["wall_ms"] > 0 for c in cells.values())
        ratio = cells["torchrl"]["wall_ms"] / cells["ours"]["wall_ms"]
        assert document["speedup_vs_fastest_peer"][column] == pytest.approx(ratio, abs=0.01)
    assert "| torchrl (" in printed


STUB = """
import os, sys
print('{"columns": ["act"]}', flush=True)
for line in sys.stdin:
    if line.strip() == "die":
        os.kill(os.getpid(), 9)
    print('{"held_mb": %d}' % (500 if line.strip() == "big" else 5), flush=True)
"""


@pytest.fixture
def worker(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import train_step

    (tmp_path / "train_step_worker.py").write_text(STUB)
    monkeypatch.setattr(train_step, "HERE", tmp_path)
    made = train_step.Worker("somebody", 1, True, None, memory_mb=100.0)
    yield made
    made.close()


def test_who_holds_too_much_goes_on_in_a_new_process(worker):
    first = worker.process.pid
    worker.run("act")
    assert worker.process.pid == first
    worker.run("big")
    assert worker.process.poll() == 0  # gives its memory back at once
    worker.run("act")
    assert worker.process.pid != first and worker.about == {"columns": ["act"]}


def test_an_error_says_whose_it_is(worker):
    with pytest.raises(SystemExit, match="somebody was killed by signal 9; out of memory"):
        worker.run("die")


def test_the_compared_size_is_that_of_the_published_models():
    count = sum(p.numel() for p in WorldModel.untrained(SIZES["dreamer12m"]).parameters())
    assert 8.1e6 < count < 12e6  # TorchRL's world model of this size has 8.13 M


@pytest.mark.slow
@pytest.mark.camera
def test_quick_curves(tmp_path):
    pytest.importorskip("torchrl")
    pytest.importorskip("moderngl")
    out = tmp_path / "curves.json"
    run("--curves", str(out), "--threads", "1")
    curves = json.loads(out.read_text())["curves"]
    assert len(curves) == 3 and all(curve[-1]["update"] == 2 for curve in curves.values())
