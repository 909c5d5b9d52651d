"""Everybody around the ego: traffic, people, parked cars, spawned actors, and what stands there.

Spawned actors are shown to the traffic as long as they are on the road: vehicles as they are,
walkers as a small vehicle in their lane, so that cars brake for them.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.frame import Contact, EgoState, LightBox, LightState, ObjectClass, Objects
from wm_perception.scene import touches
from wm_perception.town_map import TownMap
from wm_sim.actors import Actor, Spawned, SpawnedActors, as_objects, check_finite
from wm_sim.blueprints import TRAFFIC_LIGHT, Blueprint, find
from wm_sim.impact import Body, collide
from wm_sim.obstacles import Obstacles
from wm_sim.parked import kerb_sites, park
from wm_sim.pavement import Pavement
from wm_sim.pedestrians import FIRST_ID as FIRST_WALKER_ID
from wm_sim.pedestrians import WALKER
from wm_sim.scenery import Scenery
from wm_sim.signs import sign_posts
from wm_sim.traffic import Traffic
from wm_sim.traffic_network import Network
from wm_sim.traffic_types import define, spawned_type
from wm_sim.vehicle import Vehicle
from wm_sim.world import World

STANDING_MPS = 0.3  # slower, people take the ego for a standing car
PARKED_ROLE = "parked"
_PARKING_STREAM = 4


class Place:
    """What does not move, for one of the town's networks.

    Args:
        scenery: what stands beside the roads, the lights of the network included.
        network: streets, loaded by now; None before the first episode.

    Attributes:
        obstacles: the part of the scenery that stops a car.
    """

    def __init__(self, scenery: Scenery, network: Network | None) -> None:
        self.scenery, self._network = scenery, network
        self.obstacles = Obstacles(scenery)

    @cached_property
    def kerbs(self) -> np.ndarray:
        """Where cars can park, see :func:`wm_sim.parked.kerb_sites`."""
        return np.zeros((0, 3)) if self._network is None else kerb_sites(self._network)


class Population:
    """Everybody but the ego.

    Args:
        town: the map.
        traffic: SUMO's part of it; started by :meth:`start`.
    """

    def __init__(self, town: TownMap, traffic: Traffic) -> None:
        self._town, self._traffic = town, traffic
        self._place = Place(Scenery(town, signs=sign_posts(town)), None)
        self._places: dict[Network, Place] = {}
        self._clear()

    def _clear(self) -> None:
        self._spawned = SpawnedActors()
        self._parked = self._walkers = Objects()
        self._pavement: Pavement | None = None  # when somebody walks there in this episode
        self._defined: set[str] = set()

    def start(self, seed: int, cars: int, world: World, ego: EgoState) -> None:
        """Begin an episode around an ego that is at its start.

        Raises:
            UserError: the town lacks what ``world`` asks for.
        """
        self._traffic.start(seed, cars, world)
        self._clear()
        network = self._traffic.network
        if network not in self._places:
            scenery = self.scenery.with_lights(network.boxes)
            self._places[network] = Place(scenery, network)
        self._place = self._places[network]
        self._traffic.insert_ego(ego)
        if world.parked:
            self._park(world.parked, np.random.default_rng([seed, cars, _PARKING_STREAM]))
        if world.pedestrians:
            self._pavement = self._made_pavement
            self._pavement.clear()
        self._step(ego, 0.0)

    @cached_property
    def _made_pavement(self) -> Pavement:
        return Pavement(self._town)

    def _step(self, ego: EgoState, dt: float) -> None:
        self._traffic.step()
        if self._pavement is not None:
            people, crossing = self._traffic.pedestrians.objects()
            standing = _as_object(ego) if abs(ego.speed_mps) < STANDING_MPS else Objects()
            self._walkers = self._pavement.show(people, crossing, self._parked, standing, dt)

    def _park(self, count: int, rng: np.random.Generator) -> None:
        for blueprint, x, y, yaw in park(self._place.kerbs, count, rng, self._place.obstacles):
            self._spawned.add(blueprint, x, y, yaw, PARKED_ROLE)
        self._parked = as_objects(self._spawned)

    def advance(self, ego: EgoState, dt: float) -> None:
        """Bring everybody to the next frame, in which the ego is as given."""
        self._spawned.advance(dt)
        for actor in self._spawned:
            if not (actor.blueprint.is_prop or actor.role == PARKED_ROLE):
                self._show(actor)
        self._traffic.move_ego(ego)
        self._step(ego, dt)

    def _show(self, actor: Spawned) -> None:
        """Let the traffic see an actor that is on the road."""
        name, puppets = _puppet(actor.id), self._traffic.puppets
        if not self._town.drivable(np.array([[actor.x, actor.y]]))[0]:
            puppets.remove(name)
            return
        if name not in puppets:
            kind = spawned_type(actor.blueprint)
            if kind.name not in self._defined:
                self._defined.add(kind.name)
                define(kind)
            puppets.add(name, kind.name, actor.x, actor.y)
        yaw = None if actor.blueprint.is_walker else actor.yaw
        puppets.move(name, actor.x, actor.y, yaw, actor.blueprint.length)

    def objects(self) -> Objects:
        """Vehicles and walkers now."""
        users = self._traffic.objects()
        for more in (self._walkers, self._spawned.objects()):
            users = users + more if len(more) else users
        return users

    @property
    def scenery(self) -> Scenery:
        """What stands beside the roads."""
        return self._place.scenery

    @property
    def light_boxes(self) -> tuple[LightBox, ...]:
        """Trigger volumes of the traffic lights."""
        return self._traffic.boxes

    def light_states(self) -> dict[int, LightState]:
        """State of every light."""
        return self._traffic.light_states()

    def close(self) -> None:
        """Release SUMO."""
        self._traffic.close()

    def props(self) -> Objects:
        """Static obstacles that somebody put into the world."""
        return self._spawned.props()

    @property
    def sirens(self) -> frozenset[int]:
        """Ids of those whose blue lights flash."""
        return frozenset(actor.id for actor in self._spawned if actor.siren)

    # What others put in.

    def spawn(
        self,
        name: str,
        x: float,
        y: float,
        yaw: float,
        role: str,
        ego: EgoState,
        siren: bool = False,
    ) -> int:
        """Put an actor of a blueprint into the world; returns its id.

        Raises:
            UserError: unknown blueprint, not a number, outside the town, or the place is taken.
        """
        blueprint = find(name)
        self.check_inside(x, y, yaw)
        body = EgoState(x, y, yaw, 0.0, length=blueprint.length, width=blueprint.width)
        there = self.objects() + self.props() + self._place.obstacles.near(body) + _as_object(ego)
        if touches(body, there):
            raise UserError(f"there is no room for {name} at ({x:.1f}, {y:.1f}): it is occupied")
        return self._spawned.add(blueprint, x, y, yaw, role, siren)

    def check_inside(self, x: float, y: float, yaw: float) -> None:
        """Refuse a pose that is not in the town.

        Raises:
            UserError: a value is not a number, or the point is off the map.
        """
        check_finite(x=x, y=y, yaw=yaw)
        height, width = self._town.road.shape
        column, row = self._town.to_pixels(np.array([x, y])).tolist()
        if not (0 <= column < width and 0 <= row < height):
            raise UserError(f"({x:g}, {y:g}) is outside the town")

    def destroy(self, actor_id: int) -> bool:
        """Take an actor that was put in out of the world; False when there is none."""
        gone = self._spawned.remove(actor_id)
        if gone is None:
            return False
        self._traffic.puppets.remove(_puppet(actor_id))
        if gone.role == PARKED_ROLE:
            self._parked = as_objects(a for a in self._spawned if a.role == PARKED_ROLE)
        return True

    def move(self, actor_id: int, x: float, y: float, yaw: float, speed_mps: float) -> None:
        """See :meth:`wm_sim.actors.SpawnedActors.move`."""
        self._spawned.move(actor_id, x, y, yaw, speed_mps)

    def walk(self, actor_id: int, direction: float, speed_mps: float) -> None:
        """See :meth:`wm_sim.actors.SpawnedActors.walk`."""
        self._spawned.walk(actor_id, direction, speed_mps)

    def actors(self, objects: Objects) -> list[Actor]:
        """Everybody in ``objects`` and what was put in, and the traffic lights."""
        lights = [Actor(box.id, TRAFFIC_LIGHT) for box in self._traffic.boxes]
        users = [Actor(i, self._blueprint(i).name, "autopilot") for i in self._foreign(objects)]
        return lights + users + [Actor(a.id, a.blueprint.name, a.role) for a in self._spawned]

    def _foreign(self, objects: Objects) -> list[int]:
        """Ids of those that SUMO drives."""
        return [int(i) for i in objects.ids if int(i) not in self._spawned]

    def _blueprint(self, actor_id: int) -> Blueprint:
        if actor_id in self._spawned:
            return self._spawned.get(actor_id).blueprint
        if actor_id >= FIRST_WALKER_ID:
            return WALKER
        return self._traffic.kind(actor_id).body

    # Impacts.

    def meet(self, vehicle: Vehicle, objects: Objects, dt: float) -> Contact | None:
        """Let the ego collide with everything it touches.

        Returns:
            The contact with the strongest impulse, or None when it touches nothing.
        """
        ego = vehicle.ego()
        there = self._place.obstacles.near(ego)
        if len(self.props()):
            there = there + self.props()
        contact: Contact | None = None
        for group in (objects, there):
            if not len(group) or not touches(ego, group):
                continue
            for row in np.flatnonzero(np.hypot(*(group.poses[:, :2] - (ego.x, ego.y)).T) < 12.0):
                other = group[[row]]
                if touches(ego, other):
                    found = self._hit(vehicle, other, dt)
                    if contact is None or math.hypot(*found.impulse) > math.hypot(*contact.impulse):
                        contact = found
        return contact

    def _hit(self, vehicle: Vehicle, other: Objects, dt: float) -> Contact:
        """Exchange an impulse with one body and tell SUMO."""
        actor_id, yaw = int(other.ids[0]), float(other.poses[0, 2])
        body = Body(other.poses[0], other.sizes[0], other.velocities[0], self._mass(actor_id))
        impact = collide(vehicle, body, dt)
        if actor_id and actor_id not in self._spawned and impact.impulse.any():
            along = impact.other_velocity @ (math.cos(yaw), math.sin(yaw))
            self._traffic.crash(actor_id, float(along))
        ix, iy = impact.impulse.tolist()
        return Contact(actor_id, ObjectClass(int(other.kinds[0])), (ix, iy))

    def _mass(self, actor_id: int) -> float:
        """Parked cars have their brakes on: they stand like a wall."""
        if not actor_id:
            return math.inf
        if actor_id in self._spawned and self._spawned.get(actor_id).role == PARKED_ROLE:
            return math.inf
        return self._blueprint(actor_id).mass_kg


def _puppet(actor_id: int) -> str:
    return f"s{actor_id}"


def _as_object(ego: EgoState) -> Objects:
    """The ego as something that is in the way."""
    return Objects(
        np.zeros(1, np.int64), ego.pose[None], np.zeros((1, 2)), np.array([[ego.length, ego.width]])
    )
