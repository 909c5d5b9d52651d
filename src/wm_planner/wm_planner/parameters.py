"""ROS parameters of nodes whose configuration is nested: ``weights.lateral`` and the like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from wm_dynamics.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """``{"a.b": 1}`` -> ``{"a": {"b": 1}}``.

    Raises:
        UserError: a name is both a value and a group.
    """
    result: dict[str, Any] = {}
    for name, value in flat.items():
        *groups, leaf = name.split(".")
        level = result
        for group in groups:
            level = level.setdefault(group, {})
            if not isinstance(level, dict):
                raise UserError(f"parameter {name!r}: {group!r} is a value, not a group")
        if isinstance(level.get(leaf), dict):
            raise UserError(f"parameter {name!r} is a group, not a value")
        level[leaf] = value
    return result


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Inverse of :func:`nested`."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            result |= flattened(value, f"{prefix}{name}.")
        else:
            result[prefix + name] = value
    return result


def validated(model: type[Model], values: Mapping[str, Any], where: str) -> Model:
    """Nested values as a validated model.

    Args:
        model: pydantic model that forbids unknown keys.
        values: nested values.
        where: what to call the source in an error.

    Raises:
        UserError: an unknown key, or a value the model rejects.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        path = [str(part) for part in first["loc"]]
        message = f"{where}: {'.'.join(path)}: {first['msg']}"
        if first["type"] == "extra_forbidden":
            known = ", ".join(sorted(_fields(model, path[:-1])))
            message = f"{where}: unknown key {'.'.join(path)!r}; known keys here: {known}"
        raise UserError(message) from None


def _fields(model: type[BaseModel], path: list[str]) -> list[str]:
    """Names of the fields of the group at ``path``."""
    for name in path:
        group = model.model_fields[name].annotation
        if not (isinstance(group, type) and issubclass(group, BaseModel)):
            return []
        model = group
    return list(model.model_fields)


def updated(config: Model, changes: Mapping[str, Any]) -> Model:
    """A copy of ``config`` with some parameters changed, validated as a whole.

    Args:
        config: nested or flat.
        changes: dotted names and values.

    Raises:
        UserError: an unknown name, or a value the model rejects.
    """
    values = flattened(config.model_dump()) | dict(changes)
    return validated(type(config), nested(values), "parameters")


def node_parameters(node: Any, model: type[Model]) -> Model:
    """The ROS parameters of a node as a validated model; absent ones are declared with defaults.

    Args:
        node: made by :func:`wm_perception.node_tools.create_node`.
        model: pydantic model, nested or flat.

    Raises:
        UserError: an unknown parameter, or a value the model rejects.
    """
    from wm_perception.node_tools import ROS_PARAMETERS

    given = {
        name: parameter.value
        for name, parameter in node.get_parameters_by_prefix("").items()
        if name.split(".")[0] not in ROS_PARAMETERS
    }
    config = validated(model, nested(given), f"parameters of {node.get_name()}")
    for name, value in flattened(config.model_dump()).items():
        if name not in given and value is not None:
            node.declare_parameter(name, value)
    return config
