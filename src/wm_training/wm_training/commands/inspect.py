"""``wm inspect``: how good a model's imagination is, as a page with figures."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.console import Console

from wm_dynamics.checkpoint import load_checkpoint
from wm_dynamics.errors import UserError
from wm_planner.paths import model_path
from wm_training.inspect_run import PAGE, inspect
from wm_training.inspect_summary import write_json
from wm_training.store import Store


@dataclass
class Args:
    """Measure a world model on driving it has not seen; writes a page with figures."""

    # Model directory or name of a shipped model.
    model: Path
    # Folder that gets index.html, the figures and the videos.
    out: Path
    # Training stores to measure on ...
    data: list[Path] = field(default_factory=list)
    # ... or a recorded bag.
    bag: Path | None = None
    # Stores to fit the kinematic bicycle on (default: each half of the episodes by the other).
    fit: list[Path] = field(default_factory=list)
    # Moments to measure at, evenly spaced over the data.
    windows: int = 2000
    # File that gets the numbers.
    json: Path | None = None
    # CPU threads.
    threads: int = 1


def main(args: Args) -> None:
    """Run the command."""
    if bool(args.data) == (args.bag is not None):
        raise UserError("give what to measure on: either --data STORE or --bag BAG")
    torch.set_num_threads(args.threads)
    console = Console()
    path = model_path(args.model)
    model = load_checkpoint(path)
    fit = Store.open(*args.fit) if args.fit else None
    with tempfile.TemporaryDirectory() as scratch:
        store = _store(args, Path(scratch) / "store", console)
        source = args.bag or " ".join(p.name for p in args.data)
        title = f"{path.name} on {Path(source).name}"
        result = inspect(model, store, fit, args.out, args.windows, title)
    if args.json is not None:
        write_json(result, args.json)
    console.print(f"page: {args.out / PAGE}", soft_wrap=True)


def _store(args: Args, scratch: Path, console: Console) -> Store:
    """The data, a bag turned into a store first."""
    if args.bag is None:
        return Store.open(*args.data)
    from wm_training.from_bag import BuildOptions, build_store

    build_store([args.bag], scratch, BuildOptions(), console)
    return Store.open(scratch)
