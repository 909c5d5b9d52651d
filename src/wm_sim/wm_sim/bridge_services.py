"""The services of carla-ros-bridge and of carla_waypoint_publisher.

Whatever cannot be done is answered with a reason and changes nothing. Unlike the real bridge's,
``get_blueprints`` works.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import carla
import numpy as np
from carla_waypoint_types.msg import CarlaWaypoint
from geometry_msgs.msg import Pose

from wm_dynamics.errors import UserError
from wm_perception.conventions import carla_to_ros_pose, euler_from_quaternion
from wm_perception.sensor_topics import PSEUDO_TOPICS, SENSOR_TOPICS
from wm_sim.blueprints import BLUEPRINTS
from wm_sim.bridge_complaints import Complaints
from wm_sim.bridge_inputs import FARTHEST_M, ground_pose
from wm_sim.bridge_loop import BridgeLoop
from wm_sim.bridge_messages import pose
from wm_sim.bridge_pseudo import PseudoSensors
from wm_sim.bridge_sensors import Sensors, sensor_spec
from wm_sim.bridge_source import BridgeSource
from wm_sim.bridge_walkers import Walkers
from wm_sim.rig import PseudoSensor

RANDOM_PLACES = 30
FAILED_ID = -1


class Services:
    """Handlers of the bridge's services.

    Args:
        source: the simulator.
        loop: knows whether an episode runs.
        sensors: what rides on the ego.
        pseudo: the pseudo sensors.
        walkers: listens for the commands of spawned walkers.
        role: role name of the ego.
        complain: says what was refused without an answer that can say it.
        seed: of random choices that a client leaves to the bridge.
    """

    def __init__(
        self,
        source: BridgeSource,
        loop: BridgeLoop,
        sensors: Sensors,
        pseudo: PseudoSensors,
        walkers: Walkers,
        role: str,
        complain: Complaints,
        seed: int,
    ):
        self._source, self._loop = source, loop
        self._sensors, self._pseudo, self._walkers = sensors, pseudo, walkers
        self._role, self._complain = role, complain
        self._rng = np.random.default_rng([seed, 0x5E1EC7])

    def handlers(self) -> dict[str, Callable[[Any, Any], Any]]:
        """Service key -> what answers it."""
        return {
            "spawn_object": self._spawn_object,
            "destroy_object": self._destroy_object,
            "get_blueprints": self._get_blueprints,
            "get_waypoint": self._get_waypoint,
            "get_actor_waypoint": self._get_actor_waypoint,
        }

    # Objects.

    def _spawn_object(self, request, response):
        try:
            response.id = self._spawn(request)
        except UserError as error:
            response.id, response.error_string = FAILED_ID, str(error)
        return response

    def _spawn(self, request) -> int:
        kind = request.type
        if kind in PSEUDO_TOPICS:
            self._check_parent(request.attach_to, world_too=True)
            parent = self._role if request.attach_to else ""
            return self._pseudo.offer(PseudoSensor(request.id, kind, parent))
        if kind.startswith("sensor."):
            self._check_parent(request.attach_to, world_too=False)
            attributes = {item.key: item.value for item in request.attributes}
            place = _pose_on_ego(request.transform)
            return self._sensors.spawn(sensor_spec(kind, request.id, place, attributes))
        if not self._loop.started:
            raise UserError("no episode has been started yet: there is no world to spawn in")
        return self._spawn_actor(request)

    def _check_parent(self, parent: int, world_too: bool) -> None:
        ego_id = self._source.ego_id
        if parent != ego_id and not (world_too and parent == 0):
            raise UserError(f"sensors ride on the ego here: attach_to must be {ego_id}")

    def _spawn_actor(self, request) -> int:
        kind = request.type
        if request.attach_to:
            raise UserError("only sensors can be attached to an actor; leave attach_to at 0")
        if request.id == self._role and kind.startswith("vehicle."):
            raise UserError(
                f"the ego '{self._role}' is there already, as actor {self._source.ego_id}: "
                "attach sensors to it"
            )
        if "*" in kind:
            names = sorted(name for name in BLUEPRINTS if fnmatchcase(name, kind))
            if not names:
                raise UserError(f"no blueprint matches '{kind}'")
            kind = names[self._rng.integers(len(names))]
        identity = self._place(kind, request)
        if kind.startswith("walker.") and request.id:
            try:
                self._walkers.add(identity, request.id)
            except UserError:
                self._source.destroy(identity)
                raise
        return identity

    def _place(self, kind: str, request) -> int:
        """Put an actor where the request says, or anywhere in a lane."""
        attributes = {item.key: item.value for item in request.attributes}
        if not request.random_pose:
            place = ground_pose(request.transform)
            return self._source.spawn(kind, *place, request.id, attributes)
        error = UserError("this town has no driving lane")
        for place in self._random_places():
            try:
                return self._source.spawn(kind, *place, request.id, attributes)
            except UserError as refused:
                error = refused
        raise error

    def _random_places(self) -> list[tuple[float, float, float]]:
        """Some places in the middle of driving lanes, heading as the traffic does."""
        lanes = [s for s in self._source.town.strips if s.kind == "driving" and len(s.left) > 1]
        places = []
        for index in self._rng.integers(len(lanes), size=RANDOM_PLACES if lanes else 0):
            middle = (lanes[index].left + lanes[index].right) / 2
            at = int(self._rng.integers(len(middle) - 1))
            (x, y), (dx, dy) = middle[at].tolist(), (middle[at + 1] - middle[at]).tolist()
            places.append((x, y, math.atan2(dy, dx)))
        return places

    def _destroy_object(self, request, response):
        identity = request.id
        response.success = (
            self._sensors.destroy(identity)
            or self._pseudo.destroy(identity)
            or (self._loop.started and self._source.destroy(identity))
        )
        self._walkers.remove(identity)
        if not response.success:
            self._complain("destroy_object", f"nothing that was spawned has the id {identity}")
        return response

    def _get_blueprints(self, request, response):
        pattern = request.filter or "*"
        names = [n for n in (*BLUEPRINTS, *SENSOR_TOPICS) if fnmatchcase(n, pattern)]
        response.blueprints = sorted({*names, *PSEUDO_TOPICS})
        return response

    # Waypoints.

    def _get_waypoint(self, request, response):
        place = request.location
        response.waypoint = self._waypoint("get_waypoint", place.x, place.y)
        return response

    def _get_actor_waypoint(self, request, response):
        place = self._place_of(request.id) if self._loop.started else None
        if place is None:
            self._complain("get_actor_waypoint", f"there is no actor {request.id}")
        else:
            response.waypoint = self._waypoint("get_actor_waypoint", *place)
        return response

    def _place_of(self, identity: int) -> tuple[float, float] | None:
        frame = self._source.frame()
        if identity == self._source.ego_id:
            return frame.ego.x, frame.ego.y
        for group in (frame.objects, frame.props):
            rows = np.flatnonzero(group.ids == identity)
            if len(rows):
                x, y = group.poses[rows[0], :2].tolist()
                return x, y
        scene = self._source.scene
        lights = scene.lights if scene is not None else ()
        return next((light.center for light in lights if light.id == identity), None)

    def _waypoint(self, kind: str, x: float, y: float) -> CarlaWaypoint:
        """The nearest waypoint; an empty one when the place is none."""
        if not (abs(x) <= FARTHEST_M and abs(y) <= FARTHEST_M):  # a NaN fails too
            self._complain(kind, f"({x:g}, {y:g}) is not a place on the map")
            return CarlaWaypoint()
        found = self._source.town.carla_map.get_waypoint(carla.Location(x, -y, 0.0))
        if found is None:
            self._complain(kind, f"there is no lane near ({x:g}, {y:g})")
            return CarlaWaypoint()
        transform = found.transform
        location = transform.location
        message = CarlaWaypoint(
            road_id=found.road_id,
            section_id=found.section_id,
            lane_id=found.lane_id,
            is_junction=found.is_junction,
            pose=pose(*carla_to_ros_pose(location.x, location.y, transform.rotation.yaw)),
        )
        message.pose.position.z = location.z
        return message


def _pose_on_ego(place: Pose) -> tuple[float, float, float, float, float, float]:
    """x, y, z, roll, pitch, yaw of a pose in the ego's frame.

    Raises:
        UserError: the orientation is no rotation.
    """
    q = place.orientation
    norm = math.sqrt(q.x * q.x + q.y * q.y + q.z * q.z + q.w * q.w)
    if not 0.9 < norm < 1.1:
        raise UserError(f"orientation is not a unit quaternion (norm {norm:.3g})")
    angles = euler_from_quaternion(q.x / norm, q.y / norm, q.z / norm, q.w / norm)
    return place.position.x, place.position.y, place.position.z, *angles
