"""``wm sim``: the embedded simulator and its bridge alone, for any stack or hand-written node."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Literal

import tyro

from wm_dynamics.errors import UserError
from wm_training.commands.world_options import WorldOptions

PASSED_ON = (
    *(field.name for field in fields(WorldOptions)),
    "town",
    "seed",
    "route",
    "role_name",
    "frame_dt",
    "sensors",
    "camera",
    "interface",
)


@dataclass(frozen=True)
class Args(WorldOptions):
    """Run the embedded simulator behind carla-ros-bridge's topics until Ctrl-C."""

    town: str = "test01"
    """Town to simulate."""
    seed: int = 0
    """Seed of the traffic and of the lights' phase."""
    route: int = 0
    """Number of the route that is published as waypoints."""
    sync: Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(name="sync")] = False
    """Lockstep: wait up to 1 s for one command per frame (the default)."""
    realtime: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Pace the frames in real time instead."""
    role_name: str = "ego_vehicle"
    """Role name: part of every topic's name."""
    frame_dt: float = 0.1
    """Simulated seconds per frame."""
    sensors: str = "front"
    """Sensor rig: front (one camera), full (CARLA's example), or the path of an objects.json."""
    camera: bool = True
    """Render cameras (needs EGL)."""
    interface: Literal["bridge", "native"] = "bridge"
    """Whose topics: carla-ros-bridge's, or those of CARLA's own ROS 2 interface."""
    fault: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Fault to inject into the topics, e.g. odometry:delay:3; repeatable."""


def main(args: Args) -> None:
    """Run the bridge in this process."""
    from wm_sim.bridge_node import main as bridge
    from wm_sim.faults_spec import parse_faults
    from wm_sim.town_files import load_town

    if args.sync and args.realtime:
        raise UserError("choose either --sync or --realtime")
    load_town(args.town)
    values = {name: getattr(args, name) for name in PASSED_ON}
    values["synchronous"] = not args.realtime
    values["faults"] = ",".join(fault.text for fault in parse_faults(args.fault))
    parameters = [
        part for key, value in values.items() for part in ("-p", f"{key}:={_as_yaml(value)}")
    ]
    bridge(["wm_sim", "--ros-args", *parameters])


def _as_yaml(value: object) -> str:
    """A value as ROS reads it on a command line; texts are quoted, ``1`` shall stay a text."""
    if isinstance(value, str):
        return f"'{value}'"
    return str(value).lower()
