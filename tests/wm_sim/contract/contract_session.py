"""One drive in which everything in the table happens, in phases that the facts refer to."""

from __future__ import annotations

import math
from typing import Any

from ackermann_msgs.msg import AckermannDrive
from carla_msgs.msg import (
    CarlaControl,
    CarlaEgoVehicleControl,
    CarlaWalkerControl,
    CarlaWeatherParameters,
)
from carla_msgs.srv import DestroyObject, GetBlueprints, SpawnObject
from carla_waypoint_types.srv import GetActorWaypoint, GetWaypoint
from contract_client import Client
from contract_recording import Recording, planar, pose_at
from contract_table import PUBLISHED
from diagnostic_msgs.msg import KeyValue
from geometry_msgs.msg import Pose, PoseStamped, PoseWithCovarianceStamped, Twist, Vector3
from sensor_msgs.msg import Imu, PointCloud2
from std_msgs.msg import Bool
from visualization_msgs.msg import Marker, MarkerArray

from wm_msgs.srv import StartRoute

NAN, ABSURD = float("nan"), 1e30
# Heard only while the phases that need them last: pictures and clouds cost time.
HEAVY = ("rgb_front", "rgb_view", "depth_front", "semantic_segmentation_front", "dvs_front")
HEAVY = (*HEAVY, "lidar", "semantic_lidar")
EVENTS = ("collision", "lane_invasion")
CAR_AHEAD_M, CAR_LEFT_M = 9.0, 3.0
STEER = 0.4


class Session:
    """Plays the phases."""

    def __init__(self, client: Client, role: str):
        self.client, self.role = client, role
        self.record = Recording(client, role)
        self.notes = self.record.notes

    def _topic(self, name: str) -> str:
        return f"/carla/{self.role}/{name}"

    def _ahead(self, forward: float, left: float) -> Pose:
        """A pose seen from the ego, heading as the ego."""
        x, y, yaw = planar(self.client.odometry.pose.pose)
        cos, sin = math.cos(yaw), math.sin(yaw)
        return pose_at(x + forward * cos - left * sin, y + forward * sin + left * cos, yaw)

    def _spawn(self, kind: str, **request: Any):
        request.setdefault("transform", Pose())
        return self.client.call(SpawnObject, "/carla/spawn_object", type=kind, **request)

    def _destroy(self, identity: int) -> bool:
        return self.client.call(DestroyObject, "/carla/destroy_object", id=identity).success

    def play(self) -> Recording:
        """Everything, in order."""
        for row in PUBLISHED:
            self.client.hear(row.topic(self.role), row.message_type(), row.latched)
        self._begin()
        self._stand_beside_a_truck()
        self._manoeuvres()
        self._collide()
        self._commands()
        self._ackermann()
        self._placed()
        self._goal()
        self._run_state()
        self._sensors()
        self._refusals()
        self._lookups()
        return self.record

    def _begin(self) -> None:
        client = self.client
        names = [row.topic(self.role) for row in PUBLISHED]
        client.until(lambda: all(map(client.node.count_publishers, names)))
        client.spin(0.5)
        answer = client.call(StartRoute, "/wm_sim/start_route", route=1, seed=1, traffic=6)
        assert answer.success, answer.message
        client.until(lambda: client.frames)
        self.client.match([name for name in names if name.rsplit("/", 1)[1] not in EVENTS], True)
        self.notes["ego_id"] = client.last(self._topic("vehicle_info")).id
        self.notes["start"] = client.odometry.pose.pose

    def _stand_beside_a_truck(self) -> None:
        answer = self._spawn(
            "vehicle.carlamotors.carlacola",
            id="truck",
            transform=self._ahead(CAR_AHEAD_M, CAR_LEFT_M),
        )
        self.notes["truck"] = answer
        walker = self._spawn("walker.pedestrian.0001", id="anna", transform=self._ahead(-6.0, -3.0))
        self.notes["walker"] = walker
        self.client.send(
            "/carla/anna/walker_control_cmd",
            CarlaWalkerControl(direction=Vector3(x=0.0, y=1.0), speed=1.5),
        )
        self.client.spin(0.2)
        self.client.drive("rest", 3, brake=1.0)
        self._destroy(walker.id)
        self.notes["truck_gone"] = self._destroy(answer.id)
        self.client.drive("alone", 2, brake=1.0)

    def _manoeuvres(self) -> None:
        client = self.client
        client.drive("start", 5, throttle=0.8)
        for name in [n for n in client.heard if n.split("/")[3:4] and n.split("/")[3] in HEAVY]:
            client.forget(name)
        client.drive("straight", 18, throttle=0.6)
        client.drive("left", 8, throttle=0.2, steer=-STEER)
        client.drive("right", 12, throttle=0.2, steer=STEER)
        client.drive("brake", 8, brake=0.8)

    def _collide(self) -> None:
        place = self._ahead(8.0, 0.0)
        answer = self._spawn("vehicle.audi.a2", transform=place)
        self.notes["obstacle"] = answer
        events = self.client.heard[self._topic("collision")]
        self.client.phase = "collide"
        for _ in range(60):
            if events:
                break
            self.client.command(throttle=0.8)
        self.client.drive("collided", 2, brake=1.0)
        self._destroy(answer.id)

    def _commands(self) -> None:
        client, override = self.client, self._topic("vehicle_control_manual_override")
        client.phase = "overridden"
        client.send(override, Bool(data=True), latched=True)
        client.spin(0.3)
        before = client.frames
        ignored = CarlaEgoVehicleControl(throttle=0.9)
        ignored.header.stamp = client.odometry.header.stamp
        client.send(self._topic("vehicle_control_cmd"), ignored)
        client.spin(0.3)
        self.notes["frames_while_overridden"] = client.frames - before
        client.command(self._topic("vehicle_control_cmd_manual"), throttle=0.25)
        client.send(override, Bool(data=False), latched=True)
        client.spin(0.3)
        client.drive("absurd", 1, brake=1.0)
        before = client.frames
        for throttle, steer in ((NAN, 0.0), (0.0, NAN), (ABSURD, 0.0)):
            bad = CarlaEgoVehicleControl(throttle=throttle, steer=steer)
            bad.header.stamp = client.odometry.header.stamp
            client.send(self._topic("vehicle_control_cmd"), bad)
        client.spin(0.3)
        self.notes["frames_after_absurd_commands"] = client.frames - before

    def _ackermann(self) -> None:
        """To the left, which is positive here: angle of the wheels in rad."""
        client = self.client
        client.drive("ackermann", 1, brake=1.0)
        before = client.frames
        client.send(self._topic("ackermann_cmd"), AckermannDrive(steering_angle=0.2, speed=3.0))
        client.until(lambda: client.frames > before)

    def _placed(self) -> None:
        """Teleport, push, initial pose; the drive so far may have ended anywhere."""
        client, start = self.client, self.notes["start"]
        paths = client.heard[self._topic("waypoints")]
        before = len(paths)
        client.drive("placed", 1, brake=1.0)
        client.send(self._topic("control/set_transform"), start)
        client.until(lambda: len(paths) > before)
        client.drive("placed", 1, brake=1.0)
        client.send(self._topic("control/set_target_velocity"), Twist())
        twist = Twist()
        twist.linear.x = 5.0
        client.spin(0.2)
        client.send(self._topic("control/set_target_velocity"), twist)
        client.spin(0.2)
        client.drive("pushed", 1)
        message = PoseWithCovarianceStamped()
        message.pose.pose = self.notes["initial_pose"] = self._ahead(3.0, 0.0)
        message.pose.pose.position.z = 2.0
        client.send("/initialpose", message)
        client.spin(0.2)
        client.drive("initial", 1, brake=1.0)

    def _goal(self) -> None:
        client, paths = self.client, self.client.heard[self._topic("waypoints")]
        goal = PoseStamped()
        goal.header.frame_id = "map"
        goal.pose = self.notes["goal"] = paths[-1][1].poses[70].pose
        client.phase, before = "goal", len(paths)
        client.send(self._topic("goal"), goal)
        client.until(lambda: len(paths) > before)
        self.notes["goal_path"] = paths[-1][1]
        client.phase, before = "autopilot", client.frames
        client.send(self._topic("enable_autopilot"), Bool(data=True))
        client.until(lambda: client.frames > before + 15)
        client.send(self._topic("enable_autopilot"), Bool(data=False))
        client.spin(0.3)

    def _run_state(self) -> None:
        client, status = self.client, self.client.heard["/carla/status"]
        client.drive("run state", 1, brake=1.0)
        client.send("/carla/control", CarlaControl(command=CarlaControl.PAUSE))
        client.until(lambda: not status[-1][1].synchronous_mode_running)
        before = client.frames
        message = CarlaEgoVehicleControl(brake=1.0)
        client.send(self._topic("vehicle_control_cmd"), message)
        client.spin(0.3)
        self.notes["frames_while_paused"] = client.frames - before
        client.send("/carla/control", CarlaControl(command=CarlaControl.STEP_ONCE))
        client.until(lambda: client.frames > before)
        client.spin(0.3)
        self.notes["frames_of_one_step"] = client.frames - before
        self.notes["running_after_one_step"] = status[-1][1].synchronous_mode_running
        client.send("/carla/control", CarlaControl(command=CarlaControl.PLAY))
        client.until(lambda: status[-1][1].synchronous_mode_running)
        client.drive("run state", 2, brake=1.0)

    def _sensors(self) -> None:
        """A slow IMU, half a turn of a lidar, and the same picture by day and by night."""
        client, ego_id = self.client, self.notes["ego_id"]
        slow = [KeyValue(key="sensor_tick", value="0.2")]
        half = {"rotation_frequency": "5", "points_per_second": "32000", "range": "50"}
        values = [KeyValue(key=key, value=value) for key, value in half.items()]
        for kind, name, attributes, message_type in (
            ("sensor.other.imu", "imu_slow", slow, Imu),
            ("sensor.lidar.ray_cast", "lidar_half", values, PointCloud2),
        ):
            answer = self._spawn(kind, id=name, attach_to=ego_id, attributes=attributes)
            self.notes[name] = answer
            client.hear(self._topic(name), message_type)
            client.until(lambda name=name: client.node.count_publishers(self._topic(name)))
        image = next(row for row in PUBLISHED if row.name == "R/rgb_front/image")
        client.hear(image.topic(self.role), image.message_type())
        self.client.match([image.topic(self.role), *map(self._topic, ("imu_slow", "lidar_half"))])
        client.drive("day", 8, brake=1.0)
        night = CarlaWeatherParameters(sun_altitude_angle=-40.0)
        client.send("/carla/weather_control", night)
        client.spin(0.2)
        client.drive("night", 2, brake=1.0)
        gone = [self._destroy(self.notes[name].id) for name in ("imu_slow", "lidar_half")]
        self.notes["sensors_destroyed"] = gone
        client.until(lambda: not client.node.count_publishers(self._topic("imu_slow")))

    def _refusals(self) -> None:
        """Nonsense on every input; a frame follows, so the bridge is alive."""
        client, ego_id = self.client, self.notes["ego_id"]
        broken, here = pose_at(NAN, 0.0, 0.0), self._ahead(0.0, 0.0)
        self.notes["refused"] = {
            "unknown blueprint": self._spawn("vehicle.nobody.knows"),
            "occupied": self._spawn("vehicle.audi.a2", transform=here),
            "not finite": self._spawn("vehicle.audi.a2", transform=broken),
            "far away": self._spawn("vehicle.audi.a2", transform=pose_at(ABSURD, 0.0, 0.0)),
            "no sensor": self._spawn("sensor.camera.instance_segmentation", attach_to=ego_id),
            "no name": self._spawn("sensor.other.imu", id="1 2", attach_to=ego_id),
            "name taken": self._spawn("sensor.other.imu", id="imu", attach_to=ego_id),
            "bad attribute": self._spawn(
                "sensor.lidar.ray_cast",
                id="bad",
                attach_to=ego_id,
                attributes=[KeyValue(key="channels", value="nan")],
            ),
            "no parent": self._spawn("sensor.other.imu", id="loose", attach_to=12345),
            "a second ego": self._spawn("vehicle.audi.a2", id=self.role),
        }
        self.notes["destroyed_nobody"] = self._destroy(77_777)
        client.phase = "nonsense"
        goal, twist, initial = PoseStamped(pose=broken), Twist(), PoseWithCovarianceStamped()
        twist.linear.x, initial.pose.pose = NAN, broken
        marker = Marker(type=Marker.ARROW)
        marker.header.frame_id = "map"
        before = len(client.heard[self._topic("waypoints")])
        client.send(self._topic("goal"), goal)
        client.send(self._topic("control/set_transform"), broken)
        client.send(self._topic("control/set_target_velocity"), twist)
        client.send("/initialpose", initial)
        client.send("/carla/weather_control", CarlaWeatherParameters(cloudiness=NAN))
        client.send("/carla/debug_marker", MarkerArray(markers=[marker, Marker()]))
        client.spin(0.3)
        client.drive("nonsense", 2, brake=1.0)
        self.notes["paths_from_nonsense"] = len(client.heard[self._topic("waypoints")]) - before

    def _lookups(self) -> None:
        client = self.client
        prefix = f"/carla_waypoint_publisher/{self.role}/"
        here = client.odometry.pose.pose.position
        self.notes |= {
            "here": here,
            "waypoint": client.call(GetWaypoint, prefix + "get_waypoint", location=here).waypoint,
            "actor_waypoint": client.call(
                GetActorWaypoint, prefix + "get_actor_waypoint", id=self.notes["ego_id"]
            ).waypoint,
            "no_actor_waypoint": client.call(
                GetActorWaypoint, prefix + "get_actor_waypoint", id=77_777
            ).waypoint,
            "blueprints": client.call(
                GetBlueprints, "/carla/get_blueprints", filter="vehicle.*"
            ).blueprints,
        }
