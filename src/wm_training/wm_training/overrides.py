"""Single parameters set on a command line: ``horizon=20``, ``weights.collision=80``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from wm_dynamics.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


def with_settings(config: Model, settings: Iterable[str]) -> Model:
    """A copy of a configuration with some values set.

    Args:
        config: the values to begin with.
        settings: ``KEY=VALUE``; the key is a dotted path, the value is read as YAML.

    Raises:
        UserError: no such key, or a value that is not allowed.
    """
    values = config.model_dump()
    for text in settings:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise UserError(f"{text!r} is no setting; write KEY=VALUE, e.g. horizon=20")
        _set(values, key.strip(), value)
    try:
        return type(config).model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(f"setting {place}: {first['msg']}") from error


def _set(values: dict[str, Any], key: str, value: str) -> None:
    *path, last = key.split(".")
    node: Any = values
    for part in path:
        node = node.get(part) if isinstance(node, dict) else None
    if not isinstance(node, dict) or last not in node:
        known = ", ".join(_keys(values))
        raise UserError(f"there is no parameter {key!r}; known: {known}")
    if isinstance(node[last], dict):
        raise UserError(f"{key} is a group; set one of {', '.join(_keys(node[last], key + '.'))}")
    try:
        node[last] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise UserError(f"setting {key}: {value!r} cannot be read") from None


def _keys(values: dict[str, Any], prefix: str = "") -> list[str]:
    """All dotted keys."""
    found: list[str] = []
    for key, value in values.items():
        nested = isinstance(value, dict)
        found += _keys(value, f"{prefix}{key}.") if nested else [f"{prefix}{key}"]
    return found
