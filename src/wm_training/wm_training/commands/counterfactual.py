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
    camera_after: bool = False
    """With --camera: also what it sees after the fork, at the steps of a model, to learn from."""
    kinds: tuple[str, ...] = ()
    """Of queue, light, crossing, cut_in, ordinary only these, as far as there are any; else all."""
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
    from wm_training.counterfactual import collect
    from wm_training.counterfactual_job import CounterfactualJob
    from wm_training.situations import KINDS

    if args.situations < 1 or args.processes < 1 or args.seed < 0:
        raise UserError("--situations and --processes must be at least 1, --seed at least 0")
    if len(set(args.towns)) < len(args.towns):
        raise UserError("--towns names a town twice")
    for town in args.towns:
        load_town(town)
    if unknown := set(args.kinds) - set(KINDS):
        raise UserError(f"--kinds {' '.join(sorted(unknown))}: there are {', '.join(KINDS)}")
    if args.camera_after and not args.camera:
        raise UserError("--camera-after goes on with what --camera begins; give both")
    jobs = [
        CounterfactualJob(
            town, args.situations, args.seed, args.out / town, camera=args.camera,
            camera_after=args.camera_after, kinds=args.kinds,
        )
        for town in args.towns
    ]  # fmt: skip
    collect(jobs, args.processes)
