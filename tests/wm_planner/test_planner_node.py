"""The planner node: checks of the latent, one proposal per latent, imagination for watchers."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (pip install . brings it)")

from wm_dynamics.backend import TorchBackend
from wm_dynamics.checkpoint import save_checkpoint
from wm_dynamics.config import SIZES
from wm_dynamics.model import WorldModel
from wm_dynamics.novelty import Novelty
from wm_msgs.msg import Latent
from wm_perception.conventions import to_map
from wm_perception.frame import Command
from wm_perception.messages import stamp_ns, to_array
from wm_perception.node_tools import header
from wm_perception.topics import topic
from wm_planner import markers
from wm_planner.doubt import DoubtState, Level
from wm_planner.driver import make_backend
from wm_planner.plan import Plan
from wm_planner.planner_messages import proposal_message, read_latent, statistics_message

ROLE = "ego_vehicle"
MODEL = WorldModel.untrained(SIZES["tiny"], seed=0)
STEP_NS = 100_000_000


def latent_message(backend: TorchBackend, stamp: int = STEP_NS) -> Latent:
    deter, stoch = backend.initial().to_arrays(backend.classes)
    message = Latent(header=header(stamp), model_hash=backend.hash)
    message.deter, message.stoch = to_array(deter, "f"), to_array(stoch, "f")
    message.state = to_array(np.array([0.5, 0, 0, 0, 0], np.float32), "f")
    message.route_x = to_array(np.arange(-5, 46, dtype=np.float32), "f")
    message.route_y = to_array(np.zeros(51, np.float32), "f")
    message.pose.orientation.w = 1.0
    return message


def plan(finite: bool = True) -> Plan:
    rng = np.random.default_rng(0)
    candidates = rng.normal(size=(100, 15, 2)).cumsum(1)
    return Plan(
        command=Command(0.1, 0.2),
        actions=np.zeros((15, 2)),
        path=np.concatenate([candidates[7], np.zeros((15, 1))], -1),
        candidates=candidates,
        speeds=np.ones((100, 15)),
        costs=np.where(np.arange(100) == 3, np.inf, rng.uniform(size=100)),
        disagreement=np.zeros(100),
        chosen=7,
        terms={"lateral": 0.5, "speed": 1.5},
        plan_ms=12.0,
        finite=finite,
    )


def test_a_good_latent_becomes_arrays():
    backend = make_backend("planner", MODEL)
    situation = read_latent(latent_message(backend), backend)
    assert situation.reference.shape == (51, 2) and situation.ego_state.shape == (5,)
    assert np.array_equal(situation.latent.stoch, backend.initial().stoch)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("model_hash", "0123", "another|made by model 0123"),
        ("deter", [0.0] * 3, "sizes"),
        ("state", [math.nan] * 5, "state .* not finite"),
        ("route_y", [0.0] * 3, "route"),
        ("route_x", [math.inf] * 51, "route .* not finite"),
    ],
)
def test_a_latent_that_cannot_be_used_is_refused(field, value, text):
    backend = make_backend("planner", MODEL)
    message = latent_message(backend)
    setattr(message, field, value)
    with pytest.raises(ValueError, match=text):
        read_latent(message, backend)


def test_drivers_are_recognised_by_their_hash():
    trained = WorldModel.untrained(SIZES["tiny"], seed=5)
    assert make_backend("blind", trained).hash == trained.hash
    assert make_backend("untrained", trained).hash == MODEL.hash != trained.hash


def test_markers_show_the_fan_and_the_plan_in_the_map_frame():
    pose = np.array([100.0, 50.0, math.pi / 2])
    fan, chosen, _ = markers.marker_array(plan(), pose, np.zeros(15), header(STEP_NS)).markers
    assert fan.header.frame_id == chosen.header.frame_id == "map"
    assert len(fan.points) == len(fan.colors) == 2 * 15 * markers.FAN_CANDIDATES
    assert (chosen.points[0].x, chosen.points[0].y) == (100.0, 50.0)
    end = to_map(plan().path[-1, :2], pose)
    assert (chosen.points[-1].x, chosen.points[-1].y) == pytest.approx(tuple(end))
    assert chosen.scale.x > fan.scale.x


def test_the_fan_leaves_out_what_is_not_finite_and_colours_by_rank():
    rows = markers.fan_rows(plan().costs)
    assert 3 not in rows and len(rows) == markers.FAN_CANDIDATES
    colors = markers.cost_colors(np.array([5.0, 1.0, 3.0]))
    assert colors[1, 1] == 1.0 and colors[0, 0] == 1.0


def test_the_tube_is_as_wide_as_body_and_error_and_faint_where_it_is_not_trusted():
    straight = np.zeros((15, 3))
    straight[:, 0] = np.arange(1, 16)
    chosen = replace(plan(), path=straight, trusted_steps=5.0)
    errors = markers.path_errors({"ego_path_1s_m": 0.1, "ego_path_3s_m": 0.5, "loss": 9.0}, 15, 0.2)
    assert errors[4] == pytest.approx(0.1) and errors[-1] == pytest.approx(0.5)
    assert errors[0] == pytest.approx(0.02) and (np.diff(errors) > 0).all()
    assert not markers.path_errors({}, 15, 0.2).any()
    tube = markers.tube(chosen, np.zeros(3), errors, header(STEP_NS))
    sides = np.array([point.y for point in tube.points])
    assert sides.max() == -sides.min() == pytest.approx(markers.HALF_WIDTH_M + 0.5)
    assert abs(sides[0]) == pytest.approx(markers.HALF_WIDTH_M)
    assert len(tube.points) == len(tube.colors) == 6 * 15
    assert tube.colors[29].a == markers.TRUSTED_ALPHA > tube.colors[30].a > 0.0
    doubted = replace(chosen, doubt=DoubtState(Level.DOUBT, 5.0, 2.0, True, "unusual"))
    other = markers.tube(doubted, np.zeros(3), errors, header(STEP_NS))
    assert other.colors[0].r > tube.colors[0].r


def test_path_and_rollouts_messages():
    pose = np.array([1.0, 2.0, 0.5])
    path = markers.path_message(plan(), pose, 0.2, header(STEP_NS))
    assert len(path.poses) == 15 and path.header.frame_id == "map"
    stamps = [stamp_ns(pose.header.stamp) for pose in path.poses]
    assert stamps[0] == STEP_NS + 200_000_000 and stamps[-1] == STEP_NS + 3_000_000_000
    rollouts = markers.rollouts_message(plan(), pose, 0.2, header(STEP_NS))
    assert (rollouts.candidates, rollouts.horizon, rollouts.chosen) == (100, 15, 7)
    assert (len(rollouts.steer), len(rollouts.accel)) == (15, 15)
    row = np.reshape(rollouts.x, (100, 15))[7]
    assert row == pytest.approx(to_map(plan().candidates[7], pose)[:, 0], rel=1e-5)


def test_statistics_count_a_missed_deadline():
    assert statistics_message(plan(), 60.0, deadline_ms=50.0).deadline_missed
    assert not statistics_message(plan(), 40.0, deadline_ms=50.0).deadline_missed


def test_statistics_say_what_was_chosen_and_how_the_terms_are_spread():
    doubt = DoubtState(Level.DOUBT, 5.0, 2.0, True, "unusual: novelty")
    chosen = replace(
        plan(),
        term_means={"lateral": 2.0, "speed": 3.0}, term_least={"lateral": 0.1, "speed": 0.2},
        iterations=3, feasible=False, collision_probability=0.75, trusted_steps=10.0,
        speed_cap_mps=5.0, doubt=doubt,
    )  # fmt: skip
    message = statistics_message(chosen, 10.0, 50.0, STEP_NS, dt=0.2)
    assert list(message.term_names) == ["lateral", "speed"]
    assert list(message.term_costs) == [0.5, 1.5]
    assert list(message.term_means) == [2.0, 3.0]
    assert list(message.term_mins) == pytest.approx([0.1, 0.2])
    assert (message.iterations, message.feasible, message.doubt_level) == (3, False, 1)
    assert message.trusted_s == pytest.approx(2.0) and message.speed_cap_mps == 5.0
    assert message.collision_probability == 0.75 and message.doubt_reason == "unusual: novelty"
    assert message.header.stamp.nanosec == STEP_NS
    assert statistics_message(plan(), 10.0, 50.0).speed_cap_mps == 0.0


def test_a_proposal_says_what_the_gate_must_know():
    good = proposal_message(plan(), STEP_NS)
    assert (good.steer, good.accel) == pytest.approx((0.1, 0.2))
    assert good.feasible and not good.stop_requested and good.reason == ""

    broken = proposal_message(plan(finite=False), STEP_NS)
    assert math.isnan(broken.steer) and math.isnan(broken.accel) and "not finite" in broken.reason

    cornered = proposal_message(replace(plan(), feasible=False), STEP_NS)
    assert math.isfinite(cornered.steer) and not cornered.feasible and cornered.reason

    lost = DoubtState(Level.STOP, 5.0, 2.0, True, "unusual: novelty")
    stop = proposal_message(replace(plan(), doubt=lost), STEP_NS)
    assert stop.stop_requested and stop.reason == "unusual: novelty" and math.isfinite(stop.steer)

    blinded = proposal_message(plan(), STEP_NS, stop="camera silent")
    assert blinded.stop_requested and blinded.reason == "camera silent"


def test_novelty_counts_only_where_it_was_measured():
    backend = make_backend("planner", MODEL)
    message = latent_message(backend)
    message.novelty = 3.5
    assert read_latent(message, backend).novelty is None
    backend.novelty = Novelty({}, 2.0, 0.2)
    assert read_latent(message, backend).novelty == pytest.approx(3.5)


@pytest.mark.ros
def test_one_proposal_per_latent_and_imagination_only_for_watchers(ros_domain, tmp_path):
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    from wm_perception.node_tools import create_node, publisher, subscription

    save_checkpoint(MODEL, tmp_path / "model")
    command = [sys.executable, "-m", "wm_planner.planner_node", "--ros-args"]
    command += ["-p", f"model:={tmp_path / 'model'}", "-p", "candidates:=24"]
    command += ["-p", "autostart:=true"]
    child = subprocess.Popen(command, env=ros_domain.env)
    rclpy.init()
    try:
        node = create_node("watcher")
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        heard = {key: [] for key in ("control_proposal", "plan_statistics", "markers", "plan")}
        for key, messages in heard.items():
            subscription(node, key, ROLE, messages.append)
        latents = publisher(node, "latent", ROLE)

        def spin_until(condition, timeout_s: float = 20.0) -> bool:
            for _ in range(int(timeout_s / 0.02)):
                if condition():
                    return True
                executor.spin_once(timeout_sec=0.02)
            return False

        names = [topic(key).name(ROLE) for key in heard]
        states: set[str] = set()

        def note_state(message) -> None:
            for status in message.status:
                states.update(v.value for v in status.values if v.key == "state")

        subscription(node, "diagnostics", ROLE, note_state)
        assert spin_until(lambda: "active" in states and all(map(node.count_publishers, names)))
        assert latents.get_subscription_count() == 1
        backend = TorchBackend(MODEL)
        for k in range(1, 6):
            latents.publish(latent_message(backend, k * STEP_NS))
            assert spin_until(lambda k=k: len(heard["control_proposal"]) == k, 5.0)
        stamps = [m.header.stamp.nanosec for m in heard["control_proposal"]]
        assert stamps == [k * STEP_NS for k in range(1, 6)]
        assert all(math.isfinite(m.steer) for m in heard["control_proposal"])
        assert spin_until(lambda: heard["plan_statistics"] and heard["markers"] and heard["plan"])

        stranger = latent_message(backend, 6 * STEP_NS)
        stranger.model_hash = "f" * 16
        latents.publish(stranger)
        assert not spin_until(lambda: len(heard["control_proposal"]) > 5, 1.0)
    finally:
        child.terminate()
        assert child.wait(10) == 0
        rclpy.shutdown()


@pytest.mark.ros
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-p", "model:=/nowhere/model"], "no model directory at '/nowhere/model'"),
        (["-p", "model:=x", "-p", "weights.laterall:=1.0"], "weights.laterall"),
    ],
)
def test_bad_parameters_are_clear_errors(ros_domain, arguments, text):
    command = [sys.executable, "-m", "wm_planner.planner_node", "--ros-args", *arguments]
    child = subprocess.Popen(
        [*command, "-p", "autostart:=true"], env=ros_domain.env, stderr=subprocess.PIPE, text=True
    )
    said = [next(line for line in child.stderr if text in line)]
    child.terminate()
    said += child.communicate(timeout=10)[1]
    assert child.returncode == 0 and "Traceback" not in "".join(said)
