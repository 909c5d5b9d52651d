"""Parameter files: typed, complete, equal to the defaults, and intolerant of typos."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict

from wm_dynamics.errors import UserError
from wm_planner.config_files import (
    CONFIG_FILES,
    load_config,
    read_parameters,
    render,
    write_parameters,
)
from wm_planner.gate_config import GateConfig
from wm_planner.node_config import GateNodeConfig
from wm_planner.parameters import flattened, nested, validated
from wm_planner.paths import shared_dir
from wm_planner.planner_config import PlannerConfig

PER_DRIVE = {"model": "some/model", "output": "some/bag", "town": "some_town"}


@pytest.mark.parametrize("file", CONFIG_FILES, ids=lambda file: file.name)
def test_shipped_files_equal_the_defaults(file):
    """After a change of defaults: python -m wm_planner.config_files."""
    assert (shared_dir("config") / file.name).read_text() == render(file)


@pytest.mark.parametrize("file", CONFIG_FILES, ids=lambda file: file.name)
def test_shipped_files_are_valid_and_complete(file):
    model = file.model()
    given = {name: PER_DRIVE[name] for name in file.per_drive if name in PER_DRIVE}
    load_config(shared_dir("config") / file.name, model, **given)
    written = set(read_parameters(shared_dir("config") / file.name))
    assert written == set(model.model_fields) - set(file.per_drive)


def test_the_frame_period_is_the_same_everywhere():
    periods = {
        file.name: read_parameters(shared_dir("config") / file.name).get("frame_dt")
        for file in CONFIG_FILES
    }
    assert {period for period in periods.values() if period is not None} == {0.1}


def test_the_planner_file_serves_evaluation_in_process_too():
    assert load_config(shared_dir("config") / "planner.yaml", PlannerConfig) == PlannerConfig()


def test_an_unknown_key_is_named_with_the_known_ones(tmp_path):
    path = tmp_path / "gate.yaml"
    write_parameters(path, {"limits": {"steer_rate": 1.0}})
    with pytest.raises(UserError, match=r"gate\.yaml: unknown key 'limits.steer_rate'.*jerk_up"):
        load_config(path, GateNodeConfig)


def test_a_bad_value_is_named(tmp_path):
    path = tmp_path / "gate.yaml"
    write_parameters(path, {"timing": {"heartbeat_s": -1.0}})
    with pytest.raises(UserError, match=r"timing\.heartbeat_s: .*greater than 0"):
        load_config(path, GateConfig)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("limits: {}", "should hold"),
        ("/**: {ros__parameters: {}, more: 1}", "should hold"),
        ("- 1", "should hold"),
        ("a: [", "not valid YAML"),
    ],
)
def test_files_of_another_form_are_refused(tmp_path, text, message):
    path = tmp_path / "gate.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_parameters(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*gone\.yaml"):
        read_parameters(tmp_path / "gone.yaml")


def test_nested_and_flattened_are_inverse():
    values = {"a": 1, "b": {"c": 2, "d": {"e": 3}}}
    assert nested(flattened(values)) == values
    assert flattened(values) == {"a": 1, "b.c": 2, "b.d.e": 3}
    with pytest.raises(UserError, match="value, not a group"):
        nested({"a": 1, "a.b": 2})
    with pytest.raises(UserError, match="group, not a value"):
        nested({"a.b": 2, "a": 1})


def test_unknown_keys_at_the_top_are_named():
    class Small(BaseModel):
        model_config = ConfigDict(extra="forbid")
        speed: float = 1.0

    with pytest.raises(UserError, match="here: unknown key 'sped'; known keys here: speed"):
        validated(Small, {"sped": 2.0}, "here")
