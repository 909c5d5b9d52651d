"""Situations in which it matters what the ego does next, and how to come upon them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wm_perception.conventions import to_ego
from wm_perception.frame import LightState, ObjectClass, SceneFrame
from wm_perception.scene import Scene, leader, stop_distance
from wm_sim.scenarios.library import LIBRARY
from wm_sim.simulator import Simulator

# Kind of situation -> share of a collection.
KINDS = {"queue": 0.25, "light": 0.25, "crossing": 0.2, "cut_in": 0.15, "ordinary": 0.15}

CLOSE_M = 30.0  # how far ahead somebody or a stop line matters
SLOW_MPS = 2.0  # leaders slower than this are a queue
CROSSER_AHEAD_M = (1.0, 25.0)
CROSSER_BESIDE_M = 3.0  # from the middle of the lane: in it, or about to be
CROSSER_RAD = 0.6  # who moves at a larger angle to the route crosses it
INTRUDER_AHEAD_M = (-2.0, 25.0)
INTRUDER_BESIDE_M = (0.8, 4.5)  # still beside the lane, on its way in

# Scenarios by the kind that they stage. Towns with one lane each way have no lane to cut in from
# but the oncoming one.
STAGED = {
    "queue": ("lead_hard_brake", "stop_and_go"),
    "crossing": ("pedestrian_crossing", "occluded_pedestrian", "cyclist_crossing"),
    "cut_in": ("parked_car_pulls_out", str(LIBRARY.parent / "overtaker_cuts_in.yaml")),
}


@dataclass(frozen=True)
class Quota:
    """How many situations of each kind are wanted, and found so far."""

    wanted: dict[str, int]
    found: dict[str, int]

    @property
    def open(self) -> list[str]:
        """Kinds of which some are missing, the one that lacks most first."""
        share = {k: self.found[k] / n for k, n in self.wanted.items() if n}
        return sorted((k for k in share if share[k] < 1.0), key=lambda k: share[k])

    @property
    def missing(self) -> int:
        """Situations to go."""
        return sum(self.wanted.values()) - sum(self.found.values())

    def with_one(self, kind: str) -> Quota:
        """After one more has been found."""
        return Quota(self.wanted, self.found | {kind: self.found[kind] + 1})


def quota(situations: int, found: list[str], kinds: Sequence[str] = ()) -> Quota:
    """Shares of :data:`KINDS` as whole numbers (largest remainders), and the kinds in ``found``.

    Args:
        situations: in all.
        found: kinds of those that are there.
        kinds: none but these; all if none is named.
    """
    shares = {kind: share * (not kinds or kind in kinds) for kind, share in KINDS.items()}
    exact = {kind: share / sum(shares.values()) * situations for kind, share in shares.items()}
    wanted = {kind: int(number) for kind, number in exact.items()}
    order = sorted(KINDS, key=lambda kind: wanted[kind] - exact[kind])
    for kind in order[: situations - sum(wanted.values())]:
        wanted[kind] += 1
    return Quota(wanted, {kind: found.count(kind) for kind in KINDS})


def kinds_now(simulator: Simulator, frame: SceneFrame, station: float) -> set[str]:
    """The kinds that this moment is one of; "light" only for red and yellow, see :func:`green`.

    Args:
        simulator: with the scene, and the scenario that is staged.
        frame: the moment.
        station: of the ego on the route, m.
    """
    scene = simulator.scene
    assert scene is not None
    ahead = leader(scene, frame.ego, frame.objects, station, CLOSE_M)
    stop = stop_distance(scene, frame, station)
    tests = {
        "queue": ahead is not None and ahead.speed_mps < SLOW_MPS,
        "light": stop is not None and stop < CLOSE_M,
        "crossing": somebody_crosses(scene, frame, station),
        "cut_in": somebody_cuts_in(simulator, frame),
    }
    return {kind for kind, holds in tests.items() if holds} or {"ordinary"}


def somebody_crosses(scene: Scene, frame: SceneFrame, station: float) -> bool:
    """Whether a person is in the lane or at its edge, or somebody else moves across it."""
    near = frame.objects.within(frame.ego.x, frame.ego.y, CROSSER_AHEAD_M[1] + 5.0)
    if not len(near):
        return False
    front = station + frame.ego.length / 2
    stations = np.arange(front + CROSSER_AHEAD_M[0], front + CROSSER_AHEAD_M[1], 1.0)
    stations = stations[stations < scene.route.length_m]
    if not len(stations):
        return False
    gaps = np.linalg.norm(near.poses[:, None, :2] - scene.route.sample(stations), axis=-1)
    beside = gaps.min(1) < CROSSER_BESIDE_M
    heading = scene.route.headings[stations[gaps.argmin(1)].astype(int)]
    speed = np.linalg.norm(near.velocities, axis=1)
    across = near.velocities[:, 1] * np.cos(heading) - near.velocities[:, 0] * np.sin(heading)
    walks = near.kinds == ObjectClass.PEDESTRIAN
    crosses = (speed > 1.0) & (np.abs(across) > np.sin(CROSSER_RAD) * speed)
    return bool((beside & (walks | crosses)).any())


def somebody_cuts_in(simulator: Simulator, frame: SceneFrame) -> bool:
    """Whether the actor of a staged cut-in is beside the lane, on its way in."""
    scenario = simulator.scenario
    if scenario is None or scenario.name not in STAGED["cut_in"] or scenario.status != "running":
        return False
    actors = frame.objects[np.isin(frame.objects.ids, list(scenario.actor_ids().values()))]
    ahead, beside = to_ego(actors.poses[:, :2], frame.ego.pose).T
    low, high = INTRUDER_BESIDE_M
    there = (INTRUDER_AHEAD_M[0] < ahead) & (ahead < INTRUDER_AHEAD_M[1])
    return bool((there & (low < np.abs(beside)) & (np.abs(beside) < high)).any())


def green(scene: Scene, frame: SceneFrame, station: float) -> int | None:
    """Id of the green light that the ego comes to next, None without one."""
    front = station + frame.ego.length / 2
    for light in scene.route_lights:
        if front < light.stop_s < front + CLOSE_M:
            is_green = frame.light_states.get(light.id) == LightState.GREEN
            return light.id if is_green else None
    return None
