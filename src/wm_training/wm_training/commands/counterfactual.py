"""``wm dataset counterfactual``: the same situations with other actions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wm_dynamics.errors import UserError


@dataclass(frozen=True)
class Counterfactual:
    """Fork the simulator in queues, at lights, crossings and cut-ins, and drive on in eight ways.

    Goes on where it was stopped.
    """

    towns: tuple[str, ...] = tuple(f"train{i:02d}" for i in range(1, 7))
    """Towns to drive in."""
    situations: int = 300
    """Situations per town, each with eight branches."""
    camera: bool = False
    """Keep what the front camera saw before the fork too, every drive in a weather of its own."""
    seed: int = 0
    """Seed of routes, traffic, drivers and actions."""
    out: Path = Path("data/counterfactual")
    """Folder that gets one store per town."""
    processes: int = 2
    """Simulators run at once."""


def counterfactual(args: Counterfactual) -> None:
    """Run the command.

    Raises:
        UserError: an unknown town, or numbers that make no sense.
    """
    from wm_sim.town_files import load_town
    from wm_training.counterfactual import CounterfactualJob, collect

    if args.situations < 1 or args.processes < 1 or args.seed < 0:
        raise UserError("--situations and --processes must be at least 1, --seed at least 0")
    if len(set(args.towns)) < len(args.towns):
        raise UserError("--towns names a town twice")
    for town in args.towns:
        load_town(town)
    jobs = [
        CounterfactualJob(t, args.situations, args.seed, args.out / t, camera=args.camera)
        for t in args.towns
    ]
    collect(jobs, args.processes)
