"""The Gymnasium environment: Gymnasium's own checks, episodes and their ends, several at once."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from wm_dynamics.errors import UserError
from wm_perception.conventions import to_ego
from wm_perception.frame import Command
from wm_sim.camera import CameraUnavailable
from wm_sim.env import DrivingEnv
from wm_sim.env_config import EnvConfig, ResetOptions
from wm_sim.env_episodes import draw_episode
from wm_sim.env_spaces import to_command
from wm_sim.rewards import PRESETS
from wm_sim.scenarios.library import scenario_spec
from wm_sim.scenarios.suites import all_suites, curriculum
from wm_sim.vector_env import make_vec
from wm_sim.world import World


@pytest.fixture
def make():
    """Environments of the small town that are closed afterwards."""
    made = []

    def make(**config):
        env = DrivingEnv(**{"town": "tiny", "traffic": 4, **config})
        made.append(env)
        return env

    yield make
    for env in made:
        env.close()


def along_route(env, speed_mps=6.0):
    """Steering to the route five metres ahead, and a pedal that holds the speed."""
    frame, scene = env.simulator.frame(), env.simulator.scene
    index = scene.route.nearest_index(frame.ego.x, frame.ego.y)
    x, y = to_ego(scene.route.points[min(index + 5, len(scene.route) - 1)], frame.ego.pose)
    steer = np.clip(2.0 * np.arctan2(y, x), -1.0, 1.0)
    return np.array([steer, np.clip(0.5 * (speed_mps - frame.ego.speed_mps), -1, 1)], np.float32)


def drive(env, seed, steps=40, **options):
    """Everything an episode says, as plain values."""
    seen, info = env.reset(seed=seed, options=options)
    rows = [(seen["bev"].tobytes(), seen["state"].tolist(), info)]
    for _ in range(steps):
        seen, reward, terminated, _, info = env.step(along_route(env))
        rows.append((seen["bev"].tobytes(), seen["state"].tolist(), reward, terminated, info))
    return rows


@pytest.mark.parametrize("action", ["continuous", "discrete"])
@pytest.mark.filterwarnings("ignore:.*alternative render modes")
def test_it_passes_the_checks_of_gymnasium(make, action):
    check_env(make(action=action, render_mode="rgb_array"))


@pytest.mark.parametrize("name", ["WmSim/Driving-v0", "wm_sim.env:WmSim/Driving-v0"])
def test_gymnasium_makes_it_by_its_name(name):
    env = gymnasium.make(name, town="tiny", traffic=0, max_steps=3)
    try:
        env.reset(seed=0)
        ends = [env.step(env.action_space.sample())[2:4] for _ in range(3)]
        assert ends == [(False, False), (False, False), (False, True)]
    finally:
        env.close()


def test_the_same_seed_gives_the_same_episode(make):
    env = make()
    first = drive(env, seed=3)
    other = drive(env, seed=4)
    assert drive(env, seed=3) == first != other
    env.close()
    assert drive(make(), seed=3) == first


def test_options_choose_the_episode_and_leave_the_later_ones_alone(make):
    env = make()
    _, info = env.reset(seed=1, options={"route": 5, "seed": 9, "traffic": 0})
    assert (info["route"], info["seed"]) == (5, 9)
    assert len(env.simulator.frame().objects) == 0
    _, after = env.reset()
    env.reset(seed=1)
    assert len(env.simulator.frame().objects) > 0
    assert env.reset()[1] == after
    _, info = env.reset(options={"town": "val01", "world": {"weather": "rain"}})
    assert env.simulator.town_name == "val01"
    assert env.simulator.weather.precipitation == 70.0
    env.reset(options={"world": World()})
    assert env.simulator.town_name == "tiny" and env.simulator.weather.precipitation == 0.0


def test_driving_the_route_arrives(make):
    env = make(traffic=0, reward={"arrived": 1.0, "progress": 1.0})
    env.reset(seed=0, options={"route": 2})
    total = 0.0
    for _ in range(1000):
        _, reward, terminated, truncated, info = env.step(along_route(env, 8.0))
        total += reward
        if terminated or truncated:
            break
    assert (info["reason"], info["success"], terminated, truncated) == (
        "arrived",
        True,
        True,
        False,
    )
    assert info["reward_terms"]["arrived"] == 1.0
    start = 3.0
    assert total == pytest.approx(info["progress_m"] - start + 1.0, abs=0.5)


def test_leaving_the_route_ends_the_episode(make):
    env = make(traffic=0, off_route_m=3.0)
    env.reset(seed=0)
    for _ in range(100):
        *_, terminated, _, info = env.step([1.0, 0.5])
        if terminated:
            break
    assert info["reason"] in ("off_route", "collision") and not info["success"]
    assert info["reason"] == "collision" or abs(info["lateral_m"]) > 3.0


def test_a_contact_ends_the_episode_and_costs_what_the_table_says(make):
    env = make(traffic=0)
    env.reset(seed=1, options={"route": 0})
    route = env.simulator.scene.route
    x, y = route.points[25].tolist()
    env.simulator.spawn("vehicle.tesla.model3", x, y, float(route.headings[25]))
    for _ in range(100):
        *_, reward, terminated, _, info = env.step(along_route(env, 8.0))
        if terminated:
            break
    assert info["reason"] == "collision" and info["collided"]
    assert info["reward_terms"]["collision"] == -20.0
    assert reward == pytest.approx(sum(info["reward_terms"].values()))


def test_a_red_light_ends_the_episode_if_asked(make):
    env = make(traffic=0, end_on_red=True)
    for seed in range(6):
        env.reset(seed=seed)
        for _ in range(600):
            *_, terminated, _, info = env.step(along_route(env, 8.0))
            if terminated:
                break
        if info["ran_red"]:
            break
    assert info["reason"] == "red_light" and info["reward_terms"]["red_light"] == -10.0


def test_the_discrete_actions_are_cardreamers():
    assert to_command(0, "discrete").steer == -0.6
    assert to_command(0, "discrete").accel == pytest.approx(-2.0 / 3.0)
    assert to_command(7, "discrete") == to_command([0.0, 0.0], "continuous")
    full_left = to_command(np.int64(14), "discrete")
    assert (full_left.steer, full_left.accel) == (0.6, pytest.approx(2.0 / 3.0))


def test_the_gear_is_a_third_number_if_asked(make):
    assert to_command([0.1, 0.5, -1.0], "reversible") == Command(0.1, 0.5, reverse=True)
    assert not to_command([0.1, 0.5, 0.0], "reversible").reverse
    env = make(traffic=0, action="reversible")
    env.reset(seed=0)
    for _ in range(15):
        *_, info = env.step(np.array([0.0, 0.5, -1.0], np.float32))
    assert info["speed_mps"] < -1.0


def test_positive_steering_turns_left(make):
    env = make(traffic=0)
    env.reset(seed=0)
    before = env.simulator.frame().ego.yaw
    for _ in range(20):
        env.step([0.3, 0.5])
    assert 0.02 < (env.simulator.frame().ego.yaw - before + np.pi) % (2 * np.pi) - np.pi < 1.5


@pytest.mark.parametrize(
    "action, kind",
    [
        ([np.nan, 0.0], "continuous"),
        ([0.0, np.inf], "continuous"),
        ([0.0], "continuous"),
        ([0.0, 0.0], "reversible"),
        (15, "discrete"),
        (-1, "discrete"),
        (1.5, "discrete"),
        ([1, 2], "discrete"),
    ],
)
def test_impossible_actions_are_refused_and_nothing_moves(make, action, kind):
    env = make(traffic=0, action=kind)
    env.reset(seed=0)
    before = env.simulator.frame()
    with pytest.raises(UserError, match="action is"):
        env.step(action)
    assert env.simulator.frame() is before


def test_absurd_but_finite_actions_are_clipped(make):
    env = make(traffic=0)
    env.reset(seed=0)
    env.step([1e30, -1e30])
    command = env.simulator.frame().ego.command
    assert (command.steer, command.accel) == (1.0, -1.0)


def test_bad_arguments_are_user_errors(make):
    with pytest.raises(UserError, match=r"'trafic'.*known: town"):
        make(trafic=3)
    with pytest.raises(UserError, match="'action'"):
        make(action="warp")
    with pytest.raises(UserError, match="a world has trucks.*not weathr"):
        make(world={"weathr": "rain"})
    with pytest.raises(UserError, match="unknown weather"):
        make(world={"weather": "frogs"})
    with pytest.raises(UserError, match="unknown reward"):
        make(reward="fame")
    with pytest.raises(UserError, match="render_mode"):
        make(render_mode="human")
    with pytest.raises(UserError, match="reset the environment first"):
        make().step([0.0, 0.0])
    env = make()
    with pytest.raises(UserError, match="'rout'"):
        env.reset(options={"rout": 1})
    with pytest.raises(UserError, match=r"routes 0\.\.23"):
        env.reset(options={"route": 77})
    with pytest.raises(UserError, match="unknown town"):
        env.reset(options={"town": "atlantis"})
    env.reset(seed=0)  # still alive


def test_a_second_environment_of_the_process_is_refused_until_the_first_is_closed(make):
    first, second = make(), make()
    first.reset(seed=0)
    with pytest.raises(UserError, match=r"close\(\) it first, or use .*make_vec"):
        second.reset(seed=0)
    first.step([0.0, 0.0])
    first.close()
    first.close()
    second.reset(seed=0)


def test_render_draws_the_masks(make):
    env = make(render_mode="rgb_array")
    with pytest.raises(UserError, match="reset"):
        env.render()
    env.reset(seed=0)
    drawn = env.render()
    assert drawn.shape == (384, 384, 3) and drawn.dtype == np.uint8
    assert (drawn[int(0.78 * 384), 192] == 240).all()  # the ego
    assert (drawn == (64, 132, 214)).all(-1).sum() > 500  # the route
    assert make().render() is None


def episodes(n=40, options=None, **config):
    rng = np.random.default_rng(0)
    drawn = ResetOptions(**(options or {}))
    return [draw_episode(EnvConfig(**config), drawn, rng) for _ in range(n)]


@pytest.mark.parametrize("name", curriculum())
def test_every_phase_of_the_curriculum_gives_episodes(name):
    suite = all_suites()[name]
    drawn = episodes(suite=name)
    assert len({e.seed for e in drawn}) == len(drawn)
    for episode in drawn:
        assert (episode.traffic, episode.world.parked) == (suite.traffic, suite.parked)
        if suite.scenario_list:
            spec = scenario_spec(episode.world.scenario)
            assert spec.name in suite.scenario_list
            assert episode.route in spec.stages[episode.town]
        else:
            assert episode.town in suite.towns and episode.route < suite.routes
    if not suite.scenario_list:
        assert {e.town for e in drawn} == set(suite.towns)


def test_a_scenario_is_played_where_it_fits():
    spec = scenario_spec("lead_hard_brake")
    town = next(iter(spec.stages))
    for episode in episodes(town=town, world={"scenario": spec.name}):
        assert (episode.suite, episode.town) == (spec.route_suite, town)
        assert episode.route in spec.stages[town]
    chosen = {"world": World(scenario=spec.name), "route": 3, "town": "tiny"}
    assert episodes(1, chosen)[0].route == 3
    with pytest.raises(UserError, match="has no stage in 'tiny': .* one of its towns: "):
        episodes(1, town="tiny", world={"scenario": spec.name})
    with pytest.raises(UserError, match="unknown suite 'fame'; known: default"):
        episodes(1, suite="fame")


def test_a_phase_brings_its_reward_unless_another_is_asked_for():
    phase = "curriculum-04-lanes"
    assert DrivingEnv(suite=phase).rewards == PRESETS["cardreamer"]
    assert DrivingEnv(suite=phase, reward="curriculum").rewards == PRESETS["curriculum"]
    assert DrivingEnv().rewards == PRESETS["default"]


def test_a_scenario_ends_the_episode(make):
    env = make()
    town, routes = next(iter(scenario_spec("jaywalker_at_night").stages.items()))
    options = {"town": town, "route": routes[0], "world": {"scenario": "jaywalker_at_night"}}
    env.reset(seed=0, options={**options, "traffic": 0})
    assert env.simulator.weather.night
    env.simulator.autopilot = True
    for _ in range(900):
        *_, terminated, truncated, info = env.step([0.0, 0.0])
        if terminated or truncated:
            break
    assert info["reason"] == f"scenario_{env.simulator.scenario.status}"


@pytest.mark.camera
def test_a_camera_is_part_of_the_observation(make):
    env = make(camera=(96, 64))
    try:
        seen, _ = env.reset(seed=0)
    except CameraUnavailable as reason:
        pytest.skip(str(reason))
    assert seen["camera"].shape == (64, 96, 3)
    assert env.observation_space.contains(seen)


def test_several_in_processes_of_their_own_are_what_one_would_be(make):
    vector = make_vec(2, town="tiny", traffic=4, context="fork")
    try:
        seen, info = vector.reset(seed=3)
        actions = np.array([[0.1, 0.6], [0.1, 0.6]], np.float32)
        rewards = np.array([vector.step(actions)[1] for _ in range(10)])
    finally:
        vector.close()
    assert seen["bev"].shape == (2, 6, 64, 64)
    for index in range(2):
        env = make()
        first, alone = env.reset(seed=3 + index)
        np.testing.assert_array_equal(first["bev"], seen["bev"][index])
        assert alone["route"] == info["route"][index]
        again = [env.step(actions[index])[1] for _ in range(10)]
        np.testing.assert_allclose(again, rewards[:, index])
        env.close()


def test_a_vector_reports_bad_arguments_at_once():
    with pytest.raises(UserError, match="1 environment or more"):
        make_vec(0)
    with pytest.raises(UserError, match="'trafic'"):
        make_vec(2, trafic=3)
