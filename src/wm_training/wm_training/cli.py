"""The ``wm`` command. Each sub-command is a module of ``wm_training.commands``."""

from __future__ import annotations

import importlib
import os
import sys

import tyro
from rich.console import Console

from wm_dynamics.errors import UserError

COMMANDS = {
    "drive": "drive routes over the live ROS graph, with a report and a video",
    "view": "see it think, in the browser: the running graph, or a recording",
    "replay": "plan a recorded drive again with another model, and show the difference",
    "eval": "drive routes in process and score them (same objects, faster)",
    "compare": "compare drivers route by route: differences, intervals, p-values",
    "report": "one HTML page of evaluations: tables, maps of infractions, videos",
    "sim": "run the embedded simulator and its bridge alone",
    "town": "add OpenDRIVE maps as towns, generate new ones, list and remove them",
    "record": "record any driver's topics into a rosbag2 (mcap)",
    "dataset": "build a training store from bags, or collect one from the simulator",
    "train": "train a world model; resumable",
    "train sight": "teach an encoder to see, one moment at a time, before train; resumable",
    "train behavior": "learn to drive in a world model's imagination; resumable",
    "train pilotnet": "clone careful driving from camera stores, a baseline; resumable",
    "calibrate": "teach a trained model what usual driving looks like to it",
    "export": "write a model as ONNX graphs, for runtimes without torch",
    "inspect": "measure a world model's imagination; a page with figures",
}


def usage() -> str:
    """The list of sub-commands."""
    rows = "\n".join(f"  wm {name:<14} {text}" for name, text in COMMANDS.items())
    return f"usage: wm COMMAND [options]\n\n{rows}\n\n`wm COMMAND --help` lists its options."


def main(argv: list[str] | None = None) -> None:
    """Entry point. A user's error ends with one clear message and exit code 2."""
    argv = list(sys.argv[1:] if argv is None else argv)
    # The ROS wheels do not set it, and rclpy's ament look-ups need it.
    os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)
    if not argv or argv[0] in ("-h", "--help"):
        print(usage())
        sys.exit(0 if argv else 2)
    words = 2 if " ".join(argv[:2]) in COMMANDS else 1
    name, rest = " ".join(argv[:words]), argv[words:]
    if name not in COMMANDS:
        print(f"wm: unknown command '{name}'\n\n{usage()}", file=sys.stderr)
        sys.exit(2)
    module = importlib.import_module(f"wm_training.commands.{name.replace(' ', '_')}")
    try:
        module.main(tyro.cli(module.Args, args=rest, prog=f"wm {name}"))
    except UserError as error:
        Console(stderr=True).print(f"[red]error:[/red] {error}", highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
