"""``wm inspect``: how good a model's imagination is, as a page with figures."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.console import Console

from wm_dynamics.checkpoint import load_checkpoint
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_planner.paths import model_path
from wm_sim.town_files import load_town
from wm_training.inspect_beyond import measure_beyond
from wm_training.inspect_drives import TOWNS, standard_store
from wm_training.inspect_moments import window_sampler
from wm_training.inspect_run import PAGE, inspect, make_folder
from wm_training.inspect_summary import write_json
from wm_training.store import Store


@dataclass
class Args:
    """Measure a world model on driving it has not seen; writes a page with figures.

    Without --data and --bag the driving is recorded in the simulator, in the towns --towns, and
    kept; what only a simulator can say (other actions, disturbed observations) is measured there.
    """

    # Model directory or name of a shipped model.
    model: Path
    # Folder that gets index.html, the figures and the videos (default: runs/inspect/MODEL).
    out: Path | None = None
    # Training stores to measure on ...
    data: list[Path] = field(default_factory=list)
    # ... or a recorded bag.
    bag: Path | None = None
    # Towns to drive in that the model has not seen (default: val01 val02, with neither of these).
    towns: list[str] = field(default_factory=list)
    # Stores of `wm dataset counterfactual` (default: recorded in the towns).
    counterfactual: list[Path] = field(default_factory=list)
    # Stores to fit the kinematic bicycle on (default: each half of the episodes by the other).
    fit: list[Path] = field(default_factory=list)
    # Moments to measure at, evenly spaced over the data.
    windows: int = 2000
    # File that gets the numbers.
    json: Path | None = None
    # Folder of what is recorded in the simulator.
    recorded: Path = Path("data/inspect")
    # CPU threads.
    threads: int = 1


def main(args: Args) -> None:
    """Run the command."""
    if args.data and args.bag is not None:
        raise UserError("give what to measure on: --data STORE or --bag BAG, not both")
    if args.windows < 1:
        raise UserError("--windows must be at least 1")
    for town in args.towns:
        load_town(town)
    torch.set_num_threads(args.threads)
    console = Console()
    path = model_path(args.model)
    model = load_checkpoint(path)
    out = args.out or Path("runs/inspect") / path.name
    given = bool(args.data) or args.bag is not None
    towns = args.towns or ([] if given else list(TOWNS))
    fit = Store.open(*args.fit) if args.fit else None
    with tempfile.TemporaryDirectory() as scratch:
        store = _store(args, model, towns, Path(scratch) / "store", console)
        window_sampler(model, store)  # refuses what does not fit before the long work begins
        make_folder(out)
        beyond = measure_beyond(model, towns, args.counterfactual, args.recorded, out)
        source = args.bag or " ".join([p.name for p in args.data] or towns)
        title = f"{path.name} on {Path(source).name}"
        result = inspect(model, store, fit, out, args.windows, title, beyond)
    if args.json is not None:
        write_json(result, args.json)
    console.print(f"page: {out / PAGE}", soft_wrap=True)


def _store(
    args: Args, model: WorldModel, towns: list[str], scratch: Path, console: Console
) -> Store:
    """The data: stores, a bag turned into one, or driving recorded in the towns."""
    if args.data:
        return Store.open(*args.data)
    if args.bag is None:
        camera = bool(model.config.cameras)
        return Store.open(*(standard_store(town, camera, args.recorded) for town in towns))
    from wm_perception.camera_stream import camera_stream
    from wm_training.bag_frames import Sources
    from wm_training.from_bag import BuildOptions, build_store

    options = BuildOptions(Sources.of_model(camera_stream(model.config)))
    build_store([args.bag], scratch, options, console)
    return Store.open(scratch)
