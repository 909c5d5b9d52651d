"""Scenarios: situations that are staged on a route and judged. See ``docs/scenarios.md``."""

from __future__ import annotations

from wm_sim.scenarios.engine import Scenario
from wm_sim.scenarios.library import scenario_names, scenario_spec


def load_scenario(name: str) -> Scenario:
    """A scenario of the library, or of a file, to be started; see :func:`scenario_spec`.

    Raises:
        UserError: there is no such scenario.
    """
    return Scenario(name)


__all__ = ["Scenario", "load_scenario", "scenario_names", "scenario_spec"]
