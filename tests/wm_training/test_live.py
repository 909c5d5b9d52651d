"""Starting a live graph: what is waited for, what is tried again, what is given up in words."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (pip install . brings it)")

from wm_dynamics.errors import UserError
from wm_planner.graph_watch import GraphWatch
from wm_planner.manager import Phase
from wm_planner.node_table import NodeSpec
from wm_training import live
from wm_training.suites import RouteTask


class Runner:
    """Plays back what the manager says, a phase a look; the last one stays."""

    def __init__(self, *story: tuple[Phase | None, str]):
        self.graph = GraphWatch.__new__(GraphWatch)
        self.graph.forget()
        self._story = list(story)

    def spin_until(self, done, timeout_s, poll) -> bool:
        while not done():
            last = len(self._story) == 1
            self.graph.phase, self.graph.waiting_for = self._story[0]
            poll()
            if last:
                return done()
            self._story.pop(0)
        return True


def wait(runner: Runner, **limits) -> None:
    live.wait_until_active(runner, lambda: None, **limits)


def test_an_active_graph_is_waited_for():
    wait(Runner((Phase.WAITING, "x"), (Phase.UNCONNECTED, "y"), (Phase.ACTIVE, "")))


def test_a_node_that_cannot_be_configured_ends_the_wait_at_once():
    with pytest.raises(UserError, match="wm_planner is unconfigured: no model") as error:
        wait(Runner((Phase.WAITING, ""), (Phase.REFUSED, "wm_planner is unconfigured: no model")))
    assert not isinstance(error.value, live.NotConnected)


@pytest.mark.parametrize(
    ("story", "text"),
    [
        ((Phase.UNCONNECTED, "wm_perception is inactive: nobody reads /wm/latent"), "nobody reads"),
        ((Phase.WAITING, "wm_gate is not there"), "wm_gate is not there"),
        ((None, ""), "the manager is not heard"),
    ],
)
def test_nodes_that_do_not_find_each_other_are_named(story, text):
    with pytest.raises(live.NotConnected, match=f"{text}.*ROS_DOMAIN_ID=7"):
        wait(Runner(story), connect_s=0.0, heard_s=-1.0)


@pytest.fixture
def launches(monkeypatch) -> list[str]:
    """Names of what was started and stopped, by a launcher that starts nothing."""
    done: list[str] = []

    class Launcher:
        def __init__(self, specs, run_dir):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            done.append("stop")

        def start(self):
            done.append("start")

        def check(self):
            pass

    monkeypatch.setattr(live, "Launcher", Launcher)
    return done


def never(*_) -> None:
    raise live.NotConnected("they do not hear each other")


def test_a_graph_that_does_not_connect_is_started_once_more(launches, monkeypatch, tmp_path):
    outcomes = iter([never, lambda *_: None])
    monkeypatch.setattr(live, "wait_until_active", lambda *a: next(outcomes)(*a))
    (tmp_path / "log").mkdir()
    with live._started([], tmp_path, SimpleNamespace()):
        assert launches == ["start", "stop", "start"]
        assert (tmp_path / "log_of_start_1").is_dir(), "what the first start said is kept"
    assert launches[3:] == ["stop"]


@pytest.mark.parametrize(
    ("specs", "starts"), [((), 2), ((NodeSpec("recorder", "wm_training", "recorder_node"),), 1)]
)
def test_then_it_is_given_up(launches, monkeypatch, tmp_path, specs, starts):
    monkeypatch.setattr(live, "wait_until_active", never)
    (tmp_path / "log").mkdir()
    with (
        pytest.raises(live.NotConnected),
        live._started(specs, tmp_path, SimpleNamespace()),
    ):
        pass
    assert launches == ["start", "stop"] * starts


@pytest.mark.ros
def test_a_drive_on_which_nobody_plans_is_given_up(ros_domain, monkeypatch):
    import rclpy

    from wm_training import route_runner

    monkeypatch.setattr(route_runner, "SILENCE_S", 0.3)
    rclpy.init()
    runner = route_runner.RouteRunner(plans=True)

    def frames_come() -> None:
        runner.frames += 1

    try:
        runner.graph.phase, runner.graph.waiting_for = Phase.WAITING, "wm_planner is not there"
        with pytest.raises(UserError, match="no plan for 0 s: .*look into the logs of perception"):
            runner.run(RouteTask("tiny", 0, 0, 0), frames_come, lambda _: None, start=False)
    finally:
        runner.close()
