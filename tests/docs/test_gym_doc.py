"""The tables of docs/gym.md and docs/sensors.md say what the code says."""

from __future__ import annotations

import pytest
from pages import ROOT, row_of

from wm_perception.bev import CHANNELS
from wm_sim.env import FAILURES, SUCCESSES
from wm_sim.env_config import EnvConfig, ResetOptions
from wm_sim.rewards import PRESETS, TERMS
from wm_sim.rig import KNOWN_TYPES, PSEUDO


def text_of(page: str) -> str:
    return (ROOT / "docs" / page).read_text()


@pytest.mark.parametrize("term", TERMS)
def test_reward_weights(term: str):
    row = row_of("gym.md", term, columns=5)
    for preset, cell in zip(("default", "cardreamer", "curriculum"), row[2:], strict=True):
        weight = PRESETS[preset].weights.get(term)
        written = float(cell.replace("\N{MINUS SIGN}", "-")) if cell else None
        assert written == (weight if weight is None else pytest.approx(weight)), preset


def test_arguments_options_reasons_and_channels():
    text = text_of("gym.md")
    for name in (*EnvConfig.model_fields, *ResetOptions.model_fields, *FAILURES, *SUCCESSES):
        assert f"`{name}`" in text, name
    assert ", ".join(CHANNELS).replace("_", " ") in text


def test_every_sensor_is_described():
    text = text_of("sensors.md")
    for name in set(KNOWN_TYPES) - set(PSEUDO):
        assert name in text or name.removeprefix("sensor.other.") in text, name
