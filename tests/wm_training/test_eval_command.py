"""``wm eval``: settings, several drivers, and going on after being killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from wm_dynamics.errors import UserError
from wm_planner.planner_config import PlannerConfig
from wm_sim.simulator import Simulator
from wm_training.commands import compare as compare_command
from wm_training.commands import eval as command
from wm_training.commands import report as report_command
from wm_training.evaluation import Drive, DriverSpec, drive_route
from wm_training.finished_routes import FinishedRoutes, partial_path
from wm_training.overrides import with_settings
from wm_training.scoring import RouteResult
from wm_training.suites import RouteTask

WORDS = ("--town", "tiny", "--driver", "expert", "--traffic", "0", "--processes", "1")


def a_drive(route=0):
    result = RouteResult(
        "tiny", route, "completed", 300.0, 100.0, 100.0, 0, 0, 0.0, 300.0, 60.0, 5.0, 0.1
    )
    return Drive(result, [1.25, 2.5])


def test_settings_change_what_they_name():
    config = with_settings(PlannerConfig(), ["horizon=20", "weights.collision=80.5"])
    assert (config.horizon, config.weights.collision) == (20, 80.5)
    assert config.model_copy(
        update={"horizon": PlannerConfig().horizon, "weights": PlannerConfig().weights}
    ) == PlannerConfig()  # fmt: skip


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("horizn=3", "no parameter 'horizn'; known: .*weights.collision"),
        ("weights.speling=3", "no parameter 'weights.speling'"),
        ("weights=3", "weights is a group; set one of weights.lateral"),
        ("horizon=-1", "setting horizon: .*greater than or equal to 2"),
        ("horizon", "write KEY=VALUE"),
        ("horizon=[", "cannot be read"),
    ],
)
def test_a_wrong_setting_is_named(text, complaint):
    with pytest.raises(UserError, match=complaint):
        with_settings(PlannerConfig(), [text])


def test_finished_routes_are_found_again_up_to_the_last_whole_line(tmp_path):
    path = tmp_path / "deep" / "a.partial"
    first = FinishedRoutes(path, {"driver": "expert", "planner": {"horizon": 15}})
    first.add(2, a_drive(2))
    first.add(0, a_drive(0))
    first.close()
    with path.open("ab") as file:
        file.write(b'{"task": 1, "resu')  # killed while writing
    again = FinishedRoutes(path, {"driver": "expert", "planner": {"horizon": 15}})
    assert again.drives == {2: a_drive(2), 0: a_drive(0)}
    again.add(1, a_drive(1))
    again.close()
    last = FinishedRoutes(path, {"driver": "expert", "planner": {"horizon": 15}})
    assert sorted(last.drives) == [0, 1, 2]
    last.close()


def test_another_evaluations_routes_are_refused(tmp_path):
    path = tmp_path / "a.partial"
    FinishedRoutes(path, {"driver": "expert", "planner": {"horizon": 15}}).close()
    with pytest.raises(UserError, match=r"other settings \(planner.horizon: 15, now 20\)"):
        FinishedRoutes(path, {"driver": "expert", "planner": {"horizon": 20}})
    path.write_text("nonsense\n")
    with pytest.raises(UserError, match="damaged"):
        FinishedRoutes(path, {})


def test_what_is_asked_changes_with_everything_that_matters():
    def asked(*words):
        args = {"town": "tiny", "driver": "expert", **dict(words)}
        return next(iter(command.runs_of(command.Args(**args)).values())).asked()

    base = asked()
    for name, value in {
        "seed": 1, "seeds": 2, "routes": 4, "traffic": 3, "weather": "rain", "gate": False,
        "set": ("horizon=9",), "fault": "odometry:drop:0.5", "driver": "constant",
        "time_limit_s": 9.0, "view": "line_of_sight",
    }.items():  # fmt: skip
        assert asked((name, value)) != base, name
    assert asked(("processes", 7)) == base


def test_drivers_to_compare():
    drivers = command.drivers_of(command.Args(compare="planner,bc=runs/x,expert", model="m"))
    assert drivers == {"planner": "m", "pilotnet": "runs/x", "expert": None}
    assert command.drivers_of(command.Args(driver="bc")) == {"pilotnet": None}
    with pytest.raises(UserError, match="unknown driver 'santa'"):
        command.runs_of(command.Args(compare="expert,santa"))


def test_faults_and_seeds_become_tasks():
    name, tasks = command.tasks_of(
        command.Args(town="tiny", routes=2, seeds=2, seed=3, fault="odometry:drop:0.1")
    )
    assert name == "tiny-traffic20-odometry:drop:0.1"
    assert [(t.route, t.seed) for t in tasks] == [(0, 3), (0, 4), (1, 3), (1, 4)]
    assert {t.fault for t in tasks} == {"odometry:drop:0.1"}
    with pytest.raises(UserError, match="has faults of its own"):
        command.tasks_of(command.Args(suite="faults", fault="odometry:drop:0.1"))
    with pytest.raises(UserError, match="--seeds"):
        command.tasks_of(command.Args(seeds=0))


def wm(*words, **about):
    return subprocess.Popen(
        [sys.executable, "-m", "wm_training.cli", *words], stdout=subprocess.PIPE, text=True,
        **about,
    )  # fmt: skip


def test_a_killed_evaluation_goes_on_where_it_was(tmp_path):
    path = tmp_path / "report.json"
    words = ("eval", *WORDS, "--routes", "4", "--time-limit-s", "6", "--json", str(path))
    killed = wm(*words)
    end = time.monotonic() + 120.0
    while not (partial_path(path).exists() and partial_path(path).read_bytes().count(b"\n") > 1):
        assert time.monotonic() < end, "no route was finished"
        assert killed.poll() is None, "it was done before it could be killed"
        time.sleep(0.002)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert not path.exists()

    done = partial_path(path).read_bytes().split(b"\n")[1:-1]
    again = wm(*words)
    said, _ = again.communicate()
    assert f"{len(done)} of 4 routes were finished before" in said
    report = json.loads(path.read_text())
    assert [row["route"] for row in report["routes"]] == [0, 1, 2, 3]
    assert json.loads(done[0])["result"] in report["routes"]
    assert not partial_path(path).exists()


def test_several_drivers_make_one_report_and_one_page(tmp_path, capsys):
    path = tmp_path / "compared.json"
    videos = tmp_path / "videos"
    command.main(
        command.Args(
            town="tiny", routes=1, traffic=4, compare="expert,constant", processes=1,
            time_limit_s=10.0, json=path, videos=videos,
        )
    )  # fmt: skip
    document = json.loads(path.read_text())
    assert list(document["drivers"]) == ["expert", "constant"]
    (comparison,) = document["comparison"]
    found = {d["measure"]: d for d in comparison["differences"]}
    assert found["driving_score"]["difference"] > 0.0
    rows = document["drivers"]["constant"]["routes"]
    assert [row["outcome"] for row in rows] == ["off_route"]
    assert all(row["infractions"] for row in rows)
    filmed = [row["video"] for row in rows]
    assert all((tmp_path / name).stat().st_size > 1000 for name in filmed)

    compare_command.main(compare_command.Args((path,), json=tmp_path / "c.json"))
    assert json.loads((tmp_path / "c.json").read_text()) == {"comparison": [comparison]}

    report_command.main(report_command.Args((path,), out=tmp_path / "page"))
    page = (tmp_path / "page" / "index.html").read_text()
    assert "expert against constant" in page
    assert page.count("<video") == sum(row["video"] != "" for r in document["drivers"].values()
                                       for row in r["routes"])  # fmt: skip
    assert "://" not in page.replace("http://www.w3.org/2000/svg", ""), "nothing from elsewhere"
    assert str(path) in capsys.readouterr().out.replace("\n", "")


def test_faults_change_the_drive_and_none_does_not():
    task = RouteTask("tiny", 1, 0, 0, time_limit_s=4.0)
    faults = ("", "vehicle_control_cmd:delay:5", "odometry:drop:0.4", "")
    with Simulator("tiny") as simulator:
        driver = DriverSpec("expert").make()
        tasks = [replace(task, fault=fault) for fault in faults]
        drives = [drive_route(simulator, driver, one).result for one in tasks]
    assert drives[0] == drives[-1]
    assert len({result.driven_m for result in drives}) == 3
    assert drives[1].driven_m < drives[0].driven_m - 1.0, "it moves off half a second late"
    assert tuple(result.fault for result in drives) == faults
