"""Engines that fail, see no way, or do not know what they see: perception's and the planner's."""

from __future__ import annotations

import math

import pytest
from fault_graph import COMFORT_STOP, EMERGENCY_STOP, FRAME_NS, FRAME_S, NOMINAL, what

pytestmark = [pytest.mark.ros, pytest.mark.slow]

HALF = FRAME_NS // 2
ENGINE = "engine throws or returns NaN"
OVERRUN = "planner late or hung"
LEAD = 6 * FRAME_NS


@pytest.fixture
def ordered(graph, saboteur):
    """Cruise, then let an engine fail for some frames: the first one's stamp, and a mark before."""

    def order(node: str, kind: str, frames: int, value: float = 0.0) -> tuple[int, int]:
        graph.cruise()
        mark = graph.mark
        start = graph.now_ns + LEAD - HALF
        saboteur.order(node, kind, start, start + frames * FRAME_NS, value)
        return graph.watch.until(saboteur.first_hit, "the engine is sabotaged"), mark

    yield order
    saboteur.clear()


@pytest.mark.parametrize("kind", ["throw", "nan"])
def test_perception_fails_once(graph, matrix, ordered, kind):
    with matrix.row(ENGINE, f"perception's engine: {kind}, one frame", 0.0) as row:
        start, mark = ordered("perception", kind, 1)
        latent = graph.watch.first("latent", lambda m: True, mark, start - HALF)
        row.detected(graph.ticks(start, latent), "/wm/latent")
        assert latent.message.imagined and all(map(math.isfinite, latent.message.deter))
        row.reaction = "the frame is imagined from the belief before, drives on"
        after = graph.watch.first("latent", lambda m: True, mark, start + HALF)
        assert not after.message.imagined and graph.state == NOMINAL
        row.recovery = "with the next frame"


def test_perception_fails_again_and_again(graph, matrix, ordered):
    with matrix.row(ENGINE, "perception's engine: throw, five frames", 2 * FRAME_S) as row:
        start, mark = ordered("perception", "throw", 5)
        stop = graph.stopped(mark)
        row.detected(graph.ticks(start, stop), "/wm/safety_state, the third frame")
        assert stop.message.state == COMFORT_STOP and "3 times in a row" in stop.message.reason
        row.reaction = what(stop)
        graph.recovered(row, stop, least=20)


@pytest.mark.parametrize("kind", ["throw", "nan"])
def test_the_planner_fails_twice(graph, matrix, ordered, kind):
    with matrix.row(ENGINE, f"planner's engine: {kind}, two frames", 0.0) as row:
        start, mark = ordered("planner", kind, 2)
        proposals = [
            graph.watch.first("control_proposal", lambda m: True, mark, start + k * FRAME_NS - HALF)
            for k in range(3)
        ]
        missing = {e.stamp_ns for e in graph.watch.of("plan_statistics", mark)}
        row.detected(graph.ticks(start, proposals[0]), "/wm/control_proposal")
        assert all(math.isfinite(p.message.steer + p.message.accel) for p in proposals)
        assert missing, "the planner is alive"
        graph.watch.first("latent", lambda m: True, mark, start + 5 * FRAME_NS)
        assert graph.state == NOMINAL
        assert not any(s.message.state in (2, 3, 4) for s in graph.watch.of("safety_state", mark))
        row.reaction = "the tick is discarded, the last good plan moved on in time is driven"
        row.recovery = "with the next good plan"


@pytest.mark.parametrize("kind", ["throw", "nan"])
def test_the_planner_fails_again_and_again(graph, matrix, ordered, kind):
    with matrix.row(ENGINE, f"planner's engine: {kind}, five frames", 2 * FRAME_S) as row:
        start, mark = ordered("planner", kind, 5)
        stop = graph.stopped(mark)
        row.detected(graph.ticks(start, stop), "/wm/safety_state, the third frame")
        assert stop.message.state == COMFORT_STOP and "3 times in a row" in stop.message.reason
        row.reaction = what(stop)
        graph.recovered(row, stop, least=20)


@pytest.mark.parametrize(("value", "name"), [(0.15, "more than P"), (0.25, "more than 2 P")])
def test_a_late_plan_is_reported_and_driven(graph, matrix, ordered, value, name):
    bound_s = FRAME_S if value < 0.2 else 0.1
    with matrix.row(OVERRUN, f"planning takes {value:g} s, {name}", bound_s, "wall") as row:
        start, mark = ordered("planner", "slow", 1, value)
        wanted = graph.watch.first("latent", lambda m: True, mark, start - HALF)
        late = graph.watch.first("plan_statistics", lambda m: True, mark, start - HALF)
        assert late.message.deadline_missed and late.message.plan_ms >= 1e3 * value
        row.detected(
            late.sent_s - wanted.sent_s - 1e-3 * late.message.plan_ms, "/wm/plan_statistics"
        )
        command = graph.watch.first("vehicle_control_cmd", lambda m: True, mark, start - HALF)
        assert command.stamp_ns == late.stamp_ns and graph.state == NOMINAL
        row.reaction = "reported with the plan; the vehicle holds its last command, then drives it"
        row.recovery = "with the next plan"


def test_a_planner_that_sees_every_future_collide_stops_at_once(graph, matrix, ordered):
    with matrix.row("no feasible plan", "every imagined future collides", 0.0) as row:
        start, mark = ordered("planner", "collide", 3)
        stop = graph.stopped(mark)
        row.detected(graph.ticks(start, stop), "/wm/safety_state")
        assert stop.message.state == EMERGENCY_STOP
        row.reaction = what(stop).rpartition(":")[0]
        graph.recovered(row, stop, least=5)


def test_what_is_unusual_for_three_frames_raises_doubt(graph, matrix, ordered):
    with matrix.row("out of distribution", "novelty above its 99th percentile", 2 * FRAME_S) as row:
        usual = graph.model_novelty
        start, mark = ordered("perception", "unusual", 12, 1.2 * usual)
        doubt = graph.watch.first("plan_statistics", lambda m: m.doubt_level > 0, mark)
        row.detected(graph.ticks(start, doubt), "/wm/plan_statistics, the third frame")
        assert 0.0 < doubt.message.speed_cap_mps < 8.0
        row.reaction = f"risks weigh more, speed cap {doubt.message.speed_cap_mps:g} m/s"
        calm = graph.watch.first(
            "plan_statistics", lambda m: m.doubt_level == 0, graph.watch.events.index(doubt)
        )
        unusual = [e for e in graph.watch.of("latent", mark) if e.message.novelty > usual]
        frames = round((calm.stamp_ns - unusual[-1].stamp_ns) / FRAME_NS)
        assert frames >= 20
        row.recovery = f"after {frames} frames below the 95th percentile"


def test_what_is_far_from_usual_for_long_stops_the_vehicle(graph, matrix, ordered):
    with matrix.row("out of distribution", "novelty far above, for long", 3.0) as row:
        start, mark = ordered("perception", "unusual", 60, 20.0 * graph.model_novelty)
        stop = graph.stopped(mark)
        row.detected(graph.ticks(start, stop), "/wm/safety_state")
        assert stop.message.state == COMFORT_STOP
        row.reaction = what(stop)
        graph.recovered(row, stop, least=20)
