"""The live view over a real graph: the simulator and ``wm view`` as processes, watchers as sockets.

What only a planner says is published by the test: nothing learned is needed to show it.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import aiohttp
import pytest
import rclpy
from bridge_process import running_bridge
from browser import browser
from sensor_msgs.msg import Image
from watcher import PATIENCE_S, Watch, running_view

from wm_msgs.msg import ImaginedRollouts, PlanStatistics, SafetyRule, SafetyState
from wm_perception.node_tools import header, publisher
from wm_perception.topics import topic
from wm_training.view.server import CREDIT, PAGE

pytestmark = pytest.mark.ros
ROLE = "hero"


@pytest.fixture(scope="module")
def graph(module_ros_domain) -> Iterator[str]:
    """The embedded simulator on ``tiny``, in real time, and ``wm view``; the view's address."""
    running = running_bridge(
        module_ros_domain.env, ROLE, synchronous="false", wait_for_start="false", traffic="3",
        seed="5", sensors="front", camera="false",
    )  # fmt: skip
    with running, running_view("--role-name", ROLE, env=module_ros_domain.env) as address:
        yield address


@pytest.fixture
def node(module_ros_domain) -> Iterator[rclpy.node.Node]:
    """A node beside them."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=module_ros_domain.id)
    node = rclpy.create_node("witness", context=context)
    yield node
    node.destroy_node()
    context.shutdown()


def until(condition: Callable[[], object], text: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, text
        time.sleep(0.05)


# ------------------------------------------------------------------ the page


def fetch(address: str, **headers: str):
    return urlopen(Request(address, headers=headers), timeout=PATIENCE_S)


def test_the_page_needs_nothing_from_elsewhere(graph):
    with fetch(graph) as answer:
        text = answer.read().decode()
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "http" not in text.replace("http-equiv", "")
    for file in sorted(PAGE.rglob("*.*")):
        name = file.relative_to(PAGE).as_posix()
        with fetch(graph + name) as answer:
            content = answer.read()
        assert content == file.read_bytes()
        outside = re.findall(rb"https?://[^\s\"')]+", content)
        assert set(outside) <= {b"http://www.w3.org/2000/svg"}, name
        for module in re.findall(rb'from "\./([\w.]+)"', content):
            assert (file.parent / module.decode()).is_file(), (name, module)


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}], ids=str
)
def test_other_pages_cannot_use_it(graph, headers):
    with pytest.raises(HTTPError) as refused:
        fetch(graph, **headers)
    assert refused.value.code == HTTPStatus.FORBIDDEN
    with pytest.raises(aiohttp.WSServerHandshakeError):
        Watch(graph, headers=headers)


def test_a_port_in_use_is_named(graph):
    port = graph.rstrip("/").rsplit(":", 1)[1]
    command = [sys.executable, "-m", "wm_training.cli", "view", "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"port {port}" in line and "--port" in line


# ------------------------------------------------------------------ what it shows


def test_it_shows_the_running_graph(graph):
    with Watch(graph) as watch:
        first = watch.until(lambda w: w.state["ego"] and w.state["t"])
        assert watch.until(lambda w: w.parts["town"])["name"]
        assert len(watch.parts["town"]["surfaces"]) > 5
        assert len(watch.until(lambda w: w.parts["route"])["points"]) > 10
        assert len(watch.until(lambda w: w.parts["bev"])) == 64 * 64
        watch.until(lambda w: w.state["t"] > first + 0.5)
        watch.until(lambda w: w.parts["about"]["episode"].get("seed") == 5)
        assert watch.state["route"]["length"] > 10


def test_it_shows_what_the_planner_and_the_gate_say(graph, node):
    keys = ("imagined_rollouts", "plan_statistics", "safety_state")
    publishers = {key: publisher(node, key, ROLE) for key in keys}
    rule = SafetyRule(name="jerk", value=50.0, limit=40.0, tripped=True, unit="m/s^3")
    said = {
        "imagined_rollouts": ImaginedRollouts(
            candidates=2, horizon=2, dt=0.2, x=[1.0, 2.0, 3.0, 4.0], y=[0.0] * 4, cost=[2.0, 1.0],
            speed=[1.0] * 4, disagreement=[0.0] * 2, chosen=1,
        ),
        "plan_statistics": PlanStatistics(plan_ms=12.0, feasible=True, term_names=["progress"],
                                          term_costs=[1.0], term_means=[float("nan")]),
        "safety_state": SafetyState(state=SafetyState.EMERGENCY_STOP, reason="no proposal",
                                    rules=[rule]),
    }  # fmt: skip

    def everything(watch: Watch) -> bool:
        for key, message in said.items():
            message.header = header(0)
            publishers[key].publish(message)
        return {"plan", "gate"} <= set(watch.state) and "futures" in watch.parts

    with Watch(graph) as watch:
        watch.until(everything)
        assert watch.abouts["futures"]["shape"] == [3, 2, 2]
        assert watch.state["plan"]["terms"] == [["progress", 1.0, None]]
        gate = watch.state["gate"]
        assert (gate["state"], gate["reason"]) == ("EMERGENCY_STOP", "no proposal")
        assert gate["rules"][0][:4] == ["jerk", 50.0, 40.0, True]
    until(
        lambda: not publishers["imagined_rollouts"].get_subscription_count(),
        "nobody watches, and still somebody has futures computed",
    )
    assert not node.count_subscribers(topic("odometry").name(ROLE))


@pytest.fixture
def goes_on(graph) -> Iterator[None]:
    """However a test ends, the next one finds time running."""
    yield
    with Watch(graph) as watch:
        watch.ask(do="play")


def test_time_can_be_stopped_and_another_route_begun(graph, goes_on):
    with Watch(graph) as watch:
        watch.until(lambda w: w.parts["about"]["can"] == {"time": True, "start": True})
        assert watch.ask(do="pause") == {"done": "pause"}
        still = settled(watch)
        watch.ask(do="step")
        watch.until(lambda w: w.state["t"] > still)
        settled(watch)  # one step, not the way on; that it is exactly one, the bridge's tests say
        watch.ask(do="play")
        watch.until(lambda w: not w.state["paused"])
        assert "starting" in watch.ask(do="start", route=1, seed=11, traffic=2)["done"]
        watch.until(lambda w: w.parts["about"]["episode"].get("seed") == 11)
        assert watch.parts["about"]["episode"]["route"] == 1
        assert "no control" in watch.ask(do="fly")["refused"]
        assert "seed" in watch.ask(do="start", seed=-1)["refused"]
        watch.ask(do="start", route=99999)
        watch.until(lambda w: any(row[1] == 2 for row in w.state["events"]))


def settled(watch: Watch, updates: int = 10) -> float:
    """The time that stands still: topics overtake each other on their way here."""
    seen: list[float] = []

    def stands(w: Watch) -> bool:
        seen.append(w.state["t"] if w.state["paused"] else -1.0)
        return len(seen) > updates and seen[-1] > 0.0 and len(set(seen[-updates:])) == 1

    watch.until(stands)
    return seen[-1]


def test_what_the_model_expects_is_drawn_only_for_who_asks(graph, node):
    pictures = publisher(node, "imagined_bev", ROLE)
    message = Image(height=2, width=3, encoding="bgr8", step=9, data=bytes(range(18)))

    def drawn(watch: Watch) -> bool:
        pictures.publish(message)
        return bool(watch.parts["imagined"])

    with Watch(graph) as watch:
        watch.until(lambda w: w.state["ego"])
        assert pictures.get_subscription_count() == 0
        assert watch.ask(do="expect", on=True) == {"done": "expect"}
        watch.until(drawn)
        assert watch.abouts["imagined"]["size"] == [3, 2]
        watch.ask(do="expect", on=False)
        until(lambda: not pictures.get_subscription_count(), "still drawn")


def test_two_watch_and_one_that_stops_reading_slows_nobody(graph):
    with Watch(graph) as one, Watch(graph) as two, Watch(graph, confirms=False) as deaf:
        for _ in range(CREDIT):
            assert deaf.receive()
        for number in range(30):
            for watch in (one, two):
                watch.until(lambda w, n=number: w.updates > n)
        assert not deaf.receive(timeout_s=0.5), "it is sent nothing more"
        told = deaf.state["t"]
        asyncio_send(deaf, '{"got":1}')
        deaf.until(lambda w: w.state["t"] > told + 1.0)
        assert deaf.updates == CREDIT + 1, "the newest at once, nothing of what was missed"


def asyncio_send(watch: Watch, text: str) -> None:
    loop: asyncio.AbstractEventLoop = watch._loop
    loop.run_until_complete(watch._socket.send_str(text))


# ------------------------------------------------------------------ in a browser


def test_it_works_in_a_browser(graph, tmp_path):
    with browser() as page:
        page.size(1440, 900)
        page.open(graph)
        page.wait("document.body.dataset.link === 'live'")
        page.wait("document.querySelector('#where').textContent.includes('tiny')")
        page.wait("!document.querySelector('#cluster').hidden")
        empty = page.value("document.querySelector('#plan-empty').textContent")
        assert "/wm/plan_statistics" in empty, "it says what it waits for"
        page.value("document.querySelector('#pause').click()")
        page.wait("document.querySelector('#mode-name').textContent === 'paused'")
        page.value("document.querySelector('#pause').click()")
        page.wait("document.querySelector('#mode-name').textContent !== 'paused'")
        page.screenshot(tmp_path / "page.png")
        assert (tmp_path / "page.png").stat().st_size > 20_000, "something is drawn"
        page.value("document.querySelector('#expect').click()")
        page.wait("!document.querySelector('#expected').hidden")
        page.value(
            "Object.assign(document.querySelector('#unexpected'), {width: 300, height: 340})"
        )
        tall = "document.documentElement.scrollHeight - document.documentElement.clientHeight"
        assert page.value(tall) == 0, "everything is on one screen, with the pictures expected too"
        for width in (390, 900, 1440):
            page.size(width, 844)
            overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.value(overflow) == 0, f"at {width} px something is cut off"
        assert page.errors == []
