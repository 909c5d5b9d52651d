"""The event camera: what gets brighter or darker, how often, and when."""

from __future__ import annotations

import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_sim.event_camera import EventCamera, gap_limit_ns
from wm_sim.rig import SensorSpec

LINEAR = {"use_log": "false", "positive_threshold": "0.1", "negative_threshold": "0.2"}
GAP_NS = 150


def camera(**attributes: str) -> EventCamera:
    return EventCamera(SensorSpec("dvs", "sensor.camera.dvs", attributes=LINEAR | attributes))


def grey(*levels: float) -> np.ndarray:
    """One row of grey pixels, brightness 0 to 1."""
    row = np.round(255 * np.array(levels)).astype(np.uint8)
    return np.repeat(row[None, :, None], 3, 2)


def test_each_threshold_crossed_is_an_event_at_its_time():
    sensor = camera()
    assert not len(sensor.update(grey(0.2, 0.8, 0.5), 0, GAP_NS))
    events = sensor.update(grey(0.6, 0.3, 0.5), 100, GAP_NS)
    up, down = events[events["pol"] == 1], events[events["pol"] == 0]
    assert set(up["x"]) == {0}
    assert set(down["x"]) == {1}
    np.testing.assert_allclose(up["t"][:3], [25, 50, 75], atol=1.5)
    np.testing.assert_allclose(down["t"], [40, 80], atol=1.5)
    assert (np.diff(events["t"]) >= 0).all()


def test_small_changes_add_up():
    sensor = camera()
    sensor.update(grey(0.20), 0, GAP_NS)
    assert not len(sensor.update(grey(0.26), 100, GAP_NS))
    assert len(sensor.update(grey(0.32), 200, GAP_NS)) == 1


def test_there_are_no_events_after_a_gap():
    sensor = camera()
    sensor.update(grey(0.0), 0, GAP_NS)
    assert not len(sensor.update(grey(1.0), 200, GAP_NS))
    assert len(sensor.update(grey(0.0), 300, GAP_NS))


def test_the_logarithm_sees_the_dark_better():
    sensor = camera(use_log="true", positive_threshold="0.5")
    sensor.update(grey(0.05, 0.80), 0, GAP_NS)
    events = sensor.update(grey(0.15, 0.90), 100, GAP_NS)
    assert set(events["x"]) == {0}


def test_thresholds_must_be_numbers():
    with pytest.raises(UserError, match="positive_threshold"):
        camera(positive_threshold="0")
    assert gap_limit_ns(0.1, 0.0) == 150_000_000
    assert gap_limit_ns(0.1, 0.5) == 750_000_000
