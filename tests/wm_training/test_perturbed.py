"""Imperfect drivers err in the way their habit says, and the same way for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from wm_perception.frame import LightState, SceneFrame
from wm_sim.vehicle import Vehicle, VehicleState
from wm_training.perturbed import HABITS, Habit, PerturbedDriver

CALM = (0.0, 0.0)


def driver(road, habit: Habit, seed: int = 0) -> PerturbedDriver:
    made = PerturbedDriver(habit, np.random.default_rng(seed))
    made.reset(road.scene())
    return made


def drive(road, driver, frames: int, speed: float = 7.0, light=LightState.RED) -> np.ndarray:
    """(frames, 4) x, y, steer, accel of a drive along the road, from x = 0."""
    vehicle = Vehicle(VehicleState(0.0, 0.0, speed=speed))
    rows = []
    for i in range(frames):
        ego = vehicle.ego()
        command = driver.drive(SceneFrame(i * 100_000_000, ego, light_states={road.light: light}))
        rows.append((ego.x, ego.y, command.steer, command.accel))
        vehicle.step(command, 0.1)
    return np.array(rows)


def stand(road, driver, frames: int, light=LightState.RED) -> np.ndarray:
    """(frames,) accelerator while standing before a light."""
    x = road.stop_x - 3.0
    shown = [road.frame(x, number=i, speed=0.0, light=light) for i in range(frames)]
    return np.array([driver.drive(frame).accel for frame in shown])


@pytest.mark.parametrize("name", HABITS)
def test_the_same_seed_errs_the_same_way(road, name):
    first, again, other = (drive(road, driver(road, HABITS[name], seed), 80) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_clean_drivers_stop_at_a_red_light_and_reckless_ones_mostly_run_it(road):
    runs = {
        name: sum(
            drive(road, driver(road, HABITS[name], seed), 150)[-1, 0] > road.stop_x
            for seed in range(12)
        )
        for name in ("clean", "distracted", "reckless")
    }
    assert runs["clean"] == 0
    assert runs["reckless"] >= 6
    assert 0 < runs["distracted"] < runs["reckless"]


def test_who_is_deaf_to_traffic_hits_the_car_that_an_attentive_driver_follows(road):
    frame = road.frame(20.0, speed=8.0, cars=road.car(32.0))
    attentive = driver(road, Habit(jitter=CALM)).drive(frame)
    deaf = driver(road, Habit(deaf_traffic=1.0, jitter=CALM)).drive(frame)
    assert attentive.accel < -0.3
    assert deaf.accel > -0.3


def test_creeping_happens_only_at_a_standstill(road):
    calm, creeping = Habit(jitter=CALM), Habit(jitter=CALM, creep_rate=2.0)
    assert (stand(road, driver(road, calm), 100) <= 0).all()
    pushes = stand(road, driver(road, creeping), 100)
    assert 0.1 < (pushes > 0.2).mean() < 0.95, "short pushes, with rests between them"
    moving = [road.frame(5.0 + 0.5 * i, number=i, light=LightState.RED) for i in range(40)]
    patient, hasty = driver(road, calm), driver(road, creeping)
    assert [hasty.drive(frame) for frame in moving] == [patient.drive(frame) for frame in moving]


def test_a_hesitant_driver_stops_and_stands_without_a_reason_and_goes_on(road):
    green = {"frames": 400, "light": LightState.GREEN}
    pausing = Habit(pause_rate=0.5, jitter=CALM)
    accel = drive(road, driver(road, pausing), **green)[:, 3]
    standing = stand(road, driver(road, pausing), 400, light=LightState.GREEN)
    for pushes in (accel, standing):
        assert 0.2 < (pushes == -0.6).mean() < 0.95
    assert (drive(road, driver(road, Habit(jitter=CALM)), **green)[:, 3] > -0.6).all()


def test_bursts_shake_the_wheel_and_drift_leaves_the_middle(road):
    green = {"frames": 200, "light": LightState.GREEN}
    clean = [drive(road, driver(road, HABITS["clean"], seed), **green) for seed in range(4)]
    noisy = [drive(road, driver(road, HABITS["noisy"], seed), **green) for seed in range(4)]
    drifting = Habit(burst_rate=2.0, drift_std=1.5, jitter=CALM)
    drifted = [drive(road, driver(road, drifting, seed), **green) for seed in range(4)]
    assert np.std([d[:, 2] for d in noisy]) > 2.0 * np.std([d[:, 2] for d in clean])
    assert np.abs([d[:, 1] for d in clean]).max() < 0.5
    assert np.abs([d[:, 1] for d in drifted]).max() > 0.8


def test_a_lesson_keeps_the_experts_wishes_while_the_car_is_shaken(road):
    shaken = driver(road, HABITS["lesson"])
    done = drive(road, shaken, 120)
    assert len(shaken.wishes) == 120
    wished = np.array([(wish.steer, wish.accel) for wish in shaken.wishes])
    assert abs(wished - done[:, 2:]).max() > 0.2, "it is pushed about"
    assert abs(done[:, 1]).max() > 0.2
    expert = driver(road, Habit(jitter=CALM, cruise_mps=HABITS["lesson"].cruise_mps))
    calm = drive(road, expert, 120)
    np.testing.assert_array_equal(calm[:, 2:], [(w.steer, w.accel) for w in expert.wishes])
    assert abs(done[-1, 1]) < 1.5, "and its wishes lead back"
    shaken.reset(road.scene())
    assert shaken.wishes == []


def test_a_random_driver_looks_at_nothing(road):
    one, other = driver(road, HABITS["random"]), driver(road, HABITS["random"])
    green = [one.drive(road.frame(20.0 + i, number=i)) for i in range(20)]
    red = [other.drive(road.frame(48.0, number=i, light=LightState.RED)) for i in range(20)]
    assert green == red


def test_commands_stay_within_limits(road):
    wild = Habit(burst_rate=5.0, steer_std=5.0, accel_std=5.0, jitter=(1.0, 1.0))
    commands = drive(road, driver(road, wild), 60)[:, 2:]
    assert np.abs(commands).max() <= 1.0
