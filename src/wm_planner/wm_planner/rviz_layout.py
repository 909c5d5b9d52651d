"""RViz' layout for another role name than the one it is written for."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from wm_dynamics.errors import UserError
from wm_perception.topics import DEFAULT_ROLE


def layout_for(role: str, layout: Path) -> Path:
    """The layout file for a role name: itself, or a copy with that role's topics and frames.

    Raises:
        UserError: the layout cannot be read.
    """
    if role == DEFAULT_ROLE:
        return layout
    try:
        text = layout.read_text()
    except OSError as error:
        raise UserError(f"cannot read {layout}: {error.strerror}") from None
    copy = Path(tempfile.gettempdir()) / f"{layout.stem}.{role}.{os.getuid()}{layout.suffix}"
    partial = copy.with_suffix(f".{os.getpid()}")
    partial.write_text(text.replace(DEFAULT_ROLE, role))
    partial.replace(copy)
    return copy
