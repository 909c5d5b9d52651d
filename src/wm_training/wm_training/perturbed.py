"""Imperfect teachers: the expert with lapses, noise and recklessness.

A world model learns what crashing, leaving the road and running a red light look like only from
drivers who do so. Each style below exists for one thing that a model trained on clean driving gets
wrong, see docs/training.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wm_perception.frame import Command, SceneFrame
from wm_perception.scene import Scene
from wm_sim.expert import Expert, ExpertStyle
from wm_training.drivers import Driver


@dataclass(frozen=True)
class Habit:
    """How often and how hard one kind of driver errs; rates are per second.

    Attributes:
        deaf_traffic, deaf_lights: share of the time without regard for them.
        burst_rate: starts of noise bursts.
        steer_std, accel_std: size of a burst.
        drift_std: lateral offset from the route, m, redrawn with every burst.
        creep_rate: starts of short pushes on the throttle while standing still.
        pause_rate: starts of stops without a reason, moving or standing.
        jitter: white noise on steer and accel.
        random: ignore the expert, wander.
        cruise_mps: range of the speeds that a driver may like on a straight.
    """

    deaf_traffic: float = 0.0
    deaf_lights: float = 0.0
    burst_rate: float = 0.0
    steer_std: float = 0.0
    accel_std: float = 0.0
    drift_std: float = 0.0
    creep_rate: float = 0.0
    pause_rate: float = 0.0
    jitter: tuple[float, float] = (0.02, 0.05)
    random: bool = False
    cruise_mps: tuple[float, float] = (5.0, 11.0)


HABITS: dict[str, Habit] = {
    "clean": Habit(),
    "noisy": Habit(
        burst_rate=0.6, steer_std=0.3, accel_std=0.6, drift_std=1.5, creep_rate=0.2,
        jitter=(0.05, 0.12),
    ),
    # Drives up to standing cars and red lights without braking: otherwise the model learns that
    # whoever keeps moving has a moving leader, and imagines that leaders leave.
    "reckless": Habit(
        deaf_traffic=0.9, deaf_lights=0.75, burst_rate=0.2, steer_std=0.1, accel_std=0.4,
        jitter=(0.03, 0.1),
    ),
    # Wakes up late, and creeps at red lights and in queues: otherwise a moving ego means green.
    "distracted": Habit(
        deaf_traffic=0.45, deaf_lights=0.45, burst_rate=0.2, accel_std=0.5, creep_rate=0.5,
        jitter=(0.03, 0.1),
    ),
    # Stops anywhere and sleeps through green: otherwise whoever stands has a reason to, and a model
    # that sees lights poorly goes by its own speed instead and stands for ever.
    "hesitant": Habit(
        deaf_traffic=0.2, deaf_lights=0.3, burst_rate=0.2, steer_std=0.1, accel_std=0.3,
        creep_rate=0.2, pause_rate=0.1, jitter=(0.03, 0.08),
    ),
    "random": Habit(random=True),
    # A pupil's lessons: pushed off the ideal line, so that what the expert does about it is seen
    # (Laskey et al. 2017); the expert itself drives as always, or its wish could not be learned.
    "lesson": Habit(
        burst_rate=0.4, steer_std=0.25, accel_std=0.4, jitter=(0.02, 0.05), cruise_mps=(8.3, 8.3)
    ),
    # On policy: what the planner itself runs into, shaken now and then.
    "planner": Habit(
        burst_rate=0.25, steer_std=0.12, accel_std=0.4, creep_rate=0.2, jitter=(0.01, 0.03)
    ),
}  # fmt: skip
ATTENTION_S = (0.8, 4.0)  # how long a driver stays deaf or attentive
STANDING_MPS = 0.3
PAUSE_S, PAUSE_ACCEL = (2.0, 9.0), -0.6  # how long a stop without a reason lasts, how it brakes


class PerturbedDriver:
    """A driver with a habit. Seeded; the same seed errs the same way.

    Attributes:
        wishes: what the driver would have done without the habit, one command per frame of the
            route so far; nothing while it wanders.
    """

    def __init__(
        self,
        habit: Habit,
        rng: np.random.Generator,
        frame_dt: float = 0.1,
        driver: Driver | None = None,
    ):
        """Args: habit; generator; frame_dt in seconds; driver to perturb (default: an expert)."""
        self._habit, self._rng, self._dt = habit, rng, frame_dt
        self._cruise = rng.uniform(*habit.cruise_mps)
        self.wishes: list[Command] = []
        self._offset = 0.0
        self._driver = driver or Expert()
        self._attention_left = self._burst_left = self._creep_left = self._pause_left = 0
        self._burst = np.zeros(2)
        self._wander = np.zeros(2)
        self._creep = 0.0

    def reset(self, scene: Scene, seed: int = 0) -> None:
        """Begin a route."""
        self._scene = scene
        self._driver.reset(scene, seed)
        self.wishes = []

    def drive(self, frame: SceneFrame) -> Command:
        """The command for this frame, errors included."""
        rng, habit = self._rng, self._habit
        if habit.random:
            return self._wandering()
        self._shift_attention()
        wish = self._driver.drive(frame)
        self.wishes.append(wish)
        action = np.array([wish.steer, wish.accel]) + self._burst_noise()
        action += self._creeping(frame) + rng.normal(0.0, habit.jitter)
        if self._pauses():
            action[1] = PAUSE_ACCEL
        steer, accel = np.clip(action, -1.0, 1.0)
        return Command(float(steer), float(accel))

    def _starts(self, rate: float) -> bool:
        return bool(self._rng.random() < rate * self._dt)

    def _frames(self, low_s: float, high_s: float) -> int:
        return int(self._rng.uniform(low_s, high_s) / self._dt)

    def _shift_attention(self) -> None:
        self._attention_left -= 1
        if self._attention_left > 0 or not isinstance(self._driver, Expert):
            return
        self._attention_left = self._frames(*ATTENTION_S)
        self._driver.style = ExpertStyle(
            cruise_mps=self._cruise,
            offset_m=self._offset,
            heeds_traffic=self._rng.random() >= self._habit.deaf_traffic,
            heeds_lights=self._rng.random() >= self._habit.deaf_lights,
        )

    def _burst_noise(self) -> np.ndarray:
        rng, habit = self._rng, self._habit
        if self._burst_left <= 0 and self._starts(habit.burst_rate):
            self._burst_left = self._frames(0.3, 2.0)
            self._burst = rng.normal(0.0, [habit.steer_std, habit.accel_std])
            if rng.random() < 0.5:
                self._burst[0] = 0.0
            self._offset = rng.normal(0.0, habit.drift_std) if rng.random() < 0.3 else 0.0
            self._attention_left = 0
        self._burst_left -= 1
        return self._burst if self._burst_left >= 0 else np.zeros(2)

    def _creeping(self, frame: SceneFrame) -> np.ndarray:
        may_start = self._creep_left <= 0 and frame.ego.speed_mps < STANDING_MPS
        if may_start and self._starts(self._habit.creep_rate):
            self._creep_left = self._frames(0.3, 1.6)
            self._creep = self._rng.uniform(0.4, 1.6)
        self._creep_left -= 1
        return np.array([0.0, self._creep if self._creep_left >= 0 else 0.0])

    def _pauses(self) -> bool:
        rate = self._habit.pause_rate
        if rate and self._pause_left <= 0 and self._starts(rate):
            self._pause_left = self._frames(*PAUSE_S)
        self._pause_left -= 1
        return self._pause_left >= 0

    def _wandering(self) -> Command:
        self._wander = 0.93 * self._wander + self._rng.normal(0.0, [0.1, 0.2])
        steer, accel = np.clip(self._wander + [0.0, 0.15], -1.0, 1.0)
        return Command(float(steer), float(accel))
