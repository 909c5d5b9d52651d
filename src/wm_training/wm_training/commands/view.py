"""``wm view``: see it think, in the browser."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from wm_dynamics.errors import UserError
from wm_perception.topics import DEFAULT_ROLE
from wm_training.view.bag_index import BagIndex
from wm_training.view.recorded import BagSource
from wm_training.view.server import (
    DEFAULT_HOST,
    DEFAULT_PORT,
    LOOPBACK,
    address_of,
    listening_socket,
    serve_for_good,
)


@dataclass(frozen=True)
class Args:
    """Serve a page that shows the running graph, or a recording."""

    bag: Annotated[Path | None, tyro.conf.Positional] = None
    """Recording to show, as `wm record` writes it; leave it out for what runs now."""
    host: str = DEFAULT_HOST
    """Address to listen on; anything but this machine's own lets others see, and use the
    controls."""
    port: int = DEFAULT_PORT
    """Port to listen on; 0 takes a free one."""
    role_name: str | None = None
    """Role name of the vehicle (default: ego_vehicle; of a recording, the one that is in it)."""
    controls: Literal["all", "time", "none"] = "all"
    """What the page may do to a running simulation: pause, step and begin routes; only pause and
    step; nothing."""
    foxglove: bool = False
    """Serve Foxglove's protocol in place of the page; the layout is config/foxglove.json."""


def main(args: Args) -> None:
    """Serve until Ctrl-C.

    Raises:
        UserError: the port is in use, the recording cannot be shown, or an extra is missing.
    """
    console = Console()
    if args.foxglove:
        _serve_foxglove(args)
        return
    with listening_socket(args.host, args.port) as bound:
        source = None if args.bag is None else _recording(args, console)
        if args.host not in LOOPBACK:
            console.print(
                "[yellow]note:[/yellow] whoever reaches this port sees the drive"
                + ("" if args.controls == "none" else " and can stop it (--controls none)")
            )
        # Printed last, when the page can be opened; imported late: a recording needs no ROS.
        if source is None:
            from wm_training.view_node import main as show_graph

            console.print(f"live view: {address_of(bound)}  (Ctrl-C ends it)", highlight=False)
            show_graph(_ros_arguments(args, controls=args.controls), bound)
        else:
            console.print(f"recording: {address_of(bound)}  (Ctrl-C ends it)", highlight=False)
            serve_for_good(source, bound)


def _ros_arguments(args: Args, **values: object) -> list[str]:
    given = {"role_name": f"'{args.role_name or DEFAULT_ROLE}'", **values}
    options = [part for name, value in given.items() for part in ("-p", f"{name}:={value}")]
    return ["wm_view", "--ros-args", *options]


def _serve_foxglove(args: Args) -> None:
    from wm_training.view_node import main as serve_graph

    if args.bag is not None:
        raise UserError(f"Foxglove opens recordings itself: open {args.bag} there as a local file")
    values = {"host": f"'{args.host}'", "port": args.port, "foxglove": "true"}
    if status := serve_graph(_ros_arguments(args, **values)):
        sys.exit(status)


def _recording(args: Args, console: Console) -> BagSource:
    """The recording, read through.

    Raises:
        UserError: it cannot be shown.
    """
    assert args.bag is not None
    console.print(f"reading {args.bag}")
    index = BagIndex(args.bag, args.role_name)
    console.print(f"{len(index)} frames, {index.times_s[-1]:.1f} s", highlight=False)
    if index.problem:
        console.print(f"[yellow]note:[/yellow] {index.problem}", highlight=False)
    return BagSource(index)
