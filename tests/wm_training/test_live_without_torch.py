"""A drive over ROS where nobody can import torch: what its nodes weigh, how long frames take."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.ros

NODES = ("wm_perception.perception_node", "wm_planner.planner_node", "wm_planner.gate_node")
MOST_MB = 250.0
TIME_LIMIT_S = 5.0


def children(parent: int) -> dict[str, int]:
    """Node module -> process id, of the processes that ``parent`` has started."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            father = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
        names = {word.decode(errors="replace") for word in words}
        if father == parent:
            found |= {name: int(folder.name) for name in names.intersection(NODES)}
    return found


def peak_mb(process: int) -> float:
    """The most resident memory that a process has had; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
@pytest.mark.camera
@pytest.mark.parametrize("model", ["driving-bev", "driving-camera"])
def test_a_drive_needs_no_torch_and_little_memory(ros_domain, tmp_path, model):
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "torch.py").write_text("raise ImportError('there is no torch here')\n")
    environment = {**ros_domain.env, "PYTHONPATH": str(blocked)}
    asked = [sys.executable, "-c", "import torch"]
    assert b"there is no torch" in subprocess.run(asked, env=environment, stderr=-1).stderr

    report = tmp_path / "report.json"
    drive = subprocess.Popen(
        [sys.executable, "-m", "wm_training.cli", "drive", "--town", "tiny", "--routes", "1",
         "--traffic", "4", "--model", model, "--time-limit-s", str(TIME_LIMIT_S), "--no-video",
         "--json", str(report)],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    peaks = dict.fromkeys(NODES, 0.0)
    deadline = time.monotonic() + 240.0
    while drive.poll() is None and time.monotonic() < deadline:
        for name, process in children(drive.pid).items():
            peaks[name] = max(peaks[name], peak_mb(process))
        time.sleep(0.2)
    if drive.poll() is None:
        drive.kill()
    said = drive.communicate()[0]
    assert drive.returncode == 0, said

    assert all(0.0 < peak <= MOST_MB for peak in peaks.values()), peaks
    facts = json.loads(report.read_text())
    assert facts["summary"]["plan_ms_p50"] > 0.0
    stages = facts["summary"]["latency_ms"]
    assert stages["camera_to_command"]["frames"] > 5 * TIME_LIMIT_S, "of ten a second"
    parts = ("camera_to_latent", "latent_to_proposal", "proposal_to_command")
    assert all(0.0 < stages[part]["p50"] < stages["camera_to_command"]["p50"] for part in parts)
    (route,) = facts["routes"]
    assert route["duration_s"] >= TIME_LIMIT_S - 0.2
    (log,) = tmp_path.glob("runs/*/tiny/log/planner.log")
    assert "imagined by cpp" in log.read_text()
