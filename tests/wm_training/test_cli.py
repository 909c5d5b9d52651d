"""The ``wm`` command as people meet it: help, and one clear line about every mistake."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wm_dynamics.checkpoint import save_checkpoint
from wm_dynamics.config import SIZES
from wm_dynamics.model import WorldModel
from wm_planner.paths import shared_dir
from wm_training.cli import COMMANDS


def wm(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wm_training.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def mistake(*arguments: object, cwd: Path) -> str:
    """What is said about a mistake: exit code 2, one line, no traceback, nothing left behind."""
    before = set(cwd.iterdir())
    done = wm(*arguments, cwd=cwd)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert set(cwd.iterdir()) == before
    return line


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """Folder of model directories: whole, altered, and with a config of another shape."""
    folder = tmp_path_factory.mktemp("models")
    save_checkpoint(WorldModel.untrained(SIZES["tiny"]), folder / "whole")
    shutil.copytree(folder / "whole", folder / "altered")
    weights = folder / "altered" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    shutil.copytree(folder / "whole", folder / "reshaped")
    config = folder / "reshaped" / "config.yaml"
    config.write_text(config.read_text().replace("deter: 32", "deter: 64"))
    return folder


def test_without_a_command_it_says_what_there_is():
    asked, unasked = wm("--help"), wm()
    assert (asked.returncode, unasked.returncode) == (0, 2)
    for name in COMMANDS:
        assert f"wm {name}" in asked.stdout


def test_an_unknown_command():
    done = wm("fly")
    assert done.returncode == 2
    assert done.stderr.startswith("wm: unknown command 'fly'\n")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command",
    [*((name,) for name in COMMANDS), *(("dataset", action) for action in ("build", "collect"))],
    ids=" ".join,
)
def test_help_of_every_command(command):
    done = wm(*command, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: wm")
    assert done.stderr == ""


def test_an_unknown_option(tmp_path):
    done = wm("eval", "--colour", "red", cwd=tmp_path)
    assert done.returncode == 2
    assert "--colour" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("drive", "--town"),
        ("eval", "--town"),
        ("sim", "--town"),
        ("record", "bag", "--town"),
        ("dataset", "collect", "--towns"),
    ],
    ids=lambda command: command[0],
)
def test_an_unknown_town(command, tmp_path):
    assert "unknown town 'atlantis'; known towns: " in mistake(*command, "atlantis", cwd=tmp_path)


@pytest.mark.parametrize("command", [("drive",), ("eval",), ("record", "bag")], ids=" ".join)
def test_an_unknown_driver(command, tmp_path):
    line = mistake(*command, "--driver", "santa", cwd=tmp_path)
    assert "driver" in line and "untrained" in line and "expert" in line


@pytest.mark.parametrize("command", ["drive", "eval"])
def test_an_unknown_model(command, tmp_path):
    line = mistake(command, "--town", "tiny", "--model", "nowhere", cwd=tmp_path)
    assert "no model directory at 'nowhere'" in line


@pytest.mark.parametrize(
    "name, problem",
    [("altered", "is not the file metadata.json describes"), ("reshaped", "disagree")],
)
def test_a_model_that_cannot_be_used(models, tmp_path, name, problem):
    line = mistake("eval", "--town", "tiny", "--model", models / name, cwd=tmp_path)
    assert problem in line


def test_an_unknown_key_in_a_parameter_file(models, tmp_path):
    text = (shared_dir("config") / "planner.yaml").read_text()
    (tmp_path / "planner.yaml").write_text(f"{text}    cruise_speed: 9.0\n")
    arguments = ("--model", models / "whole", "--planner", "planner.yaml")
    line = mistake("eval", "--town", "tiny", *arguments, cwd=tmp_path)
    assert "planner.yaml: unknown key 'cruise_speed'" in line
    assert "cruise_mps" in line


def test_a_time_limit_of_nothing(tmp_path):
    line = mistake("eval", "--town", "tiny", "--time-limit-s", "0", cwd=tmp_path)
    assert "time limit" in line


def test_data_that_is_not_there(tmp_path):
    assert "no recording at" in mistake("dataset", "build", "bag", cwd=tmp_path)
    assert "is no training store" in mistake("dataset", "info", "store", cwd=tmp_path)
    arguments = ("--data", "store", "--out", "model")
    assert "is no training store" in mistake("train", *arguments, cwd=tmp_path)
    (tmp_path / "bag").mkdir()
    assert "bag exists; choose a new directory" in mistake("record", "bag", cwd=tmp_path)
