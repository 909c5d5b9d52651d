"""A scenario under way: stages its actors, fires its trigger, moves them and judges the ego.

The simulator owns the world; a scenario only spawns, moves and removes its own actors in it. All it
draws comes from the generator that it is started with: the same seed gives the same scenario.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.frame import LightState
from wm_perception.route import RouteTracker
from wm_perception.scene import Scene
from wm_sim.blueprints import find
from wm_sim.scenarios.actor_spec import AcrossPath, ActorSpec, Pace
from wm_sim.scenarios.actors import Moment, Mover, travel_time
from wm_sim.scenarios.judge import Judge, bay_pose
from wm_sim.scenarios.library import scenario_spec
from wm_sim.scenarios.sites import Site, find_site, light_at
from wm_sim.scenarios.spec import Meeting, ScenarioSpec
from wm_sim.scenarios.tracks import make_track
from wm_sim.weather import weather_preset

if TYPE_CHECKING:
    from wm_sim.simulator import Simulator

EGO_ACCEL_MPS2 = 2.0  # expected of the ego on its way to a meeting
CLEAR_M = 60.0  # actors vanish this far from the ego once all is over
_SHIFTS_M = (0.0, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0)  # tried where a place is occupied


class Scenario:
    """One scenario of the library; :meth:`start` it once an episode, then :meth:`tick` each frame.

    Attributes:
        name: as in the library, or a file.
        spec: with this episode's parameters.
        site: where it is staged, None before the start.
        status: "waiting" until the trigger, then "running", at last "success" or "failure".
        text: why.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.spec: ScenarioSpec = scenario_spec(name)
        self.site: Site | None = None
        self.status, self.text = "waiting", "not begun"
        self._movers: dict[str, Mover] = {}
        self._ids: dict[str, int] = {}

    def start(self, sim: Simulator, rng: np.random.Generator | None) -> None:
        """Find the place on the route that ``sim`` has begun.

        Args:
            sim: the simulator, with the ego at its start.
            rng: draws the parameters; None takes their defaults.

        Raises:
            UserError: the scenario does not fit anywhere on this route.
        """
        assert sim.scene is not None
        self.spec = scenario_spec(self.name, rng)
        self.site = find_site(self.spec.site, sim.scene)
        self.status, self.text = "waiting", f"to be staged at {self.site.anchor_m:.0f} m"
        self._movers, self._ids = {}, {}
        self._tracker = RouteTracker(sim.scene.route)
        self._judge = Judge(self.spec.success, self.site, sim.scene)
        self._triggered = False
        self._staged_s = 0.0
        plain_day = weather_preset("day")
        if sim.weather == plain_day and weather_preset(self.spec.weather) != plain_day:
            sim.set_weather(weather_preset(self.spec.weather))
        self._stage(sim, self._moment(sim))

    def tick(self, sim: Simulator) -> None:
        """Decide and move everything for the next frame."""
        moment = self._moment(sim)
        self._stage(sim, moment)
        if not self._triggered and self._fires(moment):
            self._triggered = True
            self.status, self.text = "running", "triggered"
            moment = self._moment(sim)
        struck = moment.frame.contact.other_id if moment.frame.contact is not None else None
        for name, mover in self._movers.items():
            if self._ids.get(name, -1) == struck:
                mover.strike()
            mover.advance(moment)
        if self.status in ("waiting", "running"):
            status, text = self._judge.verdict(moment, self._movers)
            if status != "running":
                self.status, self.text = status, text
        self._place(sim, moment)

    def bay(self, scene: Scene) -> np.ndarray | None:
        """(3,) pose of the space that the ego has to stand in, map frame; None without one."""
        parked = self.spec.success.parked
        if parked is None or self.site is None:
            return None
        return bay_pose(parked, scene, self.site)

    def actor_ids(self) -> dict[str, int]:
        """Name -> id of the actors that are in the world."""
        return dict(self._ids)

    def _moment(self, sim: Simulator) -> Moment:
        frame = sim.frame()
        seen = self._tracker.update(frame.ego.pose)
        return Moment(frame, seen.s, seen.lateral, self._triggered, sim.frame_dt)

    # ------------------------------------------------------------------ staging

    def _stage(self, sim: Simulator, moment: Moment) -> None:
        """Put actors into the world that are not there yet, once the ego is near."""
        if self.status != "waiting" or self._ahead_m(moment) > self.spec.staging_m:
            return
        self._staged_s += moment.dt
        for spec in self.spec.actors:
            if spec.name in self._ids:
                continue
            for shift in _SHIFTS_M:  # as near as possible to where it is meant to be
                try:
                    self._spawn(sim, spec, moment, shift)
                    self.text = "staged"
                    break
                except UserError as error:  # occupied: there is a next place, and a next frame
                    self.text = f"{spec.name} cannot be staged: {error}"

    def _spawn(self, sim: Simulator, spec: ActorSpec, moment: Moment, shift_m: float) -> None:
        """Put one actor into the world.

        Raises:
            UserError: there is no room for it.
        """
        assert self.site is not None and sim.scene is not None
        blueprint = find(spec.blueprint)
        track = make_track(spec, self.site, sim.scene, moment.ego_m, shift_m)
        mover = Mover(spec, track, blueprint.length, blueprint.width)
        if spec.steps and isinstance(spec.steps[0], Pace):
            mover.speed_mps = max(moment.frame.ego.speed_mps, 0.0)
        actor = sim.spawn(blueprint.name, *mover.pose, self.name, spec.attributes)
        self._movers[spec.name], self._ids[spec.name] = mover, actor

    def _place(self, sim: Simulator, moment: Moment) -> None:
        """Hand the new poses to the simulator; take out who is done."""
        over = self.status in ("success", "failure")
        for name in list(self._ids):
            mover, actor = self._movers[name], self._ids[name]
            x, y, yaw = mover.pose
            far = math.hypot(x - moment.frame.ego.x, y - moment.frame.ego.y) > CLEAR_M
            driven_off = mover.done and not isinstance(mover.spec.path, AcrossPath)
            if driven_off or (over and far):
                sim.destroy(actor)
                del self._ids[name]
            else:
                sim.move(actor, x, y, yaw, mover.speed_mps)

    # ------------------------------------------------------------------ trigger

    def _ahead_m(self, moment: Moment) -> float:
        """From the ego to the anchor, along the route."""
        assert self.site is not None
        return self.site.anchor_m - moment.ego_m

    def _fires(self, moment: Moment) -> bool:
        """Whether everyone is there and every condition of the trigger holds."""
        trigger, ahead = self.spec.trigger, self._ahead_m(moment)
        conditions = (
            self.status == "waiting",
            len(self._movers) == len(self.spec.actors),
            ahead <= self.spec.staging_m,
            trigger.within_m is None or ahead <= trigger.within_m,
            trigger.ego_speed_mps is None or moment.frame.ego.speed_mps >= trigger.ego_speed_mps,
            trigger.after_s is None or self._staged_s >= trigger.after_s,
            not trigger.green or self._green(moment),
        )
        return all(conditions) and (trigger.meeting is None or self._meets(moment, trigger.meeting))

    def _meets(self, moment: Moment, meeting: Meeting) -> bool:
        """Whether the actor, starting now, and the ego would meet."""
        mover = self._movers[meeting.actor]
        if moment.ego_m > mover.track.route_meeting_m:
            return False
        ego_s = travel_time(
            mover.track.route_meeting_m - moment.ego_m,
            max(moment.frame.ego.speed_mps, 0.0),
            meeting.cruise_mps,
            EGO_ACCEL_MPS2,
        )
        return ego_s <= mover.time_to_meeting() + meeting.lead_s

    def _green(self, moment: Moment) -> bool:
        """Whether the light at the site is green."""
        assert self.site is not None
        light = light_at(self._judge.scene, self.site.anchor_m)
        return light is not None and moment.frame.light_states.get(light) == LightState.GREEN
