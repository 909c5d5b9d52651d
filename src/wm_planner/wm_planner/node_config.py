"""Parameters of the planner node and the gate node: their algorithm's, plus what a node needs."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from wm_planner.gate_config import GateConfig
from wm_planner.planner_config import PlannerConfig


class GateNodeConfig(GateConfig):
    """Parameters of ``gate_node``; unknown ones are errors."""

    role_name: str = Field("ego_vehicle", min_length=1, description="of the ego vehicle")


class PlannerNodeConfig(PlannerConfig):
    """Parameters of ``planner_node``; unknown ones are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    model: str = Field(min_length=1, description="model directory, or name of a shipped model")
    driver: Literal["planner", "actor", "blind", "untrained"] = Field(
        "planner",
        description="actor: the model's learned behaviour decides; blind: imagines only its own "
        "motion; untrained: random weights",
    )
    role_name: str = Field("ego_vehicle", min_length=1, description="of the ego vehicle")
    threads: int = Field(1, ge=1, description="of who imagines")
