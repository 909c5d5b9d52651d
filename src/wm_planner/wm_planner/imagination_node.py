"""ROS node: pictures of what the model sees and expects to see, for whoever watches.

A process of its own, so that drawing never delays a plan. The model is loaded when somebody first
asks for what it expects; until then this is a small process that waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from wm_dynamics.errors import UserError
from wm_perception.bev_picture import mask_tile
from wm_perception.endpoints import Essential
from wm_perception.image_message import image_message, mask_of
from wm_perception.lifecycle import ManagedNode
from wm_perception.messages import MessageError, stamp_ns
from wm_perception.node_tools import header, leave, run
from wm_planner.demand import Demand
from wm_planner.parameters import node_parameters
from wm_planner.paths import model_path

if TYPE_CHECKING:  # it needs torch, which is loaded only when it is needed
    from wm_planner.imagination_engine import ImaginationEngine

ESSENTIAL = Essential(inputs=(), outputs=())  # who only watches waits for nobody
NEEDS = {
    "bev": ("bev_mask",),
    "surprise_map": ("latent", "bev_mask"),
    "imagined_bev": ("latent", "bev_mask", "imagined_rollouts"),
    "imagined_camera": ("latent", "bev_mask", "imagined_rollouts"),
}


class ImaginationConfig(BaseModel):
    """Parameters of ``imagination_node``; unknown ones are errors."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model: str = Field(min_length=1, description="model directory, or name of a shipped model")
    role_name: str = Field("ego_vehicle", min_length=1, description="of the ego vehicle")
    threads: int = Field(1, ge=1, description="torch threads")
    period_s: float = Field(
        0.5, gt=0, description="between two drawings of the same kind, s of wall time"
    )
    horizons_s: tuple[float, ...] = Field(
        (0.5, 1.0, 2.0, 3.0),
        min_length=1,
        description="which moments of the chosen plan are drawn, s; rounded up to steps",
    )
    surprise_s: float = Field(
        1.0, gt=0, le=3, description="age of the expectation that is compared with what is seen, s"
    )
    tile_px: int = Field(192, ge=64, le=1024, description="side of a tile")


class ImaginationNode:
    """Messages to the engine, pictures out: the work of a managed node."""

    def __init__(self, host: ManagedNode):
        """Open the topics.

        Raises:
            UserError: a parameter cannot be used, or there is no such model.
        """
        self._host, self.node = host, host.node
        self.config = config = node_parameters(self.node, ImaginationConfig)
        model_path(config.model)
        self.role = config.role_name
        self._engine: ImaginationEngine | None = None
        self._broken = self._problem = ""
        self._drawn_s: dict[str, float] = {}
        self._demand = Demand(
            self.node,
            self.role,
            NEEDS,
            {
                "latent": self._on_latent,
                "bev_mask": self._on_mask,
                "imagined_rollouts": self._on_rollouts,
            },
        )

    def activate(self) -> None:
        """The next picture is drawn at once."""
        self._drawn_s.clear()

    def deactivate(self) -> None:
        """Nothing to say."""

    def _load(self) -> ImaginationEngine | None:
        """The engine, loaded once; None when that failed: it is in the diagnostics."""
        if self._engine is None and not self._broken:
            from wm_planner.imagination_engine import ImaginationEngine

            config = self.config
            try:
                self._engine = ImaginationEngine(
                    config.model,
                    config.threads,
                    config.horizons_s,
                    config.surprise_s,
                    config.tile_px,
                )
            except UserError as error:
                self._broken = str(error)
            else:
                self.node.get_logger().info(f"somebody watches: model {config.model} loaded")
        return self._engine

    def _on_latent(self, message) -> None:
        self._try(lambda engine: engine.believe(message))

    def _on_mask(self, message) -> None:
        if not self._host.active:
            return
        stamp = stamp_ns(message.header.stamp)
        try:
            mask = mask_of(message)
        except MessageError as error:
            self._problem = str(error)
            return
        self._show("bev", stamp, lambda: mask_tile(mask, self.config.tile_px))
        if "latent" in self._demand.inputs:  # the picture of the mask alone needs no model
            self._try(lambda engine: engine.see(stamp, mask))
            self._draw("surprise_map", stamp, lambda engine: engine.surprise(stamp))

    def _on_rollouts(self, message) -> None:
        stamp = stamp_ns(message.header.stamp)
        self._draw("imagined_bev", stamp, lambda engine: engine.future_masks(message))
        self._draw("imagined_camera", stamp, lambda engine: engine.future_cameras(message))

    def _try(self, use: Callable[[ImaginationEngine], Any]) -> Any:
        """Use the engine; a message that it cannot use is a problem to report."""
        engine = self._load() if self._host.active else None
        if engine is None:
            return None
        try:
            result = use(engine)
        except ValueError as error:
            self._problem = str(error)
            return None
        self._problem = ""
        return result

    def _draw(
        self, key: str, stamp: int, draw: Callable[[ImaginationEngine], np.ndarray | None]
    ) -> None:
        """Draw, if somebody watches and the last drawing is old enough."""
        now_s = time.monotonic()
        due = now_s - self._drawn_s.get(key, -np.inf) >= self.config.period_s
        if not (due and self._demand.wanted(key)):
            return
        picture = self._try(draw)
        if picture is not None:
            self._drawn_s[key] = now_s
            self._show(key, stamp, lambda: picture)

    def _show(self, key: str, stamp: int, build: Callable[[], np.ndarray]) -> None:
        self._demand.show(key, lambda: image_message(build(), header(stamp, self.role)))

    def report(self) -> None:
        """What was drawn, and what cannot be."""
        errors = [text for text in (self._broken, self._problem) if text]
        inputs = ", ".join(sorted(self._demand.inputs)) or "none"
        values = {**self._demand.built, "inputs": inputs, "model loaded": self._engine is not None}
        self._host.diagnostics.add("drawn", errors, values=values)


def main(args: list[str] | None = None) -> NoReturn:
    """Entry point of ``imagination_node``."""
    leave(run(lambda: ManagedNode("wm_imagination", ImaginationNode, ESSENTIAL), args))


if __name__ == "__main__":
    main()
