"""Jobs in processes of their own: all are done, errors arrive, and none outlives its command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import os, sys, time
from dataclasses import dataclass
from pathlib import Path
from wm_dynamics.errors import UserError
from wm_training.town_jobs import run_jobs

@dataclass(frozen=True)
class Job:
    town: str
    folder: str
    seconds: float
    total: int = 3

def work(job, report):
    Path(job.folder, job.town).write_text(str(os.getpid()))
    end = time.monotonic() + job.seconds
    while time.monotonic() < end:
        time.sleep(0.05)
        report(1)
    if job.town == "nowhere":
        raise UserError("there is no such town")
    if job.town == "doomed":
        os._exit(3)
    Path(job.folder, job.town + ".done").touch()

if __name__ == "__main__":
    folder, seconds, *towns = sys.argv[1:]
    run_jobs([Job(town, folder, float(seconds)) for town in towns], work, 2)
"""


def start(folder: Path, seconds: float, *towns: str) -> subprocess.Popen:
    program = folder / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), str(folder), str(seconds), *towns]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_every_job_is_done(tmp_path):
    process = start(tmp_path, 0.0, "a", "b", "c")
    assert process.wait(60) == 0
    assert len(list(tmp_path.glob("*.done"))) == 3


@pytest.mark.parametrize(
    ("town", "text"), [("nowhere", "there is no such town"), ("doomed", "on doomed stopped")]
)
def test_what_goes_wrong_arrives(tmp_path, town, text):
    process = start(tmp_path, 0.0, town)
    assert text in process.communicate(timeout=60)[1]
    assert process.returncode != 0


def test_work_ends_when_its_command_is_killed(tmp_path):
    process = start(tmp_path, 60.0, "a")
    file = tmp_path / "a"
    end = time.monotonic() + 60.0
    while not (file.exists() and file.read_text()) and time.monotonic() < end:
        time.sleep(0.05)
    worker = int(file.read_text())
    process.send_signal(signal.SIGKILL)
    process.communicate()
    while Path(f"/proc/{worker}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
