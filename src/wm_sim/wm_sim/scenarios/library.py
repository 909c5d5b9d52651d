"""The library of scenarios: YAML files, read, checked and filled in with the seed's parameters."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import ValidationError

from wm_dynamics.errors import UserError
from wm_sim.scenarios.spec import Parameter, ScenarioSpec

LIBRARY = Path(__file__).parent / "library"


def scenario_names() -> list[str]:
    """Names of the scenarios in the library, sorted."""
    return sorted(path.stem for path in LIBRARY.glob("*.yaml"))


def read_scenario(path: Path, rng: np.random.Generator | None = None) -> ScenarioSpec:
    """A scenario file with the parameters' defaults, or with values drawn by ``rng``.

    Raises:
        UserError: the file cannot be read, or says something that is not allowed.
    """
    raw, parameters = _read(path)
    values = {name: p.default for name, p in parameters.items()}
    if rng is not None:  # in the order of the names, so that the file's order does not matter
        values = {
            name: float(rng.uniform(parameters[name].low, parameters[name].high))
            for name in sorted(parameters)
        }
    return fill_in(raw, values, path.name)


@lru_cache(maxsize=256)
def _read(path: Path) -> tuple[dict[str, Any], dict[str, Parameter]]:
    try:
        raw = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{path.name}: {error}") from error
    if not isinstance(raw, dict):
        raise UserError(f"{path.name}: a scenario is a mapping of keys to values")
    raw.setdefault("name", path.stem)
    if raw["name"] != path.stem:
        raise UserError(f"{path.name}: the name inside is '{raw['name']}'")
    ranges = raw.get("parameters") or {}
    try:
        parameters = {name: Parameter.model_validate(value) for name, value in ranges.items()}
    except (ValidationError, AttributeError) as error:
        raise UserError(f"{path.name}: parameters: {_first(error)}") from error
    return raw, parameters


def fill_in(raw: dict[str, Any], values: dict[str, float], file: str) -> ScenarioSpec:
    """The scenario with a value for every parameter.

    Raises:
        UserError: a reference to no parameter, a parameter that nothing uses, or a wrong value.
    """
    used: set[str] = set()

    def replaced(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: replaced(value) for key, value in node.items()}
        if isinstance(node, list):
            return [replaced(value) for value in node]
        if isinstance(node, str) and node.startswith("$"):
            if node[1:] not in values:
                raise UserError(f"{file}: there is no parameter {node[1:]}")
            used.add(node[1:])
            return values[node[1:]]
        return node

    filled = replaced(raw)
    unused = sorted(set(values) - used)
    if unused:
        raise UserError(f"{file}: nothing uses the parameter {unused[0]}")
    try:
        return ScenarioSpec.model_validate(filled)
    except (ValidationError, UserError) as error:
        raise UserError(f"{file}: {_first(error)}") from error


def scenario_spec(name: str, rng: np.random.Generator | None = None) -> ScenarioSpec:
    """A scenario of the library, or of the file when ``name`` ends with ``.yaml``.

    Raises:
        UserError: there is no such scenario, or the file is wrong, see :func:`read_scenario`.
    """
    return read_scenario(_path(name), rng)


def _path(name: str) -> Path:
    if name.endswith(".yaml"):
        return Path(name)
    if name not in scenario_names():
        raise UserError(f"unknown scenario '{name}'; known: {', '.join(scenario_names())}")
    return LIBRARY / f"{name}.yaml"


def _first(error: Exception) -> str:
    """The first complaint, with the place it is about."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
