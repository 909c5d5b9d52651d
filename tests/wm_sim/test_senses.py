"""The sensors of the ego as the simulator offers them: reading, mounting, refusing."""

from __future__ import annotations

import pytest

from wm_dynamics.errors import UserError
from wm_perception.frame import Command
from wm_sim.rig import GNSS, IMU, LIDAR, Rig, SensorSpec
from wm_sim.simulator import Simulator

RIG = Rig((SensorSpec("gnss", GNSS), SensorSpec("imu", IMU, z=1.0)))


@pytest.fixture(scope="module")
def sensing():
    """A simulator whose ego carries a rig."""
    with Simulator("tiny", rig=RIG) as simulator:
        yield simulator


def test_a_reading_belongs_to_its_frame_and_is_taken_once(sensing):
    sensing.start_route(0, seed=1)
    first = sensing.read("imu")
    assert sensing.read("imu") is first
    sensing.step(Command(0.0, 0.5))
    assert sensing.read("imu") is not first


def test_sensors_come_and_go(sensing):
    sensing.start_route(0, seed=1)
    sensing.mount(SensorSpec("roof", LIDAR, z=2.4, attributes={"channels": "8"}))
    assert len(sensing.read("roof")) > 100
    with pytest.raises(UserError, match="has a sensor 'roof' already"):
        sensing.mount(SensorSpec("roof", GNSS))
    sensing.unmount("roof")
    with pytest.raises(UserError, match="no sensor 'roof'"):
        sensing.read("roof")
    with pytest.raises(UserError, match="no sensor 'roof'"):
        sensing.unmount("roof")
    assert sensing.read("gnss") is not None


def test_an_impossible_sensor_is_refused_and_the_others_stay(sensing):
    sensing.start_route(0, seed=1)
    with pytest.raises(UserError, match="channels"):
        sensing.mount(SensorSpec("bad", LIDAR, attributes={"channels": "many"}))
    assert sensing.read("gnss") is not None
    with pytest.raises(UserError, match="no sensor 'bad'"):
        sensing.read("bad")
    with pytest.raises(UserError, match="channels"):
        Simulator("tiny", rig=Rig((SensorSpec("bad", LIDAR, attributes={"channels": "-1"}),)))


def test_the_rig_names_the_ego(sensing):
    sensing.start_route(0, seed=1)
    ego = next(actor for actor in sensing.actors() if actor.id == sensing.ego_id)
    assert (ego.type, ego.role) == (RIG.ego_type, RIG.role)
