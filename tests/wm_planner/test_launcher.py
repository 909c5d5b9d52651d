"""The process launcher: parameters, a node that dies, Ctrl-C, a parent that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from wm_dynamics.errors import UserError
from wm_planner import launcher as launcher_module
from wm_planner.config_files import read_parameters
from wm_planner.launcher import Launcher, NodeDied, merged_parameters, node_command
from wm_planner.node_table import NodeSpec, drive_options, node_table
from wm_planner.process import Process, node_environment

STUBBORN = """
import signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
print("stubborn", flush=True)
time.sleep(60)
"""
SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
DYING = "print('line one'); raise SystemExit('out of luck')"


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(condition, timeout_s: float = 8.0) -> bool:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def scripts(monkeypatch):
    """Lets node specs run little scripts: ``executable`` is the script's text."""

    def command(spec, parameter_file):
        return [sys.executable, "-c", spec.executable]

    monkeypatch.setattr(launcher_module, "node_command", command)


def script(key: str, text: str, essential: bool = True) -> NodeSpec:
    return NodeSpec(key=key, package="none", executable=text, essential=essential)


def test_a_node_that_dies_is_reported_by_name_with_its_last_words(scripts, tmp_path):
    with Launcher([script("good", SLEEPER), script("bad", DYING)], tmp_path) as launcher:
        launcher.start()
        assert until(lambda: launcher.processes["bad"].status is not None)
        with pytest.raises(NodeDied, match=r"node 'bad' ended with status 1.*bad\.log") as error:
            launcher.check()
        assert "out of luck" in str(error.value) and "Traceback" not in str(error.value)
        good = launcher.processes["good"].pid
    assert not alive(good)


def test_a_killed_node_is_named_with_the_signal(scripts, tmp_path):
    with Launcher([script("victim", SLEEPER)], tmp_path) as launcher:
        launcher.start()
        launcher.processes["victim"].send(signal.SIGKILL)
        assert until(lambda: launcher.processes["victim"].status is not None)
        with pytest.raises(NodeDied, match="'victim' ended with SIGKILL"):
            launcher.check()


def test_the_end_of_a_node_that_is_not_essential_is_no_error(scripts, tmp_path):
    with Launcher([script("viewer", "pass", essential=False)], tmp_path) as launcher:
        launcher.start()
        assert until(lambda: launcher.processes["viewer"].status is not None)
        launcher.check()


def test_a_node_that_does_not_listen_is_killed(scripts, tmp_path, monkeypatch):
    steps = ((signal.SIGINT, 0.2), (signal.SIGTERM, 0.2), (signal.SIGKILL, 3.0))
    monkeypatch.setattr(launcher_module, "ENDING", steps)
    launcher = Launcher([script("stubborn", STUBBORN)], tmp_path)
    launcher.start()
    process = launcher.processes["stubborn"]
    assert until(lambda: "stubborn" in process.tail())
    launcher.stop()
    assert process.how_it_ended() == "SIGKILL"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_the_launcher(number, tmp_path):
    """Ctrl-C ends the children in order; a killed launcher takes them along."""
    program = f"""
    import sys, time
    from pathlib import Path
    from wm_planner import launcher as module
    from wm_planner.node_table import NodeSpec
    module.node_command = lambda spec, file: [sys.executable, "-c", spec.executable]
    specs = [NodeSpec(key=k, package="none", executable={SLEEPER!r}) for k in ("one", "two")]
    try:
        with module.Launcher(specs, Path({str(tmp_path)!r})) as launcher:
            launcher.start()
            print(*(p.pid for p in launcher.processes.values()), flush=True)
            time.sleep(60)
    except KeyboardInterrupt:
        sys.exit(130)
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True
    )
    children = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(children) == 2 and all(map(alive, children))
    assert until(
        lambda: all("up" in (tmp_path / f"log/{k}.log").read_text() for k in ("one", "two"))
    )
    parent.send_signal(number)
    assert parent.wait(10) == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert until(lambda: not any(map(alive, children)), 5.0)


def test_environment_keeps_what_the_user_set(tmp_path):
    environment = node_environment(tmp_path, {"OMP_NUM_THREADS": "4"})
    assert environment["OMP_NUM_THREADS"] == "4"
    assert environment["AMENT_PREFIX_PATH"] == sys.prefix
    assert environment["FASTDDS_BUILTIN_TRANSPORTS"].startswith("DEFAULT?sockets_size=")
    ours = {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}
    assert node_environment(tmp_path, ours)["FASTDDS_BUILTIN_TRANSPORTS"] == "UDPv4"


def test_parameters_of_the_drive_win_over_the_file(tmp_path):
    specs = {s.key: s for s in node_table(drive_options({"town": "tiny"}), tmp_path)}
    values = merged_parameters(specs["bridge"])
    assert values["town"] == "tiny" and values["frame_dt"] == 0.1
    command = node_command(specs["bridge"], tmp_path / "bridge.yaml")
    assert command[1:3] == ["-m", "wm_sim.bridge_node"]
    assert command[-2:] == ["--params-file", str(tmp_path / "bridge.yaml")]


def test_a_run_keeps_the_parameters_it_used(tmp_path, monkeypatch):
    monkeypatch.setattr(Process, "__init__", lambda self, *_: None)
    specs = node_table(drive_options({"remap": "/a:=/b"}), tmp_path / "model")
    Launcher(specs, tmp_path).start()
    assert read_parameters(tmp_path / "parameters/planner.yaml")["model"] == str(tmp_path / "model")
    assert node_command(specs[0], None)[-2:] == ["-r", "/a:=/b"]


def test_a_bad_parameter_file_stops_the_drive_before_it_starts(tmp_path):
    (tmp_path / "gate.yaml").write_text("nonsense")
    specs = node_table(drive_options({"config_dir": str(tmp_path)}), tmp_path)
    with pytest.raises(UserError, match=r"cannot read .*bridge\.yaml"):
        Launcher(specs, tmp_path / "run").start()


class FakeGraph:
    """A graph on which more and more endpoints appear."""

    def __init__(self):
        self.publishers: dict[str, int] = {}
        self.subscribers: dict[str, int] = {}

    def count_publishers(self, name: str) -> int:
        return self.publishers.get(name, 0)

    def count_subscribers(self, name: str) -> int:
        return self.subscribers.get(name, 0)


def test_ready_means_that_all_topics_of_the_table_are_there(scripts, tmp_path):
    graph = FakeGraph()
    table = node_table(drive_options({"role_name": "hero"}), tmp_path)
    launcher = Launcher(table, tmp_path)
    with pytest.raises(UserError, match="not ready after 0 s: bridge, perception, planner, gate"):
        launcher.wait_ready(graph, timeout_s=0.0)
    graph.publishers = dict.fromkeys(
        ("/carla/hero/odometry", "/carla/status", "/carla/hero/vehicle_control_cmd", "/wm/latent"),
        1,
    )
    graph.subscribers = {
        "/carla/hero/odometry": 2,
        "/carla/hero/vehicle_control_cmd": 1,
        "/wm/latent": 1,
    }
    with pytest.raises(UserError, match="not ready after 0 s: planner; see"):
        launcher.wait_ready(graph, timeout_s=0.0)
    graph.publishers["/wm/control_proposal"] = 1
    launcher.wait_ready(graph, timeout_s=0.0)
