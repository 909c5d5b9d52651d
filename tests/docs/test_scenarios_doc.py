"""docs/scenarios.md says what the scenario files say, and shows a picture of each."""

from __future__ import annotations

import importlib.util

import pytest
from pages import ROOT

from wm_sim.scenarios import scenario_names

SMALL_BYTES = 150_000


def test_the_tables_are_fresh():
    path = ROOT / "docs" / "make_scenario_docs.py"
    spec = importlib.util.spec_from_file_location("make_scenario_docs", path)
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    stale = "run python docs/make_scenario_docs.py"
    assert (ROOT / "docs" / "scenarios.md").read_text() == maker.page(), stale


@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_has_a_small_picture(name):
    picture = ROOT / "docs" / "images" / "scenarios" / f"{name}.png"
    assert 1000 < picture.stat().st_size < SMALL_BYTES
