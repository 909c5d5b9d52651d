"""Where the files that ship beside the code lie: models, configuration, launch files."""

from __future__ import annotations

import sys
from pathlib import Path

from wm_dynamics.errors import UserError

DEFAULT_MODEL = "driving-bev"


def shared_dir(kind: str) -> Path:
    """The folder ``kind`` ("models", "config", "launch"): of the checkout, else as installed.

    Raises:
        UserError: neither is there.
    """
    checkout = Path(__file__).resolve().parents[3] / kind
    installed = Path(sys.prefix) / "share" / "wm_planner" / kind
    for candidate in (checkout, installed):
        if candidate.is_dir():
            return candidate
    raise UserError(f"{kind}/ is neither at {checkout} nor {installed}; install the project again")


def model_path(name: str | Path) -> Path:
    """A model directory: a path, or the name of a shipped model.

    Raises:
        UserError: there is no such directory.
    """
    path = Path(name)
    if path.is_dir():
        return path
    models = shared_dir("models")
    shipped = models / str(name)
    if shipped.is_dir():
        return shipped
    known = ", ".join(sorted(p.name for p in models.iterdir() if p.is_dir())) or "none"
    raise UserError(f"no model directory at '{name}'; shipped models: {known}")
