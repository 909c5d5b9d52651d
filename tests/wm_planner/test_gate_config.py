"""The gate's parameters: what is refused, and that the file says what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from wm_planner.gate_config import GateConfig

FILE = Path(__file__).parents[2] / "config/gate.yaml"
DEFAULTS = GateConfig().model_dump()
NUMBERS = [
    (section, name, value)
    for section, values in DEFAULTS.items()
    for name, value in values.items()
    if not isinstance(value, bool)
]
# Zero means something for these: at once, no reserve.
MAY_BE_ZERO = {"manoeuvre_patience_s", "response_s", "other_response_s", "accel_mps2"}
MAY_BE_ZERO |= {"lateral_accel_mps2", "lateral_margin_m", "standoff_m"}


def accepts(section: str, name: str, value: float) -> bool:
    try:
        GateConfig.model_validate({section: {name: value}})
    except ValidationError:
        return False
    return True


def test_the_parameter_file_says_what_the_code_does():
    parameters = yaml.safe_load(FILE.read_text())["/**"]["ros__parameters"]
    assert parameters == DEFAULTS
    assert GateConfig.model_validate(parameters) == GateConfig()


@pytest.mark.parametrize("section, name, value", NUMBERS)
def test_numbers_have_the_sign_that_makes_sense(section, name, value):
    smaller = 1 if isinstance(value, int) else value * 1e-3
    assert accepts(section, name, smaller)
    assert accepts(section, name, 0 * value) == (name in MAY_BE_ZERO)
    if value:
        assert not accepts(section, name, -smaller)
    for bad in (float("nan"), float("inf")):
        assert not accepts(section, name, bad)


def test_a_lock_of_a_right_angle_is_refused():
    assert accepts("vehicle", "max_steer_rad", 1.49)
    assert not accepts("vehicle", "max_steer_rad", 1.5)


def test_unknown_parameters_are_refused_everywhere():
    for section, value in DEFAULTS.items():
        assert isinstance(getattr(GateConfig(), section), BaseModel)
        with pytest.raises(ValidationError, match="no_such"):
            GateConfig.model_validate({section: {**value, "no_such": 1.0}})
    with pytest.raises(ValidationError, match="no_such"):
        GateConfig.model_validate({"no_such": 1.0})


def test_parameters_cannot_change_while_driving():
    with pytest.raises(ValidationError, match="frozen"):
        GateConfig().limits.steer_rate_radps = 3.0
