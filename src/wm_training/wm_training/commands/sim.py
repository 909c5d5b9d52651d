"""``wm sim``: the embedded simulator and its bridge alone, for any stack or hand-written node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from wm_dynamics.errors import UserError


@dataclass(frozen=True)
class Args:
    """Run the embedded simulator behind carla-ros-bridge's topics until Ctrl-C."""

    town: str = "test01"
    """Town to simulate."""
    seed: int = 0
    """Seed of the traffic and of the lights' phase."""
    traffic: int = 20
    """Number of other cars."""
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
    camera: bool = True
    """Render the front camera (needs EGL)."""


def main(args: Args) -> None:
    """Run the bridge in this process."""
    from wm_sim.bridge_node import main as bridge
    from wm_sim.town_files import load_town

    if args.sync and args.realtime:
        raise UserError("choose either --sync or --realtime")
    load_town(args.town)
    values = {
        "town": args.town,
        "seed": args.seed,
        "traffic": args.traffic,
        "route": args.route,
        "role_name": args.role_name,
        "synchronous": str(not args.realtime).lower(),
        "frame_dt": args.frame_dt,
        "camera": str(args.camera).lower(),
    }
    parameters = [part for key, value in values.items() for part in ("-p", f"{key}:={value}")]
    bridge(["wm_sim", "--ros-args", *parameters])
