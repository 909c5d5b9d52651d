"""Tables in the docs that repeat numbers and names of the code say what the code says."""

from __future__ import annotations

import pytest
from pages import ROOT, row_of, table_rows

from wm_dynamics.heads import HEADS, LABELS
from wm_planner.costs import TERMS
from wm_planner.gate_config import GateConfig
from wm_planner.gate_state import GateState
from wm_planner.node_table import DriveOptions
from wm_planner.parameters import flattened
from wm_planner.planner_config import PlannerConfig
from wm_sim.scenarios.suites import curriculum, read_suites
from wm_sim.weather import PRESETS
from wm_training.collect import MIXES
from wm_training.drivers import DRIVERS
from wm_training.infractions import KINDS
from wm_training.leaderboard import FACTOR_20, PENALTY_21
from wm_training.perturbed import HABITS
from wm_training.sampler import POOLS
from wm_training.scoring import RouteResult
from wm_training.train_config import LossConfig

COMPANY = ("trucks", "cyclists", "pedestrians", "parked")


def text_of(page: str) -> str:
    return (ROOT / "docs" / page).read_text()


@pytest.mark.parametrize("name", TERMS)
def test_cost_terms(name: str):
    weight = getattr(PlannerConfig().weights, name)
    assert float(row_of("planner.md", name, columns=3)[1]) == weight


PARAMETERS = flattened(PlannerConfig().model_dump(exclude={"weights"}))


@pytest.mark.parametrize("name", PARAMETERS)
def test_planner_parameters(name: str):
    default = PARAMETERS[name]
    shown = f"{default:g}" if isinstance(default, float) else str(default).lower()
    assert row_of("planner.md", name, columns=3)[1] == shown


def test_planner_numbers():
    config, text = PlannerConfig(), text_of("planner.md")
    for phrase in (
        f"{config.candidates} action sequences of {config.horizon} steps",
        f"{config.kept_elites} kept elites",
        f"Keep the {config.elites} best",
        f"the {config.risk.finalists} best of them",
        f"`frame_dt` is {config.frame_dt:g} s",
        f"for {config.doubt.on_after} frames in a row",
        f"for {config.doubt.off_after} frames in a row",
        f"for {config.doubt.stop_after} frames in a row",
        f"at most {config.doubt.speed_cap_mps:g} m/s",
    ):
        assert phrase in text, phrase


def test_gate_states_and_limits():
    gate = GateConfig()
    for state in GateState:
        row_of("gate.md", state.name, columns=4)
    for name, number in {
        "steer_rate": gate.limits.steer_rate_radps,
        "lateral_acceleration": gate.limits.lateral_acceleration_mps2,
        "jerk": gate.limits.jerk_up_mps3,
        "acceleration": gate.limits.acceleration_mps2,
        "persistent_clamping": gate.limits.persistent_count,
        "proposal_wait_s": gate.timing.heartbeat_s,
        "odometry_age_s": gate.timing.odometry_stop_s,
        "objects_age": gate.timing.objects_stale_s,
        "last_resort": gate.last_resort.brake_min_mps2,
    }.items():
        assert str(number) in row_of("gate.md", name, columns=4)[1]
    manoeuvre = gate.manoeuvre
    for name, numbers in {
        "comfort": (manoeuvre.comfort_mps2, manoeuvre.comfort_jerk_mps3),
        "emergency": (manoeuvre.emergency_mps2, manoeuvre.emergency_jerk_mps3),
        "hold": (manoeuvre.hold_mps2,),
    }.items():
        row = " ".join(row_of("gate.md", name))
        assert all(f"{-number:.1f}" in row for number in numbers)
    assert (manoeuvre.escalate_after, manoeuvre.rearm_after) == (3, 5)
    assert manoeuvre.rearm_after_request == 20
    assert gate.last_resort.brakes and gate.limits.persistent_stops


@pytest.mark.parametrize("name", DriveOptions.model_fields)
def test_launch_arguments(name: str):
    default = str(DriveOptions.model_fields[name].default)
    assert row_of("carla.md", name)[1] == (default or "empty")


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.name)
def test_heads(head):
    assert row_of("training.md", head.name, columns=4) == [
        head.name, head.unit, head.label, head.meaning,
    ]  # fmt: skip


def test_labels_pools_mixes_habits():
    text = text_of("training.md")
    for name in (*LABELS, *HABITS, *MIXES):
        assert f"`{name}`" in text, name
    starts = [row[:2] for row in table_rows(ROOT / "docs/training.md")]
    for name, share in POOLS.items():
        assert [name, f"{round(100 * share)} %"] in starts
    for name, mix in MIXES.items():
        row = row_of("training.md", name, columns=5)
        shares = {k: round(100 * v) for k, v in mix.shares.items()}
        assert row[1] == ", ".join(f"{k} {v} %" for k, v in shares.items())
        assert all(str(cars) in row[2] for cars in mix.traffic)


def test_losses():
    loss = LossConfig()
    for name, weight in {
        "KL, dynamics": loss.dynamics,
        "KL, representation": loss.representation,
        "reconstruction": loss.reconstruction,
        "heads now": loss.heads_now,
        "heads imagined": loss.heads_imagined,
    }.items():
        assert float(row_of("training.md", name)[2]) == weight


def test_suites_and_drivers():
    text = text_of("evaluation.md")
    for name, suite in read_suites().suites.items():
        counts = {kind: getattr(suite, kind) for kind in COMPANY}
        company = [f"{count} {kind}" for kind, count in counts.items() if count]
        besides = company + ["every weather"] * (suite.weather == "all")
        expected = [", ".join(suite.towns), str(suite.routes), str(suite.traffic)]
        expected.append(", ".join(besides) or "-")
        told = suite.scenarios or len(suite.faults) > 1  # in the second table, in words
        assert told or row_of("evaluation.md", name) == [name, *expected]
        assert all(f"`{fault}`" in text for fault in suite.faults if fault), name
    for name in ("scenarios", *list(curriculum())[:: len(curriculum()) - 1]):
        assert f"`{name}`" in text
    assert ", ".join(list(PRESETS)[:-1]) + f" or {list(PRESETS)[-1]}" in text
    for name in DRIVERS:
        row_of("evaluation.md", name, columns=3)


def test_json_keys():
    text = text_of("evaluation.md")
    for name in (*RouteResult.__dataclass_fields__, *SUMMARY):
        assert f"`{name}`" in text, name
    for kind in KINDS:
        assert f"`{kind}`" in text, kind


def test_the_price_of_infractions():
    older, newer = (row_of("evaluation.md", f"driving score ({v})")[1] for v in ("2.0", "2.1"))
    told = ("a person", "a vehicle", "anything that stands", "a red light")
    for what, kind in zip(told, FACTOR_20, strict=True):
        assert f"{FACTOR_20[kind]:.2f} {what}" in older
        assert f"{PENALTY_21[kind]} {what}" in newer


SUMMARY = (
    "route_completion", "driving_score", "collisions_per_km", "red_lights_per_km",
    "offroad_fraction", "plan_ms_p50", "plan_ms_p99", "deadline_miss_rate", "routes",
    "routes_with_collision", "red_lights", "mean_speed_mps", "seed", "model", "suite", "driver",
    "km", "at_fault_collisions_per_km", "scenario_success", "scenarios", "route_completion_95",
    "driving_score_95", "collisions_per_km_95", "at_fault_collisions_per_km_95",
    "red_lights_per_km_95", "scenario_success_95", "driving_score_21", "leaderboard_20",
    "leaderboard_21", "bench2drive_success", "nocrash_success", "driving_efficiency",
    "comfortness", "infractions", "infractions_per_km", "infractions_per_km_95", "groups", "seeds",
    "gate", "view", "settings",
)  # fmt: skip
