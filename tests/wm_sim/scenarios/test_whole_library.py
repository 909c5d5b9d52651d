"""Every scenario on its first stage: fair, within reach of the expert, out of reach of others.

Takes a minute or two: ``pytest -m slow tests/wm_sim/scenarios``.
"""

from __future__ import annotations

import pytest
from stages import CARELESS, brakes_in_time, run, stages_of

from wm_sim.scenarios import scenario_names, scenario_spec

pytestmark = pytest.mark.slow
TESTED = [name for name in scenario_names() if scenario_spec(name).about != "driving"]
PLAIN = ["forward", "keep_straight", "turn_left", "turn_right"]


@pytest.mark.parametrize("name", [*TESTED, *PLAIN])
def test_the_expert_masters_it(towns, name):
    town, route = stages_of(name)[0]
    scenario, _ = run(towns(town), name, route, None)
    assert scenario.status == "success", scenario.text


@pytest.mark.parametrize("name", TESTED)
def test_who_looks_at_nobody_fails(towns, name):
    town, route = stages_of(name)[0]
    scenario, _ = run(towns(town), name, route, CARELESS)
    assert scenario.status != "success"


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", TESTED)
def test_braking_half_a_second_after_the_trigger_avoids_a_collision(towns, name, share):
    town, route = stages_of(name)[0]
    assert brakes_in_time(towns(town), name, route, share)
