"""The criteria of success, each on a straight road, checked by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from wm_perception.frame import EgoState, LightBox, LightState, SceneFrame
from wm_perception.route import Route
from wm_perception.scene import Scene
from wm_sim.scenarios.actor_spec import ActorSpec
from wm_sim.scenarios.actors import Moment, Mover
from wm_sim.scenarios.judge import Judge, clearance
from wm_sim.scenarios.sites import Site
from wm_sim.scenarios.spec import Success
from wm_sim.scenarios.tracks import Track

ANCHOR_M, LIGHT = 50.0, 7
SITE = Site(ANCHOR_M)


def straight() -> Scene:
    route = Route(np.array([[0.0, 0.0], [200.0, 0.0]]))
    return Scene(SimpleNamespace(), route, (LightBox(LIGHT, (88.0, 0.0), 0.0, 4.0, 3.0),))


def other(x: float, lateral: float = 0.0) -> dict[str, Mover]:
    spec = ActorSpec.model_validate(
        {"name": "car", "blueprint": "vehicle.audi.a2", "path": {"kind": "route"}}
    )
    track = Track(straight(), x, meeting_m=70.0, route_meeting_m=70.0, offset_m=lateral,
                  route_sign=1)  # fmt: skip
    return {"car": Mover(spec, track, 4.0, 2.0)}


def judge(success: dict, moments, movers=None) -> tuple[str, str]:
    """What the judge says about (ego x, speed) one after another, half a second apart."""
    judged = Judge(Success.model_validate(success), SITE, straight())
    verdict = ("running", "")
    for number, (x, speed, *rest) in enumerate(moments):
        about = {"collided": False, "light": LightState.GREEN, "triggered": True, "y": 0.0}
        about |= rest[0] if rest else {}
        ego = EgoState(x, about["y"], 0.0, speed, length=4.0, width=2.0)
        lights = {LIGHT: about["light"]}
        frame = SceneFrame(number * 500_000_000, ego, light_states=lights,
                           collided=about["collided"])  # fmt: skip
        verdict = judged.verdict(Moment(frame, x, about["y"], about["triggered"], 0.5),
                                 movers or {})  # fmt: skip
        if verdict[0] != "running":
            break
    return verdict


def test_passing_is_enough_when_nothing_else_is_asked():
    ride = [(x, 8.0) for x in range(40, 76, 4)]
    assert judge({"passed_m": 20}, ride) == ("success", "mastered")
    assert judge({"passed_m": 20}, ride[:3]) == ("running", "")


def test_a_collision_counts_before_the_trigger_too():
    hit = {"collided": True, "triggered": False}
    assert judge({"passed_m": 20}, [(30, 8.0, hit)]) == ("failure", "collision")


def test_who_passes_without_the_trigger_has_not_mastered_it():
    ride = [(x, 2.0, {"triggered": False}) for x in range(40, 90, 4)]
    assert judge({"passed_m": 20}, ride) == ("failure", "passed without it")


def test_red_lights_count_from_the_trigger_on():
    red = {"light": LightState.RED}
    ride = [(x, 8.0, red) for x in range(80, 100, 4)]
    assert judge({"passed_m": 60}, ride) == ("failure", "ran a red light")
    early = [(x, 8.0, red | {"triggered": False}) for x in range(80, 100, 4)]
    assert judge({"passed_m": 60}, early)[0] == "running"


def test_others_go_first():
    success = {"passed_m": 30, "after": ["car"]}
    ride = [(x, 4.0) for x in range(60, 84, 2)]
    said = judge(success, ride, other(60.0))
    assert said == ("failure", "did not let car go first")
    assert judge(success, ride, other(75.0)) == ("success", "mastered")


def test_standing_before_the_line():
    success = {"passed_m": 20, "stopped_within_m": 6}
    after = [(x, 4.0) for x in range(50, 76, 2)]
    assert judge(success, [(44.0, 0.0), *after]) == ("success", "mastered")
    said = "did not stop before the line"
    assert judge(success, [(44.0, 0.6), *after]) == ("failure", said)
    assert judge(success, [(35.0, 0.0), *after]) == ("failure", said), "too early"


def test_being_overtaken_in_time_and_place():
    success = {"overtaken_by": "car", "within_s": 5.0}
    slow = [(50.0 + 0.1 * i, 0.2) for i in range(20)]
    assert judge(success, slow, other(60.0)) == ("success", "mastered")
    assert judge(success, slow, other(40.0)) == ("failure", "not done within 5 s")
    fast = [(50.0 + 4.0 * i, 8.0) for i in range(9)]
    said = judge(success | {"before_m": 20}, fast, other(40.0))
    assert said == ("failure", "not done within 20 m")


def test_clearance_is_between_the_bodies():
    ego = EgoState(60.0, 0.0, 0.0, 5.0, length=4.0, width=2.0)
    assert clearance(ego, other(60.0, 2.7)["car"]) == pytest.approx(0.7, abs=0.01)
    assert clearance(ego, other(66.0)["car"]) == pytest.approx(2.0, abs=0.01)
    assert clearance(ego, other(62.0)["car"]) == 0.0
    ride = [(x, 4.0) for x in range(50, 76, 2)]
    said = judge({"passed_m": 20, "clearance_m": 1.0}, ride, other(60.0, 2.7))
    assert said == ("failure", "came closer than 1 m to car")
    assert judge({"passed_m": 20, "clearance_m": 0.5}, ride, other(60.0, 2.7))[0] == "success"


@pytest.mark.parametrize(
    "x, y, speed, status",
    [(60.0, -2.5, 0.0, "success"), (60.0, -2.5, 0.5, "running"), (60.0, -1.5, 0.0, "running"),
     (57.5, -2.5, 0.0, "running")],
)  # fmt: skip
def test_parked_means_inside_and_standing(x, y, speed, status):
    bay = {"along_m": 10, "lateral_m": -2.5, "length_m": 6, "width_m": 2.6}
    assert judge({"parked": bay}, [(x, speed, {"y": y})] * 4)[0] == status
