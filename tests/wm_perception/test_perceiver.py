"""Frames to beliefs, with untrained models on a straight road."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from wm_dynamics.backend import TorchBackend
from wm_dynamics.config import SIZES
from wm_dynamics.model import WorldModel
from wm_dynamics.variants import variant
from wm_perception.camera_stream import camera_stream
from wm_perception.frame import EgoState, SceneFrame
from wm_perception.perceiver import FAILURES, Perceiver, latent_message
from wm_perception.route import Route
from wm_perception.scene import Scene

DT_NS = 100_000_000


@pytest.fixture(scope="module")
def scene() -> Scene:
    road = np.full((400, 1600), 255, np.uint8)
    town = SimpleNamespace(road=road, line=np.zeros_like(road), origin=np.array([-100.0, -50.0]))
    return Scene(town, Route(np.array([[0.0, 0.0], [200.0, 0.0]])))


def perceiver(inputs: str = "bev", **changes) -> Perceiver:
    config = variant("tiny", inputs=inputs, **changes) if inputs != "bev" else SIZES["tiny"]
    backend = TorchBackend(WorldModel.untrained(config))
    return Perceiver(backend, 0.1, camera_stream(config))


def frame(k: int, seen: bool = True, picture: bool = False) -> SceneFrame:
    image = np.full((80, 144, 3), k % 255, np.uint8) if picture else None
    ego = EgoState(5.0 + 0.5 * k, 0.0, 0.0, 5.0)
    return SceneFrame(k * DT_NS, ego, image=image, missing=() if seen else ("objects",))


def test_a_frame_without_objects_is_imagined_by_a_model_that_reads_masks(scene):
    maker = perceiver()
    percepts = [maker.perceive(frame(k, seen=k != 5), scene) for k in range(8)]
    assert [p.filtered.imagined for p in percepts] == [k == 5 for k in range(8)]
    assert maker.problems == {"missed": 1}
    assert [p.stop for p in percepts] == [""] * 8


def test_five_such_frames_ask_for_a_stop_until_the_next_good_one(scene):
    maker = perceiver()
    stops = [bool(maker.perceive(frame(k, not 5 <= k < 12), scene).stop) for k in range(14)]
    assert stops == [False] * 9 + [True] * 3 + [False] * 2


def test_a_camera_that_was_silent_stops_until_somebody_engages(scene):
    maker = perceiver("camera")
    percepts = [maker.perceive(frame(k, picture=not 5 <= k < 12), scene) for k in range(40)]
    assert [bool(p.stop) for p in percepts] == [False] * 9 + [True] * 31
    assert "no usable picture for 0.5 s" in percepts[-1].stop
    assert not percepts[-1].filtered.imagined
    maker.restart()
    assert maker.perceive(frame(40, picture=True), scene).stop == ""


def test_a_camera_model_does_not_need_objects_and_one_with_dropout_no_camera(scene):
    camera = perceiver("camera")
    assert not camera.perceive(frame(0, seen=False, picture=True), scene).filtered.imagined
    without = perceiver("camera", modality_dropout=0.2)
    assert not without.perceive(frame(0), scene).filtered.imagined


def test_nothing_is_believed_before_something_was_seen(scene):
    maker = perceiver("camera")
    assert [maker.perceive(frame(k), scene) for k in range(3)] == [None] * 3
    assert maker.perceive(frame(3, picture=True), scene) is not None


def test_a_break_begins_the_belief_anew_and_keeps_the_stop(scene):
    maker = perceiver("camera")
    for k in range(12):
        percept = maker.perceive(frame(k, picture=k < 3), scene)
    assert percept.stop and not percept.observation.reset
    after = maker.perceive(frame(12, picture=True), scene, breaks=1)
    assert after.observation.reset and after.stop
    assert not maker.perceive(frame(13, picture=True), scene, breaks=1).observation.reset


def test_a_model_that_fails_again_and_again_asks_for_a_stop(scene, monkeypatch):
    maker = perceiver()
    maker.perceive(frame(0), scene)

    def fail(*_):
        raise RuntimeError("no engine")

    with monkeypatch.context() as patch:
        patch.setattr(TorchBackend, "observe", fail)
        stops = [maker.perceive(frame(k), scene).stop for k in range(1, 5)]
    assert stops[: FAILURES - 1] == [""] * (FAILURES - 1)
    assert "perception failed 3 times in a row" in stops[FAILURES - 1]
    assert maker.problems["engine"] == 4 and "no engine" in maker.texts["engine"]
    assert maker.perceive(frame(5), scene).stop == ""


def test_a_model_that_cannot_even_imagine_gives_nothing(scene, monkeypatch):
    maker = perceiver()
    maker.perceive(frame(0), scene)
    monkeypatch.setattr(TorchBackend, "predict", lambda *_: 1 / 0)
    assert maker.perceive(frame(1, seen=False), scene) is None
    assert "cannot even imagine: ZeroDivisionError" in maker.texts["engine"]
    assert maker.perceive(frame(2), scene) is not None


def test_the_message_tells_what_was_missed(scene):
    maker = perceiver()
    message = None
    for k in range(12):
        message = latent_message(maker.perceive(frame(k, seen=k < 5), scene), 16, "abc")
    assert message.imagined and not message.degraded
    assert message.stop == "no complete frame for 0.5 s"
    assert message.novelty == 0.0, "nobody measured it for this model"
