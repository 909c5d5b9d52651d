"""Does ``torch.compile`` pay in training? CPU time of a step, forward and backward, one thread.

``python benchmarks/train_compile.py`` prints a Markdown table: plain; with encoder, decoders and
heads compiled, each on its own; and, with ``--kinds plain whole``, with the loss compiled as one,
time loops unrolled, which takes long. Medians of ``time.process_time`` over rounds in which all
take turns; what compiling itself took stands beside.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from wm_dynamics.heads import LABELS
from wm_dynamics.model import WorldModel
from wm_dynamics.synthetic import synthetic_window
from wm_dynamics.variants import INPUTS, variant
from wm_training.losses import world_model_loss
from wm_training.train_config import LossConfig

PARTS = ("encoder", "decoder", "camera_decoder", "head")
STEPS = 24  # of a window, as in TrainConfig


def make_step(kind: str, size: str, inputs: str, batch: int) -> Callable[[], None]:
    """One training step, without the optimiser, of a model compiled as ``kind`` says."""
    config = variant(size, inputs=inputs)
    model = WorldModel.untrained(config).train()
    window = synthetic_window(config, batch, STEPS)
    window["labels"] = torch.rand(batch, STEPS, len(LABELS))
    columns = {name: i for i, name in enumerate(LABELS)}
    loss_of: Callable = world_model_loss
    if kind == "parts":
        for name in PARTS:
            part = getattr(model, name)
            if part is not None:
                part.compile()
    elif kind == "whole":
        loss_of = torch.compile(world_model_loss)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss, _ = loss_of(model, window, columns, LossConfig())
        loss.backward()
        model.zero_grad()

    return step


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="small")
    parser.add_argument("--inputs", default="bev", choices=INPUTS)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--kinds", nargs="+", default=["plain", "parts"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    steps, first = {}, {}
    for kind in args.kinds:
        steps[kind] = make_step(kind, args.size, args.inputs, args.batch)
        begin = time.perf_counter()
        for _ in range(2):  # the second may compile again, for other shapes
            steps[kind]()
        first[kind] = time.perf_counter() - begin
    times: dict[str, list[float]] = {kind: [] for kind in steps}
    for _ in range(args.rounds):
        for kind, step in steps.items():
            begin = time.process_time()
            step()
            times[kind].append(time.process_time() - begin)
    print("| compiled | ms a step | first two steps, s |\n|---|---|---|")
    for kind, values in times.items():
        print(f"| {kind} | {1000 * statistics.median(values):.0f} | {first[kind]:.0f} |")


if __name__ == "__main__":
    main()
