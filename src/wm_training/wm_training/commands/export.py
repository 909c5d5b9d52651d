"""``wm export``: a model as ONNX graphs and plain weights, for runtimes without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from wm_dynamics.export.folder import SIDECAR, open_export
from wm_dynamics.export.write import write_export
from wm_planner.paths import model_path

FOLDER = "export"  # in the model's directory, unless another is asked for


@dataclass
class Args:
    """Write a model as ONNX graphs (docs/export.md); what was exported before is replaced."""

    # Model directory or name of a shipped model.
    model: Annotated[Path, tyro.conf.Positional]
    # Folder to write; default: "export" in the model's directory.
    out: Path | None = None
    # Of the imagined steps; several make several graphs.
    precision: tuple[Literal["fp32", "fp16", "bf16"], ...] = ("fp32",)


def main(args: Args) -> None:
    """Run the command."""
    model = model_path(args.model)
    out = args.out or model / FOLDER
    write_export(model, out, args.precision)
    export = open_export(out)
    size = sum((export.path / graph.file).stat().st_size for graph in export.graphs.values())
    Console().print(
        f"{out / SIDECAR}: {len(export.graphs)} graphs of model {export.hash}, "
        f"{', '.join(export.precisions)}, {size / 1e6:.1f} MB",
        soft_wrap=True,
    )
