"""What a scenario file may say about an actor: its path and the steps that it goes through.

Stations (``..._m`` along the route) are measured from the site's anchor. Lateral offsets are
left-positive, seen in the actor's own direction of travel.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Metres = Annotated[float, Field(ge=-150.0, le=150.0)]
Length = Annotated[float, Field(gt=0.0, le=200.0)]
Seconds = Annotated[float, Field(ge=0.0, le=120.0)]
Speed = Annotated[float, Field(ge=0.0, le=20.0)]
Accel = Annotated[float, Field(gt=0.0, le=8.0)]
Side = Literal["left", "right", "oncoming"]


class Strict(BaseModel):
    """A model that refuses what it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class RoutePath(Strict):
    """Along the ego's route, in its lane or in the oncoming one.

    Attributes:
        along_m: where the actor starts, from the anchor.
        ahead_of_ego_m: where the actor starts, from the ego when the scenario is staged; replaces
            ``along_m``.
        lateral_m: start this far left of the lane's centre.
        oncoming: against the route, in the lane on its left.
        yaw: turned left by this angle, rad.
    """

    kind: Literal["route"]
    along_m: Metres = 0.0
    ahead_of_ego_m: Metres | None = None
    lateral_m: Metres = 0.0
    oncoming: bool = False
    yaw: Annotated[float, Field(ge=-3.2, le=3.2)] = 0.0


class AcrossPath(Strict):
    """Straight across the route, from one lateral offset to another (left of the route)."""

    kind: Literal["across"]
    along_m: Metres
    from_lateral_m: Metres
    to_lateral_m: Metres

    @model_validator(mode="after")
    def _somewhere(self) -> AcrossPath:
        if abs(self.to_lateral_m - self.from_lateral_m) < 1.0:
            raise ValueError("a path across the road must be at least 1 m long")
        return self


class LanePath(Strict):
    """Along the lane beside the route's own, in the same direction.

    Attributes:
        side: which neighbour, at the anchor.
        along_m: where the actor starts, from the anchor.
    """

    kind: Literal["lane"]
    side: Literal["left", "right"]
    along_m: Metres


class ApproachPath(Strict):
    """Through the junction of the site on a lane that crosses or joins the route.

    Attributes:
        arm: where the lane comes from, seen from the route's own approach.
        before_m: the actor starts this far before the point where it meets the route.
    """

    kind: Literal["approach"]
    arm: Side
    before_m: Length


class Step(Strict):
    """One thing an actor does; the first condition that is set ends it.

    Without a condition a step goes on to the end of the actor's path.

    Attributes:
        until: the trigger has fired, or the ego has given way (slow, or at its right edge).
        for_s: this time has passed.
        until_ahead_m: the actor is this far ahead of the ego, centre to centre along the route.
        lateral_m: lateral offset to move to ...
        over_s: ... within this time, along a smooth curve.
    """

    until: Literal["trigger", "yielded"] | None = None
    for_s: Seconds | None = None
    until_ahead_m: Metres | None = None
    lateral_m: Metres | None = None
    over_s: Annotated[float, Field(ge=0.2, le=20.0)] = 2.0


class Wait(Step):
    """Stand still."""

    do: Literal["wait"]


class Drive(Step):
    """Go along the path at a speed.

    Attributes:
        speed_mps: to reach.
        accel_mps2: to reach it with, both ways.
        keeps_gap: slows down for whoever is ahead, the ego included; without it, it only does not
            run into what stands right before it.
        heeds_lights: stops at red and yellow lights of the route.
    """

    do: Literal["drive"]
    speed_mps: Speed
    accel_mps2: Accel = 3.0
    keeps_gap: bool = True
    heeds_lights: bool = True


class Pace(Step):
    """Hold a distance to the ego along the route.

    Attributes:
        ahead_m: from the ego's centre to the actor's; negative behind it.
        max_speed_mps: never faster than this.
    """

    do: Literal["pace"]
    ahead_m: Metres
    max_speed_mps: Speed = 12.0


class Brake(Step):
    """Brake to a speed; ends when it is reached."""

    do: Literal["brake"]
    decel_mps2: Accel
    to_mps: Speed = 0.0


AnyStep = Annotated[Wait | Drive | Pace | Brake, Field(discriminator="do")]
AnyPath = Annotated[RoutePath | LanePath | AcrossPath | ApproachPath, Field(discriminator="kind")]


class ActorSpec(Strict):
    """A road user or an obstacle of the scenario; without steps it stands."""

    name: Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
    blueprint: str
    path: AnyPath
    steps: tuple[AnyStep, ...] = ()
    attributes: dict[str, str] = Field(default_factory=dict)
