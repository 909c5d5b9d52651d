"""What a scenario file may say: typed, unknown keys refused, ranges checked.

A scenario is staged at a *site* of the ego's route. Stations (``..._m`` along the route) are
measured from the site's anchor: the beginning of the free stretch of a straight, the line at which
the route enters a junction. A number may be a reference ``$name`` to one of the file's parameters.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from wm_sim.scenarios.actor_spec import (
    ActorSpec,
    ApproachPath,
    Length,
    Metres,
    Seconds,
    Side,
    Speed,
    Strict,
)  # fmt: skip
from wm_sim.weather import weather_preset


class Parameter(Strict):
    """A quantity that the seed draws between ``low`` and ``high``."""

    default: float
    low: float
    high: float
    unit: str
    meaning: str

    @model_validator(mode="after")
    def _ordered(self) -> Parameter:
        if not self.low <= self.default <= self.high:
            raise ValueError(f"low <= default <= high does not hold: {self}")
        return self


class StraightSite(Strict):
    """A stretch of road without a junction.

    Attributes:
        length_m: of the stretch, from the anchor on.
        run_up_m: of free road before the anchor, for the ego to come up to speed.
        beside: there is a lane of the same direction on this side.
        bend_rad: largest change of heading along the stretch.
    """

    kind: Literal["straight"]
    length_m: Length
    run_up_m: Annotated[float, Field(ge=0.0, le=100.0)] = 20.0
    beside: Literal["left", "right"] | None = None
    bend_rad: Annotated[float, Field(gt=0.0, le=1.6)] = 0.6


class BendSite(Strict):
    """A bend without a junction of three arms; the anchor is where it begins.

    Attributes:
        turn: to which side.
        turn_rad: how far the heading changes at least ...
        within_m: ... over this length.
    """

    kind: Literal["bend"]
    turn: Literal["left", "right"]
    turn_rad: Annotated[float, Field(gt=0.2, le=2.0)] = 1.0
    within_m: Length = 25.0


class JunctionSite(Strict):
    """A junction of three arms or more.

    Attributes:
        turn: what the route does there.
        lights: whether traffic lights govern the route there; None takes both.
        stop_sign: whether a stop sign stands on the route there; None takes both.
        approaches: arms from which a lane must cross or join the route.
        ring: the crossing lane runs around a roundabout.
        merge: the lane from the arm must end in the lane that the route takes.
        run_up_m: of road without a junction before the anchor.
    """

    kind: Literal["junction"]
    turn: Literal["left", "right", "straight", "any"] = "any"
    lights: bool | None = None
    stop_sign: bool | None = None
    approaches: tuple[Side, ...] = ()
    ring: bool = False
    merge: bool = False
    run_up_m: Annotated[float, Field(ge=0.0, le=100.0)] = 20.0


AnySite = Annotated[StraightSite | BendSite | JunctionSite, Field(discriminator="kind")]


class Meeting(Strict):
    """The ego and an actor would be at the same place at the same time.

    Attributes:
        actor: that starts when its own way to the meeting point takes as long as the ego's.
        lead_s: starts this much earlier.
        cruise_mps: speed that the ego is expected to take.
    """

    actor: str
    lead_s: Annotated[float, Field(ge=-5.0, le=5.0)] = 0.0
    cruise_mps: Annotated[float, Field(gt=1.0, le=20.0)] = 8.3


class Trigger(Strict):
    """When it happens: as soon as everything that is set here holds.

    Attributes:
        within_m: the ego's centre is at most this far before the anchor (negative: behind it).
        ego_speed_mps: the ego is at least this fast.
        after_s: this long after staging.
        meeting: see :class:`Meeting`.
        green: the ego's next light at the site is green.
    """

    within_m: Metres | None = None
    ego_speed_mps: Speed | None = None
    after_s: Seconds | None = None
    meeting: Meeting | None = None
    green: bool = False

    @model_validator(mode="after")
    def _something(self) -> Trigger:
        if not self.model_fields_set:
            raise ValueError("a trigger needs at least one condition")
        return self


class Bay(Strict):
    """A parking space: centre relative to the anchor, size, heading relative to the route."""

    along_m: Metres
    lateral_m: Metres
    yaw: Annotated[float, Field(ge=-3.2, le=3.2)] = 0.0
    length_m: Length = 6.0
    width_m: Length = 2.6


class Success(Strict):
    """What must come true, everything that is set, without collision and without a red light.

    Attributes:
        passed_m: the ego's centre is this far beyond the anchor.
        after: actors whom the ego must let go first where their ways meet.
        overtaken_by: actor that must have passed the ego.
        stopped_within_m: the ego has stood with its front this close before the anchor.
        clearance_m: the ego never comes closer than this to an actor, body to body.
        parked: the ego's body lies in this bay and stands.
        before_m: all that must be true before the ego's centre is this far beyond the anchor.
        within_s: time from the trigger.
    """

    passed_m: Metres | None = None
    after: tuple[str, ...] = ()
    overtaken_by: str | None = None
    stopped_within_m: Length | None = None
    clearance_m: Annotated[float, Field(ge=0.0, le=5.0)] = 0.0
    parked: Bay | None = None
    before_m: Metres | None = None
    within_s: Annotated[float, Field(gt=0.0, le=300.0)] = 60.0

    @model_validator(mode="after")
    def _an_end(self) -> Success:
        if self.passed_m is None and self.overtaken_by is None and self.parked is None:
            raise ValueError("success needs passed_m, overtaken_by or parked")
        return self


class ScenarioSpec(Strict):
    """A whole scenario file.

    Attributes:
        name: as in the file's name.
        description: one sentence: what happens.
        about: what the driver has to deal with; ``occlusion`` is somebody who is hidden until
            late, ``driving`` a manoeuvre of its own, which a driver without eyes for others need
            not fail.
        stages: town -> routes where the scenario fits.
        route_suite: whose routes they are, see :func:`wm_sim.routes.route_list`.
        site: where on a route it is staged.
        staging_m: actors appear when the ego is this close to the anchor.
        actors, trigger, success: see there.
        weather: preset that replaces a plain day.
        off_route_m: how far from its route the ego may be.
        time_limit_s: for the whole route.
        parameters: name -> range.
    """

    name: Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
    description: Annotated[str, Field(min_length=10)]
    about: Literal["road users", "rules", "occlusion", "driving"] = "road users"
    stages: Annotated[dict[str, tuple[int, ...]], Field(min_length=1)]
    route_suite: Literal["default", "scenarios"] = "default"
    site: AnySite
    staging_m: Annotated[float, Field(gt=0.0, le=200.0)] = 70.0
    actors: tuple[ActorSpec, ...] = ()
    trigger: Trigger
    success: Success
    weather: str = "day"
    off_route_m: Annotated[float, Field(ge=2.0, le=15.0)] = 3.0
    time_limit_s: Annotated[float, Field(gt=0.0, le=600.0)] = 300.0
    parameters: dict[str, Parameter] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> ScenarioSpec:
        names = [actor.name for actor in self.actors]
        if len(set(names)) < len(names):
            raise ValueError("two actors have the same name")
        meeting = self.trigger.meeting
        meant = {*self.success.after, self.success.overtaken_by, meeting and meeting.actor}
        unknown = meant - {*names, None}
        if unknown:
            raise ValueError(f"there is no actor called {', '.join(sorted(map(str, unknown)))}")
        approaches = getattr(self.site, "approaches", ())
        for actor in self.actors:
            if isinstance(actor.path, ApproachPath) and actor.path.arm not in approaches:
                raise ValueError(f"actor {actor.name}: the site asks for no arm {actor.path.arm}")
        weather_preset(self.weather)
        return self
