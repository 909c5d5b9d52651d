"""Which moments are situations."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from wm_perception.frame import EgoState, LightBox, LightState, ObjectClass, Objects, SceneFrame
from wm_perception.route import Route
from wm_perception.scene import Scene
from wm_training.situations import (
    KINDS,
    STAGED,
    green,
    quota,
    somebody_crosses,
    somebody_cuts_in,
)

TOWN: Any = None  # nothing here looks at the map
ROUTE = Route(np.stack([np.arange(0.0, 101.0), np.zeros(101)], 1))
EGO = EgoState(10.0, 0.0, 0.0, 5.0)


def one(x: float, y: float, vx: float, vy: float, kind: ObjectClass) -> Objects:
    return Objects(
        np.array([7]), np.array([[x, y, 0.0]]), np.array([[vx, vy]]), np.array([[4.0, 1.8]]),
        np.array([kind], np.uint8),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("other", "crosses"),
    [
        (one(25.0, -2.5, 0.0, 0.0, ObjectClass.PEDESTRIAN), True),  # about to step down
        (one(25.0, -4.5, 0.0, 1.2, ObjectClass.PEDESTRIAN), False),  # on the pavement
        (one(60.0, 0.0, 0.0, 1.2, ObjectClass.PEDESTRIAN), False),  # far
        (one(25.0, 1.0, -0.5, 4.0, ObjectClass.BIKE), True),
        (one(25.0, 1.0, 6.0, 0.5, ObjectClass.CAR), False),  # goes along
        (one(5.0, 0.0, 0.0, 4.0, ObjectClass.CAR), False),  # behind
        (Objects(), False),
    ],
)
def test_who_crosses(other, crosses):
    frame = SceneFrame(0, EGO, other)
    assert somebody_crosses(Scene(TOWN, ROUTE), frame, 10.0) is crosses


@pytest.mark.parametrize(
    ("x", "y", "status", "name", "cuts_in"),
    [
        (20.0, 3.4, "running", STAGED["cut_in"][1], True),
        (20.0, -2.7, "running", STAGED["cut_in"][0], True),
        (20.0, 3.4, "waiting", STAGED["cut_in"][1], False),
        (20.0, 0.0, "running", STAGED["cut_in"][1], False),  # is in already
        (50.0, 3.4, "running", STAGED["cut_in"][1], False),
        (20.0, 3.4, "running", STAGED["queue"][0], False),
    ],
)
def test_who_cuts_in(x, y, status, name, cuts_in):
    scenario = SimpleNamespace(name=name, status=status, actor_ids=lambda: {"intruder": 7})
    simulator: Any = SimpleNamespace(scenario=scenario)
    frame = SceneFrame(0, EGO, one(x, y, 5.0, 0.0, ObjectClass.CAR))
    assert somebody_cuts_in(simulator, frame) is cuts_in
    simulator.scenario = None
    assert not somebody_cuts_in(simulator, frame)


def test_the_next_light_when_it_is_green():
    boxes = tuple(LightBox(k, (x, 0.0), 0.0, 8.0, 3.5) for k, x in ((3, 26.0), (4, 36.0)))
    scene = Scene(TOWN, ROUTE, boxes)
    states = {3: LightState.GREEN, 4: LightState.RED}
    assert green(scene, SceneFrame(0, EGO, light_states=states), 10.0) == 3
    assert green(scene, SceneFrame(0, EGO, light_states=states), 32.0) is None
    assert green(scene, SceneFrame(0, EGO, light_states=states), 70.0) is None


def test_quotas_add_up_and_the_most_wanted_comes_first():
    for situations in (1, 2, 7, 250):
        assert sum(quota(situations, []).wanted.values()) == situations
    wanted = quota(20, ["queue"] * 5 + ["light"])
    assert wanted.missing == 14
    assert "queue" not in wanted.open and wanted.open[-1] == "light"
    after = wanted.with_one("crossing")
    assert after.missing == 13 and wanted.missing == 14
    assert sum(KINDS.values()) == pytest.approx(1.0)
