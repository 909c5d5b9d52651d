"""The rows of endpoints.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).with_name("endpoints.yaml")
SECTIONS = {
    "world": "Global topics",
    "ego": "Ego vehicle",
    "sensors": "Sensors",
    "objects": "Objects and lights",
    "services": "Services",
    "companions": "Companion nodes",
}


@dataclass(frozen=True)
class Row:
    """One endpoint, or one fact about several; the columns are explained in the file."""

    section: str
    name: str
    direction: str
    type: str = ""
    depth: int = 0
    latched: bool = False
    frame_id: str = ""
    encoding: str = ""
    step_per_pixel: int = 0
    fields: list[list[Any]] = field(default_factory=list)
    point_step: int = 0
    signs: dict[str, dict[str, str]] = field(default_factory=dict)
    facts: list[str] = field(default_factory=list)
    note: str = ""
    exception: str = ""

    def topic(self, role: str) -> str:
        """The full name for a role name."""
        name = self.name
        if name.startswith("R/"):
            name = f"/carla/{role}/{name[2:]}"
        return name.replace("ROLE", role)

    def message_type(self) -> type:
        """The rclpy class."""
        package, kind, name = self.type.split("/")
        return getattr(import_module(f"{package}.{kind}"), name)

    @property
    def offered(self) -> bool:
        """There is no exception for it."""
        return not self.exception


def read_rows() -> list[Row]:
    """All rows; an unknown column is an error."""
    return [Row(**values) for values in yaml.safe_load(FILE.read_text())["rows"]]


ROWS = read_rows()
PUBLISHED = [row for row in ROWS if row.direction == "publish" and row.offered]
SUBSCRIBED = [row for row in ROWS if row.direction == "subscribe" and row.offered]
SERVICES = [row for row in ROWS if row.direction == "service" and row.offered]
