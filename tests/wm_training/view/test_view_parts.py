"""What the page is sent: rows that JSON can carry, newest parts only, towns as outlines."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace as Some

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wm_perception.messages import MessageError
from wm_planner.gate_state import GateState
from wm_training.view import compact
from wm_training.view.collector import HISTORY, Collector
from wm_training.view.parts import Parts, pack, unpack
from wm_training.view.town_shapes import thinned

NAN, INF = math.nan, math.inf


@given(st.floats())
def test_a_number_is_one_or_none(value):
    found = compact.number(value)
    json.dumps(found, allow_nan=False)
    assert (found is None) == (not math.isfinite(value) or abs(value) >= compact.HUGE)


def test_gate_states_have_their_names():
    assert tuple(state.name for state in GateState) == compact.GATE_STATES


def test_which_rules_are_only_reported_says_the_gate():
    pytest.importorskip("rclpy")
    from wm_planner.gate_node import REPORTED_ONLY

    assert compact.REPORTED_ONLY == REPORTED_ONLY


def rule(name="jerk", value=20.0, limit=40.0, tripped=False, unit="m/s^3"):
    return Some(name=name, value=value, limit=limit, tripped=tripped, unit=unit)


@pytest.mark.parametrize(
    ("given", "share", "acts"),
    [
        (rule(), 0.5, True),
        (rule(value=-80.0), 2.0, True),
        (rule("rss_lateral", value=4.0, limit=1.0), 0.25, False),
        (rule("rss_lateral", value=3.4e38, limit=0.0), None, False),
        (rule(value=NAN), None, True),
        (rule(value=0.0, limit=0.0), 0.0, True),
    ],
)
def test_a_rule_says_how_much_of_its_limit_is_used(given, share, acts):
    row = compact.rule(given)
    assert row[5:] == [share, acts]
    json.dumps(row, allow_nan=False)


def rollouts(costs, horizon=3, chosen=0, **changed):
    count = len(costs)
    x = np.arange(count * horizon, dtype=np.float32)
    values = {"candidates": count, "horizon": horizon, "x": x, "y": -x, "cost": costs,
              "chosen": chosen, "dt": 0.2}  # fmt: skip
    return Some(**{**values, **changed})


def test_futures_come_dearest_first_and_the_chosen_one_last():
    paths, about = compact.futures(rollouts([3.0, 1.0, NAN, 2.0], chosen=3))
    assert about == {"shape": [4, 3, 2], "dt": 0.2}
    assert paths[:, 0, 0].tolist() == [0.0, 9.0, 3.0, 9.0]


def test_a_fan_is_thinned_evenly():
    paths, _ = compact.futures(rollouts([float(i) for i in range(500)]))
    assert len(paths) == compact.FAN + 1
    assert paths[[0, -2], 0, 0].tolist() == [499 * 3.0, 0.0]


@pytest.mark.parametrize(
    "broken", [{"x": np.zeros(5)}, {"chosen": 4}, {"chosen": 2, "x": np.full(12, NAN)}]
)
def test_futures_that_do_not_fit_are_refused(broken):
    with pytest.raises(MessageError, match="imagined rollouts"):
        compact.futures(rollouts([1.0, 2.0, 3.0, 4.0], **broken))


def test_only_news_is_sent():
    parts = Parts()
    parts.put_json("state", {"t": 1})
    parts.put("camera", b"one", {"size": [2, 1]})
    first = parts.newer({})
    assert {p.name for p in first} == {"state", "camera"}
    seen = {p.name: p.version for p in first}
    assert parts.newer(seen) == []
    parts.put("camera", b"one", {"size": [2, 1]})
    assert parts.newer(seen) == [], "the same again is no news"
    for number in range(5):
        parts.put("camera", b"%d" % number)
    assert [p.payload for p in parts.newer(seen)] == [b"4"], "what was missed is gone"


def test_parts_survive_the_way():
    parts = Parts()
    parts.put("bev", bytes(range(256)), {"shape": [16, 16]})
    parts.put_json("state", {"größe": [1, None]})
    parts.put("camera", b"")
    found = unpack(pack(parts.newer({})))
    assert found["bev"] == (bytes(range(256)), {"shape": [16, 16]})
    assert json.loads(found["state"][0]) == {"größe": [1, None]}
    assert found["camera"] == (b"", {})


def test_what_json_cannot_carry_is_refused():
    with pytest.raises(ValueError):
        Parts().put_json("state", {"speed": NAN})


def test_a_border_keeps_its_corners():
    straight = np.stack([np.linspace(0, 30, 21), np.zeros(21)], 1)
    assert thinned(straight).tolist() == [[0, 0], [30, 0]]
    corner = np.concatenate([straight, [[30, 10]]])
    assert thinned(corner).tolist() == [[0, 0], [30, 0], [30, 10]]
    arc = np.linspace(0, np.pi, 60)
    circle = 12 * np.stack([np.cos(arc), np.sin(arc)], 1)
    kept = thinned(circle)
    assert 4 < len(kept) < 40
    at = np.arctan2(circle[:, 1], circle[:, 0])
    known = np.arctan2(kept[:, 1], kept[:, 0])
    near = np.stack([np.interp(at, known, kept[:, i]) for i in range(2)], 1)
    assert np.hypot(*(near - circle).T).max() < 0.2


# ------------------------------------------------------------------ the collector


def stamp(t: float):
    return Some(stamp=Some(sec=int(t), nanosec=round(t % 1 * 1e9)))


def vector(x=0.0, y=0.0, z=0.0, **more):
    return Some(x=x, y=y, z=z, **more)


def odometry(t: float, x: float = 0.0):
    pose = Some(position=vector(x), orientation=vector(w=1.0))
    return Some(header=stamp(t), pose=Some(pose=pose),
                twist=Some(twist=Some(linear=vector(5.0), angular=vector())))  # fmt: skip


def state_of(collector: Collector) -> dict:
    return json.loads(next(p for p in collector.parts.newer({}) if p.name == "state").payload)


def test_before_anything_is_heard_there_is_a_state():
    collector = Collector()
    collector.update(1.0)
    state = state_of(collector)
    assert "ego" not in state and state["age"] == {}


def test_odometry_alone_is_shown():
    collector = Collector()
    collector.take("odometry", odometry(2.0, x=7.0), now_s=10.0)
    collector.update(12.5)
    state = state_of(collector)
    assert (state["t"], state["ego"]["x"], state["ego"]["speed"]) == (2.0, 7.0, 5.0)
    assert state["age"] == {"odometry": 2.5}


@pytest.mark.parametrize("value", [NAN, INF])
def test_nonsense_is_said_and_does_not_reach_the_page(value):
    collector = Collector()
    collector.take("odometry", odometry(2.0, x=value), now_s=0.0)
    collector.take("speedometer", Some(data=value), now_s=0.0)
    collector.update(0.1)
    state = state_of(collector)
    assert "ego" not in state and "not finite" in state["problems"]["odometry"]


def test_the_past_is_half_a_minute_and_ends_when_time_goes_back():
    collector = Collector()
    for number in range(400):
        collector.take("odometry", odometry(number / 10), now_s=0.0)
        collector.update(0.0)
    collector.put_history()
    past = json.loads(next(p for p in collector.parts.newer({}) if p.name == "history").payload)
    assert past["columns"] == ["t", *HISTORY]
    assert past["rows"][-1][0] == 39.9 and past["rows"][0][0] == pytest.approx(9.9)
    collector.take("odometry", odometry(1.0), now_s=0.0)
    collector.update(0.0)
    collector.put_history()
    past = json.loads(next(p for p in collector.parts.newer({}) if p.name == "history").payload)
    assert [row[0] for row in past["rows"]] == [1.0]


def test_a_crash_is_one_event():
    collector = Collector()
    for t in (3.0, 3.1, 3.2, 9.0):
        collector.take("collision", Some(header=stamp(t)), now_s=0.0)
    collector.update(0.0)
    assert [row[0] for row in state_of(collector)["events"]] == [3.0, 9.0]


def test_the_gate_changing_its_mind_is_an_event():
    collector = Collector()
    for number, name in enumerate(("NOMINAL", "NOMINAL", "COMFORT_STOP")):
        collector.take("odometry", odometry(number / 10), now_s=0.0)
        said = Some(state=GateState[name], reason="why", interventions=0, rules=[])
        collector.take("safety_state", said, now_s=0.0)
        collector.update(0.0)
    assert state_of(collector)["events"] == [[0.2, 1, "gate: comfort stop, why"]]
