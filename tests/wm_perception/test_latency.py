"""How long a frame takes from sensor to command."""

from __future__ import annotations

from wm_perception.latency import EDGES_MS, Latencies, Sent, histogram, now_ns, summary

MS = 1_000_000


def test_a_frame_is_known_by_its_stamp_even_a_truncated_one():
    sent = Sent()
    sent.note(1_234_567_890, 10)
    assert sent.of(1_234_567_890) == sent.of(1_234_000_000) == sent.of(1_235_500_000) == 10
    assert sent.of(1_240_000_000) is None
    sent.note(1_234_567_890, 99)
    assert sent.of(1_234_567_890) == 10, "what is sent again is the same frame"


def test_an_answer_counts_once():
    sent = Sent()
    sent.note(5 * MS, 7)
    assert sent.take(5 * MS) == 7 and sent.take(5 * MS) is None


def test_only_recent_frames_are_remembered():
    sent = Sent(kept=3)
    for k in range(10):
        sent.note(k * 100 * MS, k)
        if k == 8:
            sent.take(8 * 100 * MS)
    assert [k for k in range(10) if sent.of(k * 100 * MS) is not None] == [7, 9]


def test_times_are_counted_by_stage():
    found = Latencies()
    for took in (1, 4, 4, 90):
        found.add("sensor_to_latent", 1000 * MS, (1000 + took) * MS)
    found.add("sensor_to_latent", None)
    found.add("now", now_ns() - 3 * MS)
    values = found.values()
    assert values["sensor_to_latent"].startswith("p50 4.0, p99 87.4 ms; ")
    assert values["sensor_to_latent"].endswith("<= 1: 1, <= 5: 2, <= 100: 1")
    assert set(values) == {"sensor_to_latent", "now"}


def test_what_took_longer_than_all_bins_is_counted_too():
    assert list(histogram([0] * len(EDGES_MS) + [4]).items())[-1] == ("> 1000", 4)
    (report,) = summary({"a_to_b": [2.0, 2.5, 5000.0], "never": []}).values()
    assert report["frames"] == 3 and report["p50"] == 2.5 and report["most"] == 5000.0
    assert report["histogram_ms"]["<= 2"] == 1 and report["histogram_ms"]["> 1000"] == 1
