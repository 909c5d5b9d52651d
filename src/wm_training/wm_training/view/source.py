"""What the server needs of whatever is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from wm_training.view.parts import Parts


class Source(Protocol):
    """The running graph, or a recording. All calls come from one thread.

    Attributes:
        parts: what is shown; ``about`` says which controls there are.
    """

    parts: Parts

    def poll(self) -> None:
        """Bring the parts up to date; called many times a second while somebody watches."""

    def rest(self) -> None:
        """Nobody watches any more: cost nothing until the next :meth:`poll`."""

    def welcome(self) -> None:
        """Somebody has come: make the past a part."""

    def control(self, request: Mapping[str, Any]) -> str:
        """Do what a watcher asks; what was done, in words.

        Raises:
            UserError: it cannot be done.
        """
        ...

    def close(self) -> None:
        """Release everything."""
