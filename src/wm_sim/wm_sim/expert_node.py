"""ROS node: the rule-based expert drives whatever source of the topics there is."""

from __future__ import annotations

import sys
import time

from pydantic import BaseModel, ConfigDict, Field

from wm_perception.diagnostics import DiagnosticsPublisher
from wm_perception.node_tools import (
    FrameInput,
    create_node,
    header,
    parameters,
    publisher,
    run,
    steady_timer,
)
from wm_perception.sync import FrameAssembler
from wm_sim.bridge_messages import control
from wm_sim.expert import Expert, ExpertStyle

REPORT_S = 1.0


class ExpertConfig(BaseModel):
    """Parameters of ``expert_node``; unknown ones are errors.

    Attributes:
        role_name: role name of the ego vehicle.
        cruise_mps: desired speed.
        max_steer_rad: front wheel angle at full steer (1.22 for CARLA's Model 3).
        grip: tyre friction as a fraction of a dry road's; no topic tells the weather.
        require_lights: hold frames until traffic lights are known.
    """

    model_config = ConfigDict(extra="forbid")

    role_name: str = Field("ego_vehicle", min_length=1)
    cruise_mps: float = Field(ExpertStyle.cruise_mps, gt=0)
    max_steer_rad: float = Field(ExpertStyle.max_steer_rad, gt=0)
    grip: float = Field(ExpertStyle.grip, gt=0, le=1)
    require_lights: bool = True


class ExpertNode:
    """Assembler and expert, and their ROS ends."""

    def __init__(self):
        self.node = create_node("wm_expert")
        config = parameters(self.node, ExpertConfig)
        self._expert = Expert(
            ExpertStyle(
                cruise_mps=config.cruise_mps,
                max_steer_rad=config.max_steer_rad,
                grip=config.grip,
            )
        )
        self._assembler = FrameAssembler(config.role_name, require_lights=config.require_lights)
        self._scene = None
        self._commands = publisher(self.node, "vehicle_control_cmd", config.role_name)
        self._diagnostics = DiagnosticsPublisher(self.node, "wm_expert", config.role_name)
        self._input = FrameInput(self.node, config.role_name, self._feed, skip=("image",))
        steady_timer(self.node, REPORT_S, self._report)

    def _feed(self, key: str, message) -> None:
        frame = self._assembler.feed(key, message, time.monotonic())
        if frame is None:
            return
        if self._scene is not self._assembler.scene:
            self._scene = self._assembler.scene
            self._expert.reset(self._scene)
        message = control(self._expert.drive(frame))
        message.header = header(frame.stamp_ns)
        self._commands.publish(message)

    def _report(self) -> None:
        health = self._assembler.health
        missing = health.missing(time.monotonic())
        if not missing and health.waiting_for and not health.paused:
            missing = [f"waiting for {health.waiting_for}"]
        self._diagnostics.add("inputs", missing, health.problems, health.texts)
        self._diagnostics.send()


def main(args: list[str] | None = None) -> int:
    """Entry point of ``expert_node``."""
    return run(ExpertNode, args)


if __name__ == "__main__":
    sys.exit(main())
