"""``wm drive``: its arguments become routes and options of the nodes."""

from __future__ import annotations

import pytest

from wm_dynamics.errors import UserError
from wm_planner.node_table import node_table
from wm_sim.world import World
from wm_training.commands import drive
from wm_training.view.server import DEFAULT_HOST, listening_socket


def test_who_is_there_belongs_to_every_route():
    args = drive.Args(town="tiny", routes=2, trucks=1, pedestrians=3, weather="rain")
    _, by_town = drive.tasks_of(args)
    assert [t.world for t in by_town["tiny"]] == [
        World(trucks=1, pedestrians=3, weather="rain")
    ] * 2


def test_a_scenario_brings_its_own_towns():
    _, by_town = drive.tasks_of(drive.Args(town="tiny", scenario="merge", routes=2, traffic=3))
    tasks = [task for tasks in by_town.values() for task in tasks]
    assert [task.scenario for task in tasks] == ["merge"] * 2
    assert "tiny" not in by_town


def test_the_rig_reaches_the_bridge():
    args = drive.Args(town="tiny", driver="expert", sensors="full")
    options = drive.options_of(args, "tiny")
    bridge = next(spec for spec in node_table(options) if spec.key == "bridge")
    assert bridge.parameters["sensors"] == "full"


def test_the_view_reaches_its_node():
    args = drive.Args(town="tiny", driver="expert", view=True, view_port=9001)
    view = node_table(drive.options_of(args, "tiny"))[-1]
    assert (view.key, view.parameters["port"], view.parameters["controls"]) == (
        "view",
        9001,
        "time",
    )


def test_a_port_in_use_is_said_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with listening_socket(DEFAULT_HOST, 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} .*--view-port"):
            drive.main(drive.Args(town="tiny", driver="expert", view=True, view_port=port))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("values", [{"weather": "plague"}, {"scenario": "alien"}, {"parked": -1}])
def test_what_is_not_there_is_refused(values):
    with pytest.raises(UserError):
        drive.tasks_of(drive.Args(town="tiny", **values))
