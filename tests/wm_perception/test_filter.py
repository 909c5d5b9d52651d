"""The ring of interleaved latents, on a backend that only writes down what it is asked."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from wm_perception.filter import LatentFilter
from wm_perception.frame import Command
from wm_perception.observation import Observation
from wm_perception.route import RoutePose


class Diary:
    """A latent is the tuple of frame numbers it has seen."""

    def __init__(self, dt: float = 0.2):
        self.dt = dt
        self.actions: list[np.ndarray] = []
        self.motions: list[np.ndarray] = []

    def initial(self) -> tuple[int, ...]:
        return ()

    def observe(self, latent, action, motion, observation):
        self.actions.append(np.asarray(action))
        self.motions.append(np.asarray(motion))
        return (*latent, round(observation.stamp_ns / 1e8)), 0.5

    def predict(self, latent, action, motion, state):
        self.actions.append(np.asarray(action))
        self.motions.append(np.asarray(motion))
        return (*latent, "?")


def see(number: int, reset: bool = False, steer: float = 0.0, accel: float = 0.0) -> Observation:
    """Frame ``number``; the ego drives 1 m per frame along x."""
    return Observation(
        stamp_ns=number * 100_000_000,
        bev=np.zeros((64, 64), np.uint8),
        state=np.zeros(5, np.float32),
        route=np.zeros(20, np.float32),
        reference=np.zeros((51, 2), np.float32),
        pose=np.array([float(number), 0.0, 0.0]),
        command=Command(steer, accel),
        on_route=RoutePose(float(number), 0.0, 0.0),
        arrived=False,
        reset=reset,
    )


def latents(stride: int, count: int) -> list[tuple[int, ...]]:
    ring = LatentFilter(Diary(0.1 * stride), 0.1)
    return [ring.update(see(k, reset=k == 0)).latent for k in range(count)]


def test_the_state_of_a_frame_grows_from_that_of_one_model_step_before():
    assert latents(2, 6) == [(0,), (1,), (0, 2), (1, 3), (0, 2, 4), (1, 3, 5)]


def test_one_frame_per_model_step_is_a_plain_chain():
    assert latents(1, 4) == [(0,), (0, 1), (0, 1, 2), (0, 1, 2, 3)]


def test_four_frames_per_model_step_are_four_chains():
    assert latents(4, 9)[-1] == (0, 4, 8)


def test_a_reset_forgets_every_chain():
    ring = LatentFilter(Diary(), 0.1)
    for k in range(4):
        ring.update(see(k))
    assert ring.update(see(4, reset=True)).latent == (4,)
    assert ring.update(see(5)).latent == (5,)
    assert ring.update(see(6)).latent == (4, 6)


def test_nothing_is_a_surprise_at_first():
    ring = LatentFilter(Diary(), 0.1)
    assert [ring.update(see(k)).surprise for k in range(4)] == [0.0, 0.0, 0.5, 0.5]


def test_a_step_is_told_the_mean_command_and_the_whole_motion_of_its_two_frames():
    backend = Diary()
    ring = LatentFilter(backend, 0.1)
    commands = [(0.9, 0.9), (0.2, 0.5), (0.4, -0.1), (0.0, 0.3)]
    for k, (steer, accel) in enumerate(commands):
        ring.update(see(k, steer=steer, accel=accel))
    # The command of a frame is the one that led to it: frame 2 grows from frame 0.
    np.testing.assert_allclose(backend.actions[2], [0.3, 0.2])
    np.testing.assert_allclose(backend.actions[3], [0.2, 0.1])
    np.testing.assert_allclose(backend.motions[2], [2.0, 0.0, 0.0])
    for fresh in (backend.actions[0], backend.actions[1]):
        np.testing.assert_array_equal(fresh, [0.0, 0.0])


@pytest.mark.parametrize("frame_dt", [0.15, 0.3, 0.06])
def test_frames_that_do_not_fit_the_model_step_are_refused(frame_dt):
    with pytest.raises(ValueError, match="whole number of frames"):
        LatentFilter(Diary(), frame_dt)


class Judge(Diary):
    """A backend that also scores: the trace is the number of steps of its own chain."""

    novelty = SimpleNamespace(threshold=3.0)

    def observe_judged(self, latent, trace, action, motion, observation):
        latent, surprise = self.observe(latent, action, motion, observation)
        trace = (trace or 0) + 1
        return latent, surprise, trace, float(trace)


def test_every_chain_has_a_trace_of_its_own_and_a_reset_forgets_it():
    latent_filter = LatentFilter(Judge())
    scores = [latent_filter.update(see(i, reset=i in (0, 6))).novelty for i in range(10)]
    assert scores == [1, 1, 2, 2, 3, 3, 1, 1, 2, 2]


def test_a_model_without_a_measure_has_no_novelty():
    assert LatentFilter(Diary()).update(see(0, reset=True)).novelty is None


def test_a_frame_that_was_not_seen_is_imagined_and_tells_of_doubt():
    backend = Judge()
    ring = LatentFilter(backend)
    seen = [
        ring.update(see(i, reset=i == 0, steer=0.1 * i), seen=i not in (4, 5)) for i in range(8)
    ]
    assert [f.latent for f in seen[4:]] == [
        (0, 2, "?"),
        (1, 3, "?"),
        (0, 2, "?", 6),
        (1, 3, "?", 7),
    ]
    assert [f.imagined for f in seen] == [i in (4, 5) for i in range(8)]
    assert [f.novelty for f in seen[4:6]] == [4.0, 5.0], "above the threshold, more each time"
    assert [f.novelty for f in seen[6:]] == [1, 1], "what is usual is measured afresh"
    np.testing.assert_allclose(backend.actions[4], [0.35, 0.0])
    np.testing.assert_allclose(backend.motions[4], [2.0, 0.0, 0.0])


def test_frames_that_never_came_are_imagined_in_between():
    backend = Diary()
    ring = LatentFilter(backend)
    for k in (0, 1, 2, 3):
        ring.update(see(k, reset=k == 0))
    backend.motions.clear()
    after = ring.update(see(6))
    assert after.latent == (0, 2, "?", 6) and not after.imagined
    np.testing.assert_allclose(backend.motions, [[2.0, 0.0, 0.0]] * 3)
    assert ring.update(see(7)).latent == (1, 3, "?", 7)


def test_nothing_is_imagined_across_a_reset():
    ring = LatentFilter(Diary())
    ring.update(see(0, reset=True))
    assert ring.update(see(3, reset=True)).latent == (3,)


class Sick(Judge):
    """A backend that fails on some frames."""

    def __init__(self, how: str):
        super().__init__()
        self.how = how

    def observe_judged(self, latent, trace, action, motion, observation):
        number = round(observation.stamp_ns / 1e8)
        if number in (4, 5) and self.how == "raises":
            raise RuntimeError("no engine")
        latent, *rest = super().observe_judged(latent, trace, action, motion, observation)
        spoilt = number in (4, 5) and self.how == "nan"
        return Spoilt(latent) if spoilt else latent, *rest


class Spoilt(tuple):
    """A latent that is not finite."""

    deter = np.array([np.nan])


@pytest.mark.parametrize(
    ("how", "said"), [("raises", "the model failed: RuntimeError: no engine"), ("nan", "finite")]
)
def test_what_a_sick_model_says_does_not_spoil_the_belief(how, said):
    ring = LatentFilter(Sick(how))
    seen = [ring.update(see(i, reset=i == 0)) for i in range(8)]
    assert [bool(f.failure) for f in seen] == [i in (4, 5) for i in range(8)]
    assert said in seen[4].failure
    assert [f.novelty for f in seen[4:]] == [4.0, 5.0, 1, 1]
    assert seen[7].latent == (1, 3, "?", 7)


def test_a_model_that_cannot_even_imagine_is_told_and_the_belief_stays(monkeypatch):
    ring = LatentFilter(Diary())
    for k in range(3):
        ring.update(see(k, reset=k == 0))
    with monkeypatch.context() as patch:
        patch.setattr(Diary, "predict", lambda *_: Spoilt())
        with pytest.raises(ArithmeticError, match="not finite"):
            ring.update(see(3), seen=False)
    assert ring.update(see(3)).latent == (1, 3)


def test_it_has_begun_once_something_was_seen():
    ring = LatentFilter(Diary())
    ring.update(see(0, reset=True), seen=False)
    assert not ring.begun
    ring.update(see(1))
    assert ring.begun
    ring.reset()
    assert not ring.begun


def test_the_first_frame_of_all_may_be_one_that_was_not_seen():
    ring = LatentFilter(Diary())
    assert ring.update(see(0, reset=True), seen=False).latent == ("?",)
    assert ring.update(see(1)).latent == (1,)
