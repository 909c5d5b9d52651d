"""The parameter files under ``config/``: ROS parameter files with a typed model each.

Every file lists all parameters of its node that are not set per drive (model, town, role name ...).
``python -m wm_planner.config_files`` writes them anew from the models' defaults and descriptions.
"""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from wm_dynamics.errors import UserError
from wm_planner.parameters import validated
from wm_planner.paths import shared_dir

Model = TypeVar("Model", bound=BaseModel)
WIDTH = 100


@dataclass(frozen=True)
class ConfigFile:
    """One parameter file.

    Attributes:
        name: of the file.
        title: its first comment.
        model_name: ``module:Class`` of its model; resolved late, the modules may be heavy.
        per_drive: parameters that the launchers set, so they are not in the file.
    """

    name: str
    title: str
    model_name: str
    per_drive: tuple[str, ...] = ("role_name",)

    def model(self) -> type[BaseModel]:
        """The pydantic model."""
        module, name = self.model_name.split(":")
        return getattr(importlib.import_module(module), name)


CONFIG_FILES = (
    ConfigFile(
        "gate.yaml",
        "Safety gate: limits, timing, minimal-risk manoeuvre. Sources: wm_planner/gate_config.py.",
        "wm_planner.node_config:GateNodeConfig",
    ),
    ConfigFile(
        "planner.yaml",
        "Planner: sampling, what it aims for, cost weights (terms: wm_planner/costs.py).",
        "wm_planner.node_config:PlannerNodeConfig",
        ("role_name", "model", "driver", "seed", "threads"),
    ),
    ConfigFile(
        "perception.yaml",
        "Perception: synchronisation and filter.",
        "wm_perception.perception_node:PerceptionConfig",
        ("role_name", "model"),
    ),
    ConfigFile(
        "overlay.yaml",
        "Markers of what the stack believes, and the map.",
        "wm_planner.overlay_node:OverlayConfig",
    ),
    ConfigFile(
        "imagination.yaml",
        "Pictures of what the model sees and expects to see.",
        "wm_planner.imagination_node:ImaginationConfig",
        ("role_name", "model", "threads"),
    ),
    ConfigFile(
        "bridge.yaml",
        "Embedded simulator behind the topics of carla-ros-bridge.",
        "wm_sim.bridge_config:BridgeConfig",
        (
            "role_name",
            "town",
            "suite",
            "route",
            "seed",
            "traffic",
            "trucks",
            "cyclists",
            "pedestrians",
            "parked",
            "weather",
            "scenario",
            "sensors",
            "wait_for_start",
        ),
    ),
)


def read_parameters(path: Path) -> dict[str, Any]:
    """The nested parameters of a ROS parameter file for any node (``/**``).

    Raises:
        UserError: no such file, not YAML, or not of the form ``/**: {ros__parameters: {...}}``.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {error}") from None
    match content:
        case {"/**": {"ros__parameters": dict(values), **inner}, **outer} if not (inner or outer):
            return values
    raise UserError(f"{path} should hold '/**:', below it 'ros__parameters:' and nothing else")


def write_parameters(path: Path, values: Mapping[str, Any]) -> None:
    """Write nested parameters as a ROS parameter file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"/**": {"ros__parameters": dict(values)}}
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def load_config(path: Path, model: type[Model], /, **per_drive: Any) -> Model:
    """A parameter file as a validated model.

    Args:
        path: ROS parameter file.
        model: pydantic model.
        per_drive: values that are not in the file.

    Raises:
        UserError: unreadable file, unknown key, or a value the model rejects.
    """
    return validated(model, {**read_parameters(path), **per_drive}, str(path))


def render(file: ConfigFile) -> str:
    """The text of a parameter file with all defaults, descriptions as comments."""
    lines = [f"# {file.title}", "/**:", "  ros__parameters:"]
    lines += _render_fields(file.model(), "    ", file.per_drive)
    return "\n".join(lines) + "\n"


def _render_fields(model: type[BaseModel], indent: str, skip: tuple[str, ...]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        default = field.default
        if name in skip:
            continue
        if default is PydanticUndefined:
            raise ValueError(f"{model.__name__}.{name} has no default and is not set per drive")
        if isinstance(default, BaseModel):
            yield f"{indent}{name}:"
            yield from _render_fields(type(default), indent + "  ", ())
            continue
        if isinstance(default, tuple):
            listed = yaml.safe_dump(list(default), default_flow_style=True).strip()
            text = f"{indent}{name}: {listed}"
        else:
            text = indent + yaml.safe_dump({name: default}, default_flow_style=False).strip()
        comment = field.description or ""
        beside = f"{text}  # {comment}" if comment else text
        if len(beside) <= WIDTH:
            yield beside
            continue
        above = textwrap.wrap(comment, WIDTH - len(indent) - 2)
        yield from (f"{indent}# {line}" for line in above)
        yield text


def main() -> None:
    """Write all parameter files anew."""
    for file in CONFIG_FILES:
        path = shared_dir("config") / file.name
        path.write_text(render(file))
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
