"""The ladder of missed frames."""

from __future__ import annotations

import pytest

from wm_perception.misses import Missed, Misses

MS = 1_000_000


def run(misses: Misses, pattern: str, start: int = 0) -> list[Missed]:
    """One frame of 0.1 s per character: ``.`` seen, ``x`` missed. Stamps are a little low."""
    return [
        misses.frame((start + k) * 100 * MS - 300, mark == ".") for k, mark in enumerate(pattern)
    ]


@pytest.fixture
def misses() -> Misses:
    return Misses("picture", 0.1, latch=False)


def test_one_missed_frame_is_no_reason_for_anything(misses):
    assert all(m == Missed(m.silent_s) for m in run(misses, "....x...."))
    assert misses.total == 1


def test_silence_warns_after_two_tenths_and_stops_after_five(misses):
    seen = run(misses, "..xxxxxx")
    assert [bool(m.warning) for m in seen] == [False] * 3 + [True] * 5
    assert [m.stop for m in seen[:6]] == [""] * 6
    assert seen[6].stop == "no picture for 0.5 s"
    assert "no picture for 0.6 s" in seen[7].warning


def test_a_stop_ends_with_the_next_frame_unless_it_is_latched(misses):
    assert run(misses, ".xxxxxx.")[-1] == Missed()
    latched = Misses("picture", 0.1, latch=True)
    after = run(latched, ".xxxxxx" + "." * 50)[-1]
    assert after.stop == "no picture for 0.5 s" and not after.warning
    latched.reset()
    assert run(latched, "..", start=60)[-1] == Missed()


def test_more_than_a_fifth_of_ten_seconds_asks_for_caution(misses):
    seen = run(misses, "..x" * 24)
    first = next(k for k, m in enumerate(seen) if m.degraded)
    assert first == 3 * 20 + 2, "with the 21st of 100 frames"
    assert "21 frames of the last 10 s had no picture, more than 20 %" in seen[first].warning
    assert not seen[first].stop


def test_a_fifth_is_not_more_than_a_fifth(misses):
    assert not any(m.degraded for m in run(misses, "....x" * 60))


def test_caution_ends_after_a_clean_second(misses):
    run(misses, "..x" * 24)
    after = run(misses, "." * 12, start=72)
    assert [m.degraded for m in after] == [True] * 9 + [False] * 3
    assert after[-1] == Missed()


def test_nothing_was_missed_before_the_first_frame(misses):
    assert run(misses, "xx")[0].silent_s == 0.0


def test_frames_that_never_came_were_missed_and_a_pause_was_not(misses):
    def drive(start: int, step: int) -> list[bool]:
        return [misses.frame((start + step * k) * 100 * MS, True).degraded for k in range(40)]

    degraded = drive(0, 2)
    assert degraded.index(True) == 21 and misses.total == 39, "every second one"
    misses.reset()
    assert not any(drive(200, 12))
