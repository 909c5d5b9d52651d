"""Rewards of the Gymnasium environment: small terms, and tables that weigh them.

A term is a function of one step and knows no weights; a reward is the weighted sum. Distances are
in metres and speeds in m/s, so a weight reads as "reward per metre" and so on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from pydantic import BaseModel, ConfigDict, field_validator

from wm_dynamics.errors import UserError
from wm_perception.frame import LightState, SceneFrame
from wm_perception.observation import Observation
from wm_perception.scene import Scene, ran_red_light, touches

DESIRED_SPEED_MPS = 4.0  # CarDreamer's
PATH_TOLERANCE_M = 0.5
MAX_LATERAL_M = 3.0
NEAR_AHEAD_M, NEAR_ASIDE_M = 1.5, 0.25
SOLID_LINES = (2, 3, 4, 5, 6)  # carla.LaneMarkingType: solid, and the doubles that have one


@dataclass(frozen=True)
class Step:
    """What a reward may depend on.

    Attributes:
        scene: town, route and lights.
        before, after: the frames between which the action was held.
        seen_before, seen: what was observed of them.
    """

    scene: Scene
    before: SceneFrame
    after: SceneFrame
    seen_before: Observation
    seen: Observation

    @property
    def stations(self) -> tuple[float, float]:
        """Where on the route the step began and ended, m; equal after a jump."""
        end = self.seen.on_route.s
        return (end if self.seen.reset else self.seen_before.on_route.s), end

    @property
    def lateral_m(self) -> float:
        """Distance from the route, m."""
        return abs(self.seen.on_route.lateral)

    @cached_property
    def off_road(self) -> bool:
        """Two or more corners of the body are off the road."""
        return self.scene.town.is_off_road(self.after.ego)

    @cached_property
    def ran_red(self) -> bool:
        """A stop line was crossed on red."""
        return ran_red_light(self.scene, self.before, *self.stations)


def progress(step: Step) -> float:
    """Metres gained along the route."""
    start, end = step.stations
    return end - start


def waypoint(step: Step) -> float:
    """1 when a point of the route was passed; they are 1 m apart."""
    start, end = step.stations
    return float(math.floor(end) > math.floor(start))


def lateral(step: Step) -> float:
    """Distance from the route, at most 3 m."""
    return min(step.lateral_m, MAX_LATERAL_M)


def off_path(step: Step) -> float:
    """Distance from the route beyond half a metre."""
    return max(0.0, step.lateral_m - PATH_TOLERANCE_M)


def in_lane(step: Step) -> float:
    """1 on the route, falling to 0 at a metre's distance."""
    return max(0.0, 1.0 - step.lateral_m)


def speed(step: Step) -> float:
    """Speed as a fraction of the desired speed, at most 1; negative backwards."""
    return min(1.0, step.after.ego.speed_mps / DESIRED_SPEED_MPS)


def speed_along(step: Step) -> float:
    """CarDreamer's: vd - |v along the route - vd| - 2 min(v across it, 0.5)."""
    error = step.seen.on_route.heading_error
    along = step.after.ego.speed_mps * math.cos(error)
    # Across counts towards or away from the route, and not at all on it.
    across = abs(step.after.ego.speed_mps * math.sin(error)) if step.lateral_m > 0.05 else 0.0
    return DESIRED_SPEED_MPS - abs(along - DESIRED_SPEED_MPS) - 2.0 * min(across, 0.5)


def collision(step: Step) -> float:
    """1 in a frame with a contact."""
    return float(step.after.collided)


def collision_speed(step: Step) -> float:
    """Speed before the contact, in a frame with a contact."""
    return abs(step.before.ego.speed_mps) if step.after.collided else 0.0


def proximity(step: Step) -> float:
    """1 while somebody is within 1.5 m ahead or a quarter of a metre beside."""
    near = touches(step.after.ego, step.after.objects, NEAR_AHEAD_M, NEAR_ASIDE_M)
    return float(near and not step.after.collided)


def off_road(step: Step) -> float:
    """1 while two or more corners of the body are off the road."""
    return float(step.off_road)


def left_road(step: Step) -> float:
    """1 in the frame in which the body leaves the road, onto a pavement for instance."""
    return float(step.off_road and not step.scene.town.is_off_road(step.before.ego))


def red_light(step: Step) -> float:
    """1 when a stop line was crossed on red."""
    return float(step.ran_red)


def light_obeyed(step: Step) -> float:
    """1 when a stop line was crossed and not on red."""
    front = step.before.ego.length / 2
    start, end = step.stations
    states = step.before.light_states
    return float(
        any(
            start + front <= light.stop_s < end + front
            and states.get(light.id) not in (LightState.RED, None)
            for light in step.scene.route_lights
        )
    )


def solid_line(step: Step) -> float:
    """Solid lines crossed."""
    return float(sum(marking in SOLID_LINES for marking in step.after.crossed_markings))


def arrived(step: Step) -> float:
    """1 in the frame in which the end of the route is reached."""
    return float(step.seen.arrived and not step.seen_before.arrived)


def time(step: Step) -> float:
    """1 in every frame."""
    return 1.0


TERMS: dict[str, Callable[[Step], float]] = {
    term.__name__: term
    for term in (
        progress, waypoint, lateral, off_path, in_lane, speed, speed_along, collision,
        collision_speed, proximity, off_road, left_road, red_light, light_obeyed, solid_line,
        arrived, time,
    )
}  # fmt: skip

_SAFETY, _PERFORMANCE, _COMPLIANCE = 0.40, 0.30, 0.15  # shares of the curriculum's reward


class RewardConfig(BaseModel):
    """Weights of the terms; terms that are not named do not count.

    Attributes:
        weights: term -> weight; what is unwanted has a negative one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: dict[str, float]

    @field_validator("weights")
    @classmethod
    def _known_and_finite(cls, weights: dict[str, float]) -> dict[str, float]:
        for name, weight in weights.items():
            if name not in TERMS:
                raise ValueError(f"unknown term '{name}'; known terms: {', '.join(TERMS)}")
            if not math.isfinite(weight):
                raise ValueError(f"the weight of '{name}' must be finite, not {weight}")
        return weights

    def evaluate(self, step: Step) -> dict[str, float]:
        """Each weighted term; their sum is the reward."""
        return {name: weight * TERMS[name](step) + 0.0 for name, weight in self.weights.items()}


PRESETS: dict[str, RewardConfig] = {
    # What the world model's reward head learns.
    "default": RewardConfig(
        weights={
            "progress": 1.0,
            "collision": -20.0,
            "off_road": -0.5,
            "red_light": -10.0,
            "lateral": -0.05,
        }
    ),
    # CarDreamer's base reward (car_dreamer/carla_wpt_env.py and its task defaults, August 2025).
    "cardreamer": RewardConfig(
        weights={
            "waypoint": 2.0,
            "speed_along": 0.5,
            "collision_speed": -30.0,
            "off_path": -3.0,
            "arrived": 20.0,
        }
    ),
    # Safety 40 %, performance 30 %, compliance 15 % of the values a curriculum was asked for with.
    "curriculum": RewardConfig(
        weights={
            "collision": _SAFETY * -1000.0,
            "left_road": _SAFETY * -800.0,
            "proximity": _SAFETY * -15.0,
            "arrived": _PERFORMANCE * 300.0,
            "progress": _PERFORMANCE,
            "speed": _PERFORMANCE,
            "light_obeyed": _COMPLIANCE * 15.0,
            "red_light": _COMPLIANCE * -15.0,
            "solid_line": _COMPLIANCE * -15.0,
            "in_lane": _COMPLIANCE,
        }
    ),
}


def reward_config(reward: str | Mapping[str, float]) -> RewardConfig:
    """A preset by name, or a table of weights.

    Raises:
        UserError: unknown preset or term, or a weight that is not finite.
    """
    if isinstance(reward, str):
        if reward not in PRESETS:
            raise UserError(f"unknown reward '{reward}'; known: {', '.join(PRESETS)}")
        return PRESETS[reward]
    try:
        return RewardConfig(weights=dict(reward))
    except ValueError as error:  # pydantic's ValidationError is one
        raise UserError(f"reward: {error}") from None
