"""Which messages go on, and when: each fault does what it says and nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest
from carla_msgs.msg import CarlaEgoVehicleControl
from fault_messages import DT_NS, header, image, odometry, through
from geometry_msgs.msg import TransformStamped
from std_msgs.msg import Bool, Float32
from tf2_msgs.msg import TFMessage

from wm_perception.messages import stamp_ns
from wm_sim.faults import FaultInjector
from wm_sim.faults_spec import parse_faults


def test_without_faults_messages_pass_as_they_are():
    message = odometry(0)
    (result,) = FaultInjector().apply("odometry", message, 0)
    assert result is message


def test_other_topics_are_left_alone():
    message = image(0)
    injector = FaultInjector(parse_faults(["odometry:drop"]))
    assert injector.apply("odometry", odometry(0), 0) == []
    (result,) = injector.apply("image", message, 0)
    assert result is message


def test_drop_all_nth_and_by_probability():
    assert through("odometry:drop", odometry, 5) == [[]] * 5
    counts = [len(out) for out in through("odometry:drop:3", odometry, 9)]
    assert counts == [1, 1, 0] * 3
    counts = [len(out) for out in through("odometry:drop:0.2", odometry, 2000)]
    assert 0.17 < 1.0 - np.mean(counts) < 0.23


def test_a_fault_begins_and_ends_on_time():
    counts = [len(out) for out in through("odometry:drop@0.3+0.4", odometry, 10)]
    assert counts == [1, 1, 1, 0, 0, 0, 0, 1, 1, 1]


def test_a_stamp_that_is_a_nanosecond_low_is_in_time():
    injector = FaultInjector(parse_faults(["odometry:drop@0.3+0.4"]))
    cut = [max(0, k * DT_NS - 1) for k in range(10)]
    counts = [len(injector.apply("odometry", odometry(ns), ns)) for ns in cut]
    assert counts == [1, 1, 1, 0, 0, 0, 0, 1, 1, 1]


def test_times_are_counted_from_the_origin():
    injector = FaultInjector()
    injector.replace(parse_faults(["odometry:drop@0.2+0.1"]), 5 * DT_NS, seed=0)
    counts = [len(injector.apply("odometry", odometry(k * DT_NS), k * DT_NS)) for k in range(5, 10)]
    assert counts == [1, 1, 0, 1, 1]


def test_delay_is_a_fifo_of_frames():
    out = through("odometry:delay:3", odometry, 6)
    assert [[stamp_ns(m.header.stamp) // DT_NS for m in frame] for frame in out] == [
        [],
        [],
        [],
        [0],
        [1],
        [2],
    ]


def test_delay_lets_everything_go_in_order_when_it_ends():
    out = through("odometry:delay:3@0.2+0.4", odometry, 8)
    stamps = [[stamp_ns(m.header.stamp) // DT_NS for m in frame] for frame in out]
    assert stamps == [[0], [1], [], [], [], [2], [3, 4, 5, 6], [7]]


def test_a_delayed_event_comes_out_without_another_event():
    injector = FaultInjector(parse_faults(["collision:delay:2"]))
    event = odometry(0)
    assert injector.apply("collision", event, 0) == []
    for k, expected in ((0, []), (1, []), (2, [("collision", event)]), (3, [])):
        injector.apply("odometry", odometry(k * DT_NS), k * DT_NS)
        assert injector.release(k * DT_NS) == expected


def test_delay_counts_frames_not_messages():
    injector = FaultInjector(parse_faults(["odometry:delay:1"]))
    assert injector.apply("odometry", odometry(0), 0) == []
    assert injector.apply("odometry", odometry(0), 0) == []  # the same frame, sent again
    assert len(injector.apply("odometry", odometry(DT_NS), DT_NS)) == 2


def test_duplicate_sends_equal_messages():
    for k, frame in enumerate(through("odometry:duplicate:3", odometry, 2)):
        assert frame == [odometry(k * DT_NS)] * 3


def test_freeze_repeats_old_content_under_new_stamps():
    out = through("odometry:freeze@0.2", lambda ns: odometry(ns, x=ns * 1e-9), 5)
    assert [m.pose.pose.position.x for (m,) in out] == pytest.approx([0.0, 0.1, 0.1, 0.1, 0.1])
    assert [stamp_ns(m.header.stamp) for (m,) in out] == [k * DT_NS for k in range(5)]


def test_freeze_can_keep_the_old_stamp():
    out = through("odometry:freeze:1@0.2", lambda ns: odometry(ns, x=ns * 1e-9), 5)
    assert [stamp_ns(m.header.stamp) // DT_NS for (m,) in out] == [0, 1, 1, 1, 1]


def test_freeze_stamps_what_lies_inside():
    def transform(ns):
        return TFMessage(transforms=[TransformStamped(header=header(ns))])

    out = through("tf:freeze@0.2", transform, 4, key="tf")
    assert [stamp_ns(m.transforms[0].header.stamp) // DT_NS for (m,) in out] == [0, 1, 2, 3]


def test_faults_on_one_topic_work_in_order():
    out = through(["odometry:scale:2", "odometry:delay:1", "odometry:duplicate"], odometry, 2)
    assert out[0] == []
    assert [m.pose.pose.position.x for m in out[1]] == [2.0, 2.0]


def test_probability_hits_only_some():
    out = through("odometry:nan%0.3", odometry, 1000)
    share = np.mean([math.isnan(m.pose.pose.position.x) for (m,) in out])
    assert 0.25 < share < 0.35
    assert all(
        m == odometry(stamp_ns(m.header.stamp)) for (m,) in out if m.pose.pose.position.x == 1
    )


def test_everything_means_what_can_be_hit():
    injector = FaultInjector(parse_faults(["*:nan"]), inputs=("vehicle_control_cmd",))
    ((speed,), (flag,), (command,)) = (
        injector.apply(key, message, 0)
        for key, message in (
            ("speedometer", Float32(data=1.0)),
            ("flag", Bool(data=True)),
            ("vehicle_control_cmd", CarlaEgoVehicleControl(throttle=0.5)),
        )
    )
    assert math.isnan(speed.data)
    assert flag.data
    assert command.throttle == 0.5


def outputs(texts, keys, seed=0):
    injector = FaultInjector(parse_faults(texts), seed)
    return {
        key: [injector.apply(key, odometry(k * DT_NS), k * DT_NS) for k in range(40)]
        for key in keys
    }


def test_same_seed_same_faults_whatever_else_there_is():
    texts = ["a:noise:1", "a:drop:0.3"]
    alone = outputs(texts, ["a"])
    assert outputs(["b:noise:1", "*:drop:0.5@99", *texts], ["b", "a"])["a"] == alone["a"]
    assert outputs(texts, ["a"], seed=1)["a"] != alone["a"]
    both = outputs(["*:drop:0.5"], ["a", "b"])
    assert both["a"] != both["b"]


def test_equal_faults_are_independent_of_each_other():
    out = through(["odometry:drop:0.5", "odometry:drop:0.5"], odometry, 2000)
    assert 0.2 < np.mean([len(frame) for frame in out]) < 0.3


def test_replacing_begins_again():
    injector = FaultInjector(parse_faults(["odometry:noise:1", "odometry:delay:2"]), seed=3)
    runs = []
    for episode in range(2):
        base = episode * 100 * DT_NS
        injector.replace(injector.faults, None, seed=3)
        stamps = [base + k * DT_NS for k in range(20)]
        out = [injector.apply("odometry", odometry(ns), ns) for ns in stamps]
        runs.append([m.pose.pose.position.x for frame in out for m in frame])
    assert runs[0] == runs[1]
    assert len(runs[0]) == 18


def command(ns: int, throttle: float) -> CarlaEgoVehicleControl:
    return CarlaEgoVehicleControl(header=header(ns), throttle=throttle)


def test_delay_of_an_input_is_a_vehicle_that_lags():
    out = through(
        "cmd:delay:2@0.2+0.5",
        lambda ns: command(ns, ns * 1e-9),
        10,
        key="cmd",
        inputs=("cmd",),
    )
    throttles = [round(m.throttle * 10) for (m,) in out]
    assert throttles == [0, 1, 1, 1, 2, 3, 4, 7, 8, 9]
    assert [stamp_ns(m.header.stamp) // DT_NS for (m,) in out] == list(range(10))


def test_delay_of_an_input_begins_with_nothing():
    out = through("cmd:delay:1", lambda ns: command(ns, 1.0), 3, key="cmd", inputs=("cmd",))
    assert [m.throttle for (m,) in out] == [0.0, 1.0, 1.0]
