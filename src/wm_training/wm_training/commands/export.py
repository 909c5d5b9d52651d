"""``wm export``: a model as ONNX graphs and plain weights, for runtimes without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from wm_dynamics.errors import UserError
from wm_dynamics.export.folder import SIDECAR, open_export
from wm_dynamics.export.write import Quantise, write_export
from wm_dynamics.tensorrt_build import Rows, find_tensorrt, is_rtx
from wm_dynamics.tensorrt_cuda import find_cuda
from wm_dynamics.tensorrt_engine import write_engine
from wm_dynamics.weights import read_weights
from wm_planner.paths import model_path

IMAGINED = ("step.", "step_checked.")  # graphs that a planner's rollouts run
FOLDER = "export"  # in the model's directory, unless another is asked for


@dataclass
class Args:
    """Write a model as ONNX graphs (docs/export.md); what was exported before is replaced."""

    # Model directory or name of a shipped model.
    model: Annotated[Path, tyro.conf.Positional]
    # Folder to write; default: "export" in the model's directory.
    out: Path | None = None
    # Of the imagined steps; several make several graphs.
    precision: tuple[Literal["fp32", "fp16", "bf16", "int8"], ...] = ("fp32",)
    # Training stores or bags of usual driving, for int8: its ranges are measured there.
    calibrate: tuple[Path, ...] = ()
    # Moments to measure them at.
    moments: int = 64
    # Seed of their choice.
    seed: int = 0
    # Build TensorRT engines of the imagined steps as well: needs tensorrt (and a GPU) or
    # tensorrt-rtx (neither GPU nor CUDA).
    engines: bool = False
    # Least, usual and most candidates the engines take.
    rows: tuple[int, int, int] = (1, 128, 1024)
    # Compute capabilities to build for, such as SM89; only tensorrt-rtx can choose, and builds for
    # all it knows if none is named.
    capability: tuple[str, ...] = ()


def main(args: Args) -> None:
    """Run the command."""
    model = model_path(args.model)
    trt = find_tensorrt() if args.engines else None
    rows = Rows(*args.rows)
    out = args.out or model / FOLDER
    quantise, facts = None, None
    if "int8" in args.precision:
        if not args.calibrate:
            raise UserError("int8 needs driving to calibrate on: give --calibrate STORE")
        quantise = _quantiser(model, args)
        data = [path.name for path in args.calibrate]
        facts = {"data": data, "moments": args.moments, "seed": args.seed}
    write_export(model, out, args.precision, quantise, facts)
    export = open_export(out)
    size = sum((export.path / graph.file).stat().st_size for graph in export.graphs.values())
    Console().print(
        f"{out / SIDECAR}: {len(export.graphs)} graphs of model {export.hash}, "
        f"{', '.join(export.precisions)}, {size / 1e6:.1f} MB",
        soft_wrap=True,
    )
    if trt is not None:
        device = "" if is_rtx(trt) else find_cuda().capability
        for name in (n for n in export.graphs if n.startswith(IMAGINED)):
            engine = write_engine(trt, export, name, rows, args.capability, device)
            Console().print(
                f"{name}: {engine.module} {engine.version} for {engine.capability}, "
                f"{len(engine.data) / 1e6:.1f} MB",
                soft_wrap=True,
            )


def _quantiser(model: Path, args: Args) -> Quantise:
    # With torch, which filters the recordings; no other export needs it.
    from wm_dynamics.export.int8 import Quantiser
    from wm_training.export_situations import read_situations

    situations = read_situations(model, args.calibrate, args.moments, args.seed)
    return Quantiser(read_weights(model), situations, args.seed)
