"""docs/nodes.md from the code: ``python docs/make_nodes.py``.

Every node with its topics, parameters, types, units and defaults. Units come from the names
(``_s``, ``_mps`` ...), words from the fields' descriptions, or else from their class' docstring.
"""

from __future__ import annotations

import importlib
import inspect
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from wm_perception.topics import topic
from wm_planner.node_topics import NODE_TOPICS

PAGE = Path(__file__).parent / "nodes.md"
# Node, module, class of its parameters, page with more.
NODES = (
    ("wm_perception", "wm_perception.perception_node", "PerceptionConfig", "architecture.md"),
    ("wm_planner", "wm_planner.planner_node", "PlannerNodeConfig", "planner.md"),
    ("wm_gate", "wm_planner.gate_node", "GateNodeConfig", "gate.md"),
    ("wm_manager", "wm_planner.manager_node", "ManagerConfig", "architecture.md"),
    ("wm_overlay", "wm_planner.overlay_node", "OverlayConfig", "rviz.md"),
    ("wm_imagination", "wm_planner.imagination_node", "ImaginationConfig", "rviz.md"),
    ("wm_view", "wm_training.view_node", "ViewConfig", "view.md"),
    ("wm_recorder", "wm_training.recorder_node", "RecorderConfig", "bags.md"),
    ("carla_ros_bridge", "wm_sim.bridge_node", "BridgeConfig", "contract.md"),
    ("wm_expert", "wm_sim.expert_node", "ExpertConfig", "expert.md"),
)
UNITS = {
    "radps2": "rad/s²", "radps": "rad/s", "mps3": "m/s³", "mps2": "m/s²", "mps": "m/s", "ms": "ms",
    "dt": "s", "s": "s", "m": "m", "rad": "rad", "deg": "°", "px": "px",
}  # fmt: skip
HEAD = """# Nodes

What every node publishes, reads and can be told. Written by `python docs/make_nodes.py` from the
code; a test compares. Topics with types, QoS and frames: [topics.md](topics.md). Parameter files:
[topics.md](topics.md#node-parameters).

*per drive*: no default, the launch file and `wm drive` set it. A unit follows from the end of the
name. `/parameter_events`, `/rosout` and the services that every ROS 2 node has are left out.
"""


def first_line(module_name: str) -> str:
    """What a node's module says it is."""
    text = inspect.getdoc(importlib.import_module(module_name)) or ""
    line = text.split("\n\n")[0].replace("\n", " ").removeprefix("ROS node: ").rstrip(".")
    return f"{line[0].upper()}{line[1:]}."


def described(model: type[BaseModel]) -> dict[str, str]:
    """Field -> words, from the ``Attributes`` of the class and of those it is made of."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if "Attributes:" not in (base.__doc__ or ""):
            continue
        text = inspect.cleandoc(base.__doc__ or "").split("Attributes:\n")[1].split("\n\n")[0]
        for names, words in re.findall(r"^    (\w[\w, ]*): (.*(?:\n {5,}.*)*)", text, re.M):
            for name in names.split(", "):
                found[name] = re.sub(r"\s+", " ", words).replace("``", "`").rstrip(".")
    return found


def unit(name: str) -> str:
    """The unit that the end of a name says."""
    leaf = name.split(".")[-1]
    return UNITS.get(leaf.split("_")[-1], "") if "_" in leaf else ""


def type_name(field: FieldInfo) -> str:
    """A short word for a field's type."""
    kind: Any = field.annotation
    if typing.get_origin(kind) is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return f"list of {typing.get_args(kind)[0].__name__}"
    return getattr(kind, "__name__", str(kind))


def default_text(value: Any) -> str:
    """A default as a parameter file has it."""
    if value is PydanticUndefined:
        return "*per drive*"
    if isinstance(value, tuple):
        return "`[" + ", ".join(map(str, value)) + "]`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    return "empty" if value in ("", None) else f"`{value}`"


def rows(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """A table row per parameter; groups are flattened as ROS has them."""
    words = described(model)
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield from rows(type(field.default), f"{prefix}{name}.")
            continue
        full, said = prefix + name, field.description or words.get(name, "")
        cells = (f"`{full}`", type_name(field), unit(full), default_text(field.default), said)
        yield "| " + " | ".join(cells).replace("\n", " ") + " |"


def topic_list(keys: tuple[str, ...]) -> str:
    """Names of topics in backticks."""
    return ", ".join(f"`{topic(key).name('ROLE')}`" for key in keys)


def section(name: str, module_name: str, class_name: str, page: str) -> str:
    """All about one node."""
    package, executable = module_name.split(".")
    model = getattr(importlib.import_module(module_name), class_name)
    lines = [f"## {name}", "", first_line(module_name), ""]
    lines += [f"`ros2 run {package} {executable}`. More: [{page}]({page}).", ""]
    if name in NODE_TOPICS:
        topics = NODE_TOPICS[name]
        lines += [f"Publishes {topic_list(topics.publishes)}.", ""]
        lines += [f"Reads {topic_list(topics.reads)}.", ""]
    lines += ["| parameter | type | unit | default | |", "|---|---|---|---|---|", *rows(model)]
    return "\n".join(lines) + "\n"


def render() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(section(*node) for node in NODES)])


if __name__ == "__main__":
    PAGE.write_text(render())
