"""Frames that are lost, late or wrong: what perception and the gate make of them."""

from __future__ import annotations

import math

import pytest
from fault_graph import (
    COMFORT_STOP,
    EMERGENCY_STOP,
    FRAME_NS,
    FRAME_S,
    NOMINAL,
    is_warning,
    what,
)

pytestmark = pytest.mark.ros

HALF = FRAME_NS // 2
ODOMETRY = "odometry stale, NaN, jumping, stamped backwards"
STAMPS = "stamps of another time"
FRAMES = "frames dropped"


def test_one_lost_frame_is_imagined(graph, matrix):
    graph.cruise()
    watch, mark = graph.watch, graph.mark
    with matrix.row(FRAMES, "objects lost in one frame", FRAME_S) as row:
        start = graph.inject("objects:drop:1{at}+0.1")
        lost = watch.first("latent", lambda m: m.imagined, mark, start - HALF)
        row.detected(graph.ticks(start, lost), "/wm/latent")
        usual = [e.message.novelty for e in watch.of("latent") if not e.message.imagined]
        assert lost.message.novelty > max(usual[-20:])
        row.reaction = "the model imagines the frame, novelty above its threshold, drives on"
        after = watch.first("latent", lambda m: True, mark, start + HALF)
        assert not after.message.imagined
        assert watch.first("control_proposal", lambda m: True, mark, start - HALF)
        assert graph.state == NOMINAL
        row.recovery = "with the next frame"


@pytest.mark.slow
def test_a_third_of_the_frames_lost_asks_for_caution(graph, matrix):
    graph.cruise()
    watch, mark = graph.watch, graph.mark
    with matrix.row(FRAMES, "objects lost in a third of the frames", 1.0) as row:
        graph.inject("objects:drop:3{at}")
        careful = watch.first("latent", lambda m: m.degraded, mark, patience_s=90.0)
        lost = [e for e in watch.of("latent", mark) if e.message.imagined]
        row.detected((careful.stamp_ns - lost[20].stamp_ns) * 1e-9, "/wm/latent, the 21st of 100")
        watch.first("diagnostics", lambda m: is_warning(m, "wm_perception: belief"), mark)
        watch.first("plan_statistics", lambda m: m.speed_cap_mps > 0.0, mark)
        row.reaction = "WARN; the planner doubts: speed cap, risks weigh more"
        graph.set_faults()
        clear, mark = graph.now_ns, graph.mark
        calm = watch.first("latent", lambda m: not m.degraded, mark)
        assert (calm.stamp_ns - clear) * 1e-9 <= 1.3
        watch.first("plan_statistics", lambda m: m.speed_cap_mps == 0.0, mark)
        row.recovery = "caution ends after 1 clean second, the cap 20 calm frames later"


def test_objects_silent_stop_the_vehicle_gently(graph, matrix):
    graph.cruise()
    watch, mark = graph.watch, graph.mark
    with matrix.row("frames silent", "objects silent", 0.5) as row:
        start = graph.inject("objects:drop{at}+1.0")
        asked = watch.first("latent", lambda m: m.stop, mark)
        row.detected(graph.ticks(start, asked), "/wm/latent")
        assert any(
            is_warning(e.message, "wm_perception: belief") for e in watch.of("diagnostics", mark)
        )
        stop = graph.stopped(mark)
        assert stop.message.state == COMFORT_STOP and "objects" not in stop.message.reason
        row.reaction = f"WARN after 0.2 s; {what(stop)}"
        graph.recovered(row, stop, least=20)


def test_stale_odometry_stops_the_vehicle(graph, matrix):
    graph.cruise()
    watch, mark = graph.watch, graph.mark
    with matrix.row(ODOMETRY, "odometry silent", 0.25, "wall") as row:
        graph.inject("odometry:drop{at}+0.6")
        told = graph.tripped("odometry_age_s", mark)
        before = [e for e in watch.of("vehicle_control_cmd", mark) if e.sent_s < told.sent_s]
        row.detected(told.sent_s - before[-1].sent_s, "/wm/safety_state, rule odometry_age_s")
        stop = graph.stopped(mark)
        assert stop.message.state == EMERGENCY_STOP
        assert stop.sent_s - told.sent_s < 0.35
        row.reaction = f"the command is held for another 0.2 s, then {what(stop)}"
        graph.recovered(row, stop, least=5)


def test_odometry_that_is_no_number_stops_in_the_same_frame(graph, matrix):
    graph.cruise()
    watch, mark = graph.watch, graph.mark
    with matrix.row(ODOMETRY, "odometry NaN", 0.0) as row:
        start = graph.inject("odometry:nan{at}+0.4")
        stop = graph.stopped(mark)
        row.detected(graph.ticks(start, stop), "/wm/safety_state")
        assert stop.message.state == EMERGENCY_STOP
        assert watch.first("latent", lambda m: m.reset, mark).stamp_ns > start
        commands = [e.message for e in watch.of("vehicle_control_cmd", mark)]
        assert all(math.isfinite(m.steer + m.throttle + m.brake) for m in commands)
        row.reaction = f"{what(stop)}; belief and plan begin anew"
        graph.recovered(row, stop, least=5)


@pytest.mark.parametrize(
    ("group", "name", "fault"),
    [
        (ODOMETRY, "odometry jumps", "odometry.pose.pose.position:noise:8{at}+0.1"),
        (ODOMETRY, "one odometry stamped 1 s back", "odometry:clock_jump:-1{at}+0.1"),
        (STAMPS, "one odometry stamped 2 s ahead", "odometry:clock_jump:2{at}+0.1"),
    ],
)
def test_one_odometry_of_another_place_or_time_stops_at_once(graph, matrix, group, name, fault):
    graph.cruise()
    mark = graph.mark
    with matrix.row(group, name, FRAME_S) as row:
        start = graph.inject(fault)
        stop = graph.stopped(mark)
        row.detected(graph.passed(start, stop), "/wm/safety_state")
        row.reaction = what(stop)
        graph.recovered(row, stop, least=5)
    assert any(e.message.reset for e in graph.watch.of("latent", mark)), "the plan begins anew"


def test_a_clock_that_is_set_back_is_followed(graph, matrix):
    graph.cruise()
    watch = graph.watch
    watch.until(lambda: graph.driven_s > 5.5, "5.5 s were driven")
    mark = graph.mark
    with matrix.row(STAMPS, "all clocks set back by 5 s", FRAME_S) as row:
        start = graph.inject("*:clock_jump:-5{at}+8")
        stop = graph.stopped(mark)
        frames = [e for e in watch.of("odometry", mark) if e.stamp_ns < start - 10 * FRAME_NS]
        row.detected(FRAME_S * sum(e.sent_s < stop.sent_s for e in frames[1:]), "/wm/safety_state")
        row.reaction = f"{what(stop)}; buffers flushed"
        graph.recovered(row, stop, least=5)
        assert graph.now_ns < start, "by the new clock"
        stamps = [e.stamp_ns for e in watch.of("latent", mark)]
        assert sum(b <= a for a, b in zip(stamps, stamps[1:], strict=False)) == 1
        row.recovery += ", by the new clock"
    graph.set_faults()
