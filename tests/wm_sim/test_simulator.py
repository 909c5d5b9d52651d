"""The simulator without a camera: determinism, lights, traffic, collisions."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from drives import said, steer_along

from wm_dynamics.errors import UserError
from wm_perception.conventions import to_ego
from wm_perception.frame import Command, LightState, ObjectClass
from wm_perception.scene import touches
from wm_sim.simulator import Simulator
from wm_sim.world import World


def record(simulator, route: int, seed: int, traffic: int, frames: int = 60):
    """Drive blindly along a route; everything a frame says except its stamp."""
    scene = simulator.start_route(route, seed=seed, traffic=traffic)
    rows = []
    for _ in range(frames):
        frame = simulator.step(Command(steer_along(scene, simulator.frame()), 0.3))
        rows.append(said(frame))
    return rows


def test_same_inputs_same_frames_whatever_ran_before(tiny):
    first = record(tiny, 2, seed=5, traffic=8)
    other = record(tiny, 3, seed=6, traffic=4)
    again = record(tiny, 2, seed=5, traffic=8)
    assert first == again
    assert first != other
    assert record(tiny, 2, seed=7, traffic=8)[0] != first[0]


def test_stamps_go_on_from_episode_to_episode(tiny):
    tiny.start_route(0)
    stamps = [tiny.frame().stamp_ns, tiny.step(Command()).stamp_ns]
    tiny.start_route(1)
    stamps.append(tiny.frame().stamp_ns)
    assert np.diff(stamps).tolist() == [100_000_000, 100_000_000]


def test_start_is_on_the_route_and_clear(tiny):
    for seed in range(4):
        scene = tiny.start_route(seed, seed=seed, traffic=12)
        frame = tiny.frame()
        ego = frame.ego
        index = scene.route.nearest_index(ego.x, ego.y)
        assert np.hypot(*(scene.route.points[index] - (ego.x, ego.y))) < 0.5
        assert not frame.collided
        assert len(frame.objects.within(ego.x, ego.y, 15.0)) == 0


def test_traffic_moves_and_keeps_its_number(tiny):
    tiny.start_route(0, seed=1, traffic=10)
    before = dict(zip(tiny.frame().objects.ids, tiny.frame().objects.poses, strict=True))
    known, travelled = set(before), 0.0
    for _ in range(300):
        frame = tiny.step(Command(0.0, -1.0))
        for number, pose in zip(frame.objects.ids, frame.objects.poses, strict=True):
            if number not in known:  # a new car never appears beside the ego
                known.add(number)
                assert math.hypot(pose[0] - frame.ego.x, pose[1] - frame.ego.y) > 30.0
            elif number in before:
                travelled += float(np.hypot(*(pose - before[number])[:2]))
                before[number] = pose
        assert 8 <= len(frame.objects) <= 10
    assert travelled > 300.0


def test_object_velocity_points_along_the_heading(tiny):
    tiny.start_route(0, seed=2, traffic=10)
    objects = tiny.frame().objects
    later = tiny.step(Command()).objects
    common = np.isin(objects.ids, later.ids), np.isin(later.ids, objects.ids)
    moved = (later.poses[common[1], :2] - objects.poses[common[0], :2]) / 0.1
    np.testing.assert_allclose(moved, later.velocities[common[1]], atol=1.2)


def test_every_route_meets_lights_that_turn_from_green_to_yellow_to_red(tiny):
    scene = tiny.start_route(0)
    light = scene.route_lights[0].id
    seen = [tiny.step(Command(0.0, -1.0)).light_states[light] for _ in range(700)]
    changes = {(a, b) for a, b in pairwise(seen) if a != b}
    assert changes == {
        (LightState.GREEN, LightState.YELLOW),
        (LightState.YELLOW, LightState.RED),
        (LightState.RED, LightState.GREEN),
    }


def test_one_approach_of_a_junction_is_green_at_a_time(tiny):
    scene = tiny.start_route(0)
    centres = np.array([box.center for box in scene.lights])
    nodes = np.round(centres / 45.0).astype(int)  # boxes of one junction are within 20 m
    for _ in range(60):
        states = tiny.step(Command(0.0, -1.0)).light_states
        for node in np.unique(nodes, axis=0):
            here = [b.id for b, n in zip(scene.lights, nodes, strict=True) if (n == node).all()]
            assert sum(states[i] != LightState.RED for i in here) <= 1


def test_the_cars_that_cross_the_stop_line_have_no_red(tiny):
    """SUMO cars obey the same boxes the ego sees, so box and state belong together."""
    scene = tiny.start_route(0, seed=3, traffic=12)
    poses, crossings = {}, 0
    for _ in range(400):
        before = tiny.frame().light_states
        objects = tiny.step(Command(0.0, -1.0)).objects
        for number, pose in zip(objects.ids, objects.poses, strict=True):
            last, poses[number] = poses.get(number), pose
            if last is None:
                continue
            for box in scene.lights:
                frame = np.array([*box.center, box.yaw])
                (x0, y0), (x1, _) = to_ego(last[:2], frame), to_ego(pose[:2], frame)
                nose = box.length / 2 - 2.25
                same_way = math.cos(pose[2] - box.yaw) > 0.9
                if same_way and abs(y0) < 1.0 and x0 <= nose < x1 < nose + 5.0:
                    crossings += 1
                    assert before[box.id] != LightState.RED
    assert crossings > 10


def test_hitting_a_car_is_a_collision_that_slows_the_ego(tiny):
    scene = tiny.start_route(0, seed=2, traffic=12)
    for _ in range(500):
        before = tiny.frame().ego.speed_mps
        frame = tiny.step(Command(steer_along(scene, tiny.frame()), 0.4))
        if frame.collided:
            break
    assert frame.collided
    assert frame.ego.speed_mps < before - 1.0
    assert touches(frame.ego, frame.objects)
    assert frame.contact.other_id in frame.objects.ids
    assert frame.contact.kind == ObjectClass.CAR


def test_leaving_the_lane_is_reported_once(tiny):
    scene = tiny.start_route(0)
    tiny.start(scene.route, start_s=20.0, speed_mps=6.0)
    frames = [tiny.step(Command(0.2, 0.1)) for _ in range(15)]
    crossed = [frame.crossed_markings for frame in frames if frame.crossed_markings]
    assert len(crossed) == 1
    assert crossed[0][0] == 2  # solid


def test_start_state_relative_to_the_route(tiny):
    route = tiny.start_route(0).route
    tiny.start(route, start_s=30.0, lateral_m=0.8, heading_error=0.2, speed_mps=5.0)
    ego = tiny.frame().ego
    pose = route.project(ego.pose, 30)
    assert (pose.lateral, pose.heading_error, ego.speed_mps) == pytest.approx((0.8, 0.2, 5.0))


def test_bad_arguments_are_user_errors(tiny):
    with pytest.raises(UserError, match="unknown town"):
        Simulator("atlantis")
    with pytest.raises(UserError, match="frame_dt"):
        Simulator("tiny", frame_dt=0.015)
    with pytest.raises(UserError, match=r"routes 0\.\.23"):
        tiny.start_route(99)
    with pytest.raises(UserError, match="traffic"):
        tiny.start_route(0, traffic=-1)
    with pytest.raises(UserError, match="frame_dt"):
        Simulator("tiny", frame_dt=math.nan)
    for count in (-1, 2.5, 10**9, math.nan):
        with pytest.raises(UserError, match="pedestrians must be a whole number from 0 to 1000"):
            World(pedestrians=count)
    with pytest.raises(UserError, match="unknown weather 'hail'"):
        World(weather="hail")
    route = tiny.start_route(0).route
    with pytest.raises(UserError, match="lateral_m must be a finite number"):
        tiny.start(route, lateral_m=math.nan)
    with pytest.raises(UserError, match="speed must be within"):
        tiny.start(route, speed_mps=1e30)


def test_a_refused_episode_leaves_the_running_one_alone(tiny):
    expected = record(tiny, 2, seed=5, traffic=8, frames=4)
    scene = tiny.start_route(2, seed=5, traffic=8)
    rows = []
    for _ in range(4):
        with pytest.raises(UserError, match="scenario"):
            tiny.start_route(1, world=World(scenario="no_such"))
        with pytest.raises(UserError, match="routes 0"):
            tiny.start_route(-1)
        rows.append(said(tiny.step(Command(steer_along(scene, tiny.frame()), 0.3))))
    assert rows == expected


@pytest.mark.parametrize("bad", [Command(math.nan, 0.0), Command(0.0, math.inf)])
def test_a_command_that_is_no_number_is_refused_and_changes_nothing(tiny, bad):
    expected = record(tiny, 2, seed=5, traffic=8, frames=4)
    scene = tiny.start_route(2, seed=5, traffic=8)
    rows = []
    for _ in range(4):
        with pytest.raises(ValueError, match="not finite"):
            tiny.step(bad)
        rows.append(said(tiny.step(Command(steer_along(scene, tiny.frame()), 0.3))))
    assert rows == expected


def test_absurd_commands_are_clipped_and_the_echo_says_so(tiny):
    tiny.start_route(0)
    ego = tiny.step(Command(1e30, 1e30)).ego
    assert (ego.command.steer, ego.command.accel) == (1.0, 1.0)
    tiny.start_route(0)
    assert tiny.step(Command(1.0, 1.0)).ego == ego
    ego = tiny.step(Command(-1e30, -1e30)).ego
    assert (ego.command.steer, ego.command.accel) == (-1.0, -1.0)


def test_the_other_simulator_of_the_process_is_not_driven_by_mistake(tiny):
    tiny.start_route(0)
    other = Simulator("tiny")
    other.start_route(1)
    with pytest.raises(RuntimeError, match="another one"):
        tiny.step(Command())
    tiny.start_route(0)
    other.close()
    tiny.step(Command())
