"""Pictures that are lost or wrong, before a model that drives by them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_graph import COMFORT_STOP, FRAME_NS, FRAME_S, NOMINAL, Graph, is_warning, what
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState

from wm_dynamics.checkpoint import load_checkpoint, save_checkpoint
from wm_dynamics.model import WorldModel
from wm_dynamics.variants import variant
from wm_planner.paths import DEFAULT_MODEL, model_path

pytestmark = [pytest.mark.ros, pytest.mark.camera, pytest.mark.slow]

HALF = FRAME_NS // 2
WRONG = {
    "NaN (32FC1)": (("image:wrong_encoding{at}+0.2", "image:nan{at}+0.2"), "not finite"),
    "all zero": (("image:scale:0{at}+0.2",), "black"),
    "frozen": (("image:freeze{at}+0.2",), "frozen"),
    "too few bytes": (("image:wrong_size{at}+0.2",), "bytes"),
    "unknown encoding": (("image:wrong_encoding:1{at}+0.2",), "no_such_encoding"),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """An untrained camera model with the shipped model's knowledge of its own motion.

    With the ``blind`` driver it follows a route in an empty town, and perception needs pictures.
    """
    shipped = load_checkpoint(model_path(DEFAULT_MODEL))
    config = variant("tiny", inputs="camera", ego_hidden=shipped.config.ego_hidden)
    made = WorldModel.untrained(config)
    made.ego.load_state_dict(shipped.ego.state_dict())
    made.refresh()
    path = tmp_path_factory.mktemp("model") / "camera"
    save_checkpoint(made, path)
    return path


@pytest.fixture(scope="module")
def graph(start_graph, model) -> Iterator[Graph]:
    """A graph that drives by the front camera."""
    small = {"bridge": {"camera_width": 160, "camera_height": 90}}
    options = {"model": str(model), "driver": "blind", "camera": True}
    with start_graph(parameters=small, **options) as result:
        yield result


def test_undisturbed_pictures_are_all_seen(graph):
    graph.cruise()
    mark = graph.mark
    graph.watch.until(lambda: len(graph.watch.of("latent", mark)) > 30, "30 frames")
    assert not any(e.message.imagined for e in graph.watch.of("latent", mark))


def test_one_lost_picture_is_imagined(graph, matrix):
    graph.cruise()
    watch, mark = graph.watch, graph.mark
    with matrix.row("frames dropped", "picture lost in one frame", FRAME_S) as row:
        start = graph.inject("image:drop:1{at}+0.1")
        lost = watch.first("latent", lambda m: m.imagined, mark, start - HALF)
        row.detected(graph.ticks(start, lost), "/wm/latent")
        row.reaction = "the model imagines the frame, drives on"
        after = watch.first("latent", lambda m: True, mark, start + HALF)
        assert not after.message.imagined and graph.state == NOMINAL
        row.recovery = "with the next frame"


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_picture_is_none(graph, matrix, name):
    graph.cruise()
    watch, mark = graph.watch, graph.mark
    faults, text = WRONG[name]
    with matrix.row("wrong pictures", f"picture: {name}", 0.0) as row:
        start = graph.inject(*faults)
        lost = watch.first("latent", lambda m: m.imagined, mark, start - HALF)
        row.detected(graph.ticks(start, lost), "/wm/latent")
        assert abs(lost.stamp_ns - start) < HALF
        after = watch.first("latent", lambda m: not m.imagined, mark, start + HALF)
        assert after.stamp_ns - start < 3 * FRAME_NS
        watch.first("diagnostics", lambda m: text in str(m.status), mark)
        row.reaction = "not used: the frame is imagined; /diagnostics says what is wrong"
        row.recovery = "with the next good picture"


def test_a_third_of_the_pictures_lost_asks_for_caution(graph, matrix):
    graph.cruise()
    watch, mark = graph.watch, graph.mark
    with matrix.row("frames dropped", "pictures lost in a third of the frames", 1.0) as row:
        graph.inject("image:drop:3{at}")
        careful = watch.first("latent", lambda m: m.degraded, mark, patience_s=120.0)
        lost = [e for e in watch.of("latent", mark) if e.message.imagined]
        row.detected((careful.stamp_ns - lost[20].stamp_ns) * 1e-9, "/wm/latent, the 21st of 100")
        watch.first("diagnostics", lambda m: is_warning(m, "wm_perception: belief"), mark)
        watch.first("plan_statistics", lambda m: m.speed_cap_mps > 0.0, mark)
        row.reaction = "WARN; the planner doubts: speed cap, risks weigh more"
        graph.set_faults()
        clear, mark = graph.now_ns, graph.mark
        calm = watch.first("latent", lambda m: not m.degraded, mark)
        assert (calm.stamp_ns - clear) * 1e-9 <= 1.3
        row.recovery = "caution ends after 1 clean second"


def change(graph: Graph, transition: int) -> None:
    """Ask perception for a lifecycle transition."""
    client = graph.watch.node.create_client(ChangeState, "/wm_perception/change_state")
    graph.watch.until(client.service_is_ready, "perception is there")
    future = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
    graph.watch.until(future.done, "an answer")
    assert future.result().success
    graph.watch.node.destroy_client(client)


def test_a_silent_camera_stops_the_vehicle_until_somebody_engages(graph, matrix):
    graph.cruise()
    watch, mark = graph.watch, graph.mark
    with matrix.row("frames silent", "camera silent", 0.5) as row:
        start = graph.inject("image:drop{at}+1.5")
        warned = watch.first(
            "diagnostics", lambda m: "no usable picture for 0.2 s" in str(m.status), mark
        )
        assert graph.passed(start, warned) <= 0.3
        asked = watch.first("latent", lambda m: m.stop, mark)
        row.detected(graph.ticks(start, asked), "/wm/latent")
        stop = graph.stopped(mark)
        assert stop.message.state == COMFORT_STOP
        braking = [e.message.brake for e in watch.of("vehicle_control_cmd", mark)]
        assert max(braking) < 0.2, "1.0 m/s^2 of the 8 that the brake has"
        row.reaction = f"WARN after 0.2 s, ERROR and {what(stop)}, 1.0 m/s^2"
        seen = watch.first("latent", lambda m: not m.imagined, watch.events.index(asked))
        watch.first("latent", lambda m: True, from_ns=seen.stamp_ns + 30 * FRAME_NS)
        assert graph.state != NOMINAL, "pictures alone do not end it"
        change(graph, Transition.TRANSITION_DEACTIVATE)
        change(graph, Transition.TRANSITION_ACTIVATE)
        mark = graph.mark
        watch.first("safety_state", lambda m: m.state == NOMINAL, mark)
        row.recovery = "only by deactivating and activating perception, or a new episode"
