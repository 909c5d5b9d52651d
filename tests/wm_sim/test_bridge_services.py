"""Services: what is spawned, what is refused and why."""

from __future__ import annotations

import math

import pytest
from bridge_fakes import FakeOutputs, fake
from carla_msgs.msg import CarlaWalkerControl
from carla_msgs.srv import DestroyObject, GetBlueprints, SpawnObject
from carla_waypoint_types.srv import GetActorWaypoint, GetWaypoint
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3

from wm_perception.frame import Command
from wm_sim.bridge_complaints import Complaints
from wm_sim.bridge_config import BridgeConfig
from wm_sim.bridge_loop import BridgeLoop
from wm_sim.bridge_pseudo import PseudoSensors, pseudo_topics
from wm_sim.bridge_publisher import BridgePublisher
from wm_sim.bridge_sensors import Sensors
from wm_sim.bridge_services import Services
from wm_sim.bridge_walkers import Walkers
from wm_sim.rig import PseudoSensor

NAN = float("nan")


class Bench:
    """Services over a simulator; topics that are opened and closed are kept."""

    def __init__(self, source=None, start: bool = True):
        self.source = source or fake.FakeSource()
        self.outputs, self.said = FakeOutputs(), []
        config = BridgeConfig()
        out = BridgePublisher(config, self.source, self.outputs.publish, self.outputs.wanted)
        self.loop = BridgeLoop(self.source, config, out)
        complain = Complaints(self.said.append)
        sensors = Sensors(self.source, self.outputs, config, complain)
        pseudo = PseudoSensors(self.outputs.add, lambda entry: self.outputs.remove(entry.key))
        self.walkers: dict[str, object] = {}
        walkers = Walkers(
            self.source,
            lambda entry, handler: self.walkers.update({entry.name(): handler}),
            lambda entry: self.walkers.pop(entry.name()),
            complain,
        )
        self.clear_walkers = walkers.clear
        services = Services(
            self.source,
            self.loop,
            sensors,
            pseudo,
            walkers,
            "ego_vehicle",
            complain,
            0,
        )
        self.handlers = services.handlers()
        if start:
            self.loop.start_route(0, 0, 0, "default")

    def call(self, key: str, kind, **request):
        return self.handlers[key](kind.Request(**request), kind.Response())

    def spawn(self, kind: str, **request):
        return self.call("spawn_object", SpawnObject, type=kind, **request)


def test_an_actor_is_spawned_where_asked():
    bench = Bench()
    place = Pose(position=Point(x=3.0, y=4.0))
    answer = bench.spawn("vehicle.audi.a2", id="other", transform=place)
    assert (answer.id, answer.error_string) == (200_000, "")
    assert bench.source.calls == [("spawn", "vehicle.audi.a2", 3.0, 4.0, 0.0, "other")]
    assert bench.call("destroy_object", DestroyObject, id=200_000).success


def test_wildcards_pick_one_blueprint():
    bench = Bench()
    assert bench.spawn("vehicle.*").id == 200_000
    assert bench.source.calls[0][1].startswith("vehicle.")


@pytest.mark.parametrize(
    ("kind", "request_", "reason"),
    [
        ("boat.*", {}, "no blueprint matches"),
        ("vehicle.audi.a2", {"attach_to": fake.EGO_ID}, "only sensors can be attached"),
        ("vehicle.audi.a2", {"id": "ego_vehicle"}, "is there already"),
        ("vehicle.audi.a2", {"transform": Pose(position=Point(x=NAN))}, "not a place"),
        ("vehicle.audi.a2", {"transform": Pose(orientation=Quaternion(w=0.0))}, "unit quaternion"),
        ("vehicle.audi.a2", {"random_pose": True}, "no driving lane"),
        ("sensor.other.imu", {"id": "imu"}, "attach_to must be 1000000"),
        ("sensor.other.obstacle", {"id": "a", "attach_to": fake.EGO_ID}, "no sensor of type"),
        ("sensor.pseudo.tf", {"id": "tf", "attach_to": 5}, "attach_to must be 1000000"),
        ("sensor.pseudo.odom", {"id": "a b", "attach_to": fake.EGO_ID}, "letters, digits"),
    ],
)
def test_what_cannot_be_is_refused(kind, request_, reason):
    bench = Bench()
    answer = bench.spawn(kind, **request_)
    assert answer.id == -1
    assert reason in answer.error_string
    assert not bench.source.calls
    assert not bench.outputs.entries


def test_nothing_is_spawned_before_an_episode():
    answer = Bench(start=False).spawn("vehicle.audi.a2")
    assert (answer.id, "no episode" in answer.error_string) == (-1, True)


def test_pseudo_sensors_are_there_once():
    bench = Bench()
    first = bench.spawn("sensor.pseudo.odom", id="odometry", attach_to=fake.EGO_ID)
    again = bench.spawn("sensor.pseudo.odom", id="odometry", attach_to=fake.EGO_ID)
    assert first.id == again.id > 0
    other = bench.spawn("sensor.pseudo.odom", id="odometry2", attach_to=fake.EGO_ID)
    assert other.id == -1
    assert "one is enough" in other.error_string
    assert set(bench.outputs.entries) == {"odometry"}
    assert bench.call("destroy_object", DestroyObject, id=first.id).success
    assert not bench.outputs.entries


def test_ids_of_pseudo_sensors_name_their_topics():
    (odometry,) = pseudo_topics(PseudoSensor("odom", "sensor.pseudo.odom", "hero"))
    assert odometry.name("hero") == "/carla/hero/odom"
    status, info = pseudo_topics(PseudoSensor("lights", "sensor.pseudo.traffic_lights"))
    assert (status.name(), info.name()) == ("/carla/lights/status", "/carla/lights/info")
    (everyone,) = pseudo_topics(PseudoSensor("objects", "sensor.pseudo.objects"))
    (others,) = pseudo_topics(PseudoSensor("objects", "sensor.pseudo.objects", "hero"))
    assert (everyone.name("hero"), others.name("hero")) == ("/carla/objects", "/carla/hero/objects")


def test_destroying_nobody_fails_in_words():
    bench = Bench()
    assert not bench.call("destroy_object", DestroyObject, id=12).success
    assert "id 12" in bench.said[0]


def test_a_walker_with_a_name_takes_commands_until_it_is_gone():
    bench = Bench()
    answer = bench.spawn("walker.pedestrian.0001", id="anna")
    (topic, command), *others = bench.walkers.items()
    assert (topic, others) == ("/carla/anna/walker_control_cmd", [])
    command(CarlaWalkerControl(direction=Vector3(x=0.0, y=1.0), speed=1.5))
    command(CarlaWalkerControl(speed=1.5))
    walks = [call[1:] for call in bench.source.calls if call[0] == "walk"]
    assert walks == [(200_000, pytest.approx(math.pi / 2), 1.5), (200_000, 0.0, 0.0)]
    command(CarlaWalkerControl(direction=Vector3(x=NAN)))
    assert "walker_control_cmd" in bench.said[-1]
    again = bench.spawn("walker.pedestrian.0002", id="anna")
    assert "a walker 'anna' already" in again.error_string
    assert bench.call("destroy_object", DestroyObject, id=answer.id).success
    assert not bench.walkers


def test_walkers_without_a_name_take_none_and_none_outlives_its_episode():
    bench = Bench()
    assert bench.spawn("walker.pedestrian.0001").id > 0
    assert not bench.walkers
    assert "letters, digits" in bench.spawn("walker.pedestrian.0001", id="a b").error_string
    bench.spawn("walker.pedestrian.0001", id="bea")
    bench.clear_walkers()
    assert not bench.walkers


def test_blueprints():
    found = Bench().call("get_blueprints", GetBlueprints, filter="sensor.camera.*").blueprints
    assert [name for name in found if "camera" in name] == [
        "sensor.camera.depth",
        "sensor.camera.dvs",
        "sensor.camera.rgb",
        "sensor.camera.semantic_segmentation",
    ]
    assert "sensor.pseudo.tf" in found  # whatever the filter, as the real one
    everything = Bench().call("get_blueprints", GetBlueprints).blueprints
    assert {"vehicle.tesla.model3", "walker.pedestrian.0001"} <= set(everything)


def test_random_places_and_waypoints_in_a_real_town(tiny):
    bench = Bench(tiny)
    answers = [bench.spawn("vehicle.audi.a2", random_pose=True) for _ in range(3)]
    assert len({a.id for a in answers}) == 3, [a.error_string for a in answers]
    tiny.step(Command(0.0, -1.0))
    for answer in answers:
        where = bench.call("get_actor_waypoint", GetActorWaypoint, id=answer.id).waypoint
        assert where.lane_id != 0
    here = Point(x=where.pose.position.x, y=where.pose.position.y)
    assert bench.call("get_waypoint", GetWaypoint, location=here).waypoint.road_id == where.road_id
    light = tiny.scene.lights[0].id
    assert bench.call("get_actor_waypoint", GetActorWaypoint, id=light).waypoint.lane_id != 0
    nowhere = bench.call("get_waypoint", GetWaypoint, location=Point(x=NAN)).waypoint
    assert (nowhere.road_id, nowhere.lane_id) == (0, 0)
    assert "not a place" in bench.said[-1]
