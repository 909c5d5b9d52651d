"""Every kind of world model beside the default: parameters and CPU time, one thread, one run.

``python benchmarks/model_variants.py`` prints a Markdown table; ``--write docs/models.md`` puts it
there, between the two ``variants`` comments. Times are medians of ``time.thread_time`` over rounds
in which all kinds take turns, so that other load on the machine meets all of them alike; they are
given relative to the default, whose milliseconds stand in the line below.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wm_dynamics.config import ModelConfig
from wm_dynamics.model import WorldModel
from wm_dynamics.objective import window_loss
from wm_dynamics.synthetic import synthetic_window
from wm_dynamics.variants import CORES, INPUTS, LATENTS, variant

BATCH, STEPS = 4, 24  # of a training window
CANDIDATES, HORIZON = 112, 15  # of a plan
BEGIN, END = "<!-- variants -->\n", "<!-- /variants -->"


@dataclass(frozen=True)
class Kind:
    """One row of the table and what is timed for it."""

    label: str
    parameters: int
    calls: dict[str, Callable[[], object]]


def configs(size: str) -> list[tuple[str, ModelConfig]]:
    """Label and configuration of each row: the default first, then one change at a time."""
    rows = [("`gru`, `discrete`, `bev` (default)", variant(size))]
    for core in CORES:
        for latent in LATENTS:
            if (core, latent) != ("gru", "discrete"):
                rows.append((f"`{core}`, `{latent}`", variant(size, core, latent)))
    rows.append(("one prior instead of three", variant(size, ensemble=1)))
    rows += [
        (f"inputs `{inputs}`", variant(size, inputs=inputs)) for inputs in INPUTS if inputs != "bev"
    ]
    return rows


def build(label: str, config: ModelConfig) -> Kind:
    """Build the model and its three calls: a training step, a filter step, a plan's rollouts."""
    learner = WorldModel.untrained(config).train()
    model = WorldModel.untrained(config)
    optimizer = torch.optim.AdamW(learner.parameters(), 1e-3, foreach=True)
    window = synthetic_window(config, BATCH, STEPS)
    streams = {name: window[name][:1, 0] for name in config.streams}
    action, motion = window["action"][:1, 0], window["motion"][:1, 0]
    latent, _ = model.observe_step(model.initial(), action, motion, **streams)
    actions, ego_state = torch.zeros(CANDIDATES, HORIZON, 2), torch.zeros(5)

    def train() -> None:
        loss, _ = window_loss(learner, window)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    calls: dict[str, Callable[[], object]] = {
        "train": train,
        "observe": lambda: model.observe_step(latent, action, motion, **streams),
        "imagine": lambda: model.imagine(latent, ego_state, actions),
    }
    return Kind(label, sum(p.numel() for p in model.parameters()), calls)


def measure(rows: list[Kind], rounds: int) -> dict[str, list[float]]:
    """Median CPU milliseconds: call -> one per row."""
    times: dict[str, list[list[float]]] = {name: [[] for _ in rows] for name in rows[0].calls}
    for turn in range(rounds + 1):
        for i, row in enumerate(rows):
            for name, call in row.calls.items():
                start = time.thread_time()
                call()
                if turn:  # the first round warms up
                    times[name][i].append(time.thread_time() - start)
    return {name: [1e3 * float(np.median(x)) for x in each] for name, each in times.items()}


def table(rows: list[Kind], times: dict[str, list[float]], size: str) -> str:
    """Markdown."""
    lines = [
        "| kind | parameters | training step | filter step | imagination |",
        "|---|---|---|---|---|",
    ]
    for i, row in enumerate(rows):
        shares = " | ".join(f"{each[i] / each[0]:.2f}" for each in times.values())
        lines.append(f"| {row.label} | {row.parameters / 1e6:.2f} M | {shares} |")
    base = {name: each[0] for name, each in times.items()}
    lines += [
        "",
        f"Size `{size}`. 1.00 is {base['train']:.0f} ms for a training step (KL and "
        f"reconstruction, {BATCH} windows of {STEPS} steps, float32), {base['observe']:.1f} ms "
        f"for a filter step and {base['imagine']:.0f} ms for {CANDIDATES} imagined futures of "
        f"{HORIZON} steps: CPU time of one thread, torch {torch.__version__}.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", default="small")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", type=Path, help="page to put the table in")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = [build(label, config) for label, config in configs(arguments.size)]
    text = table(rows, measure(rows, arguments.rounds), arguments.size)
    print(text)
    if arguments.write:
        before, rest = arguments.write.read_text().split(BEGIN)
        after = rest.split(END)[1]
        arguments.write.write_text(before + BEGIN + text + END + after)


if __name__ == "__main__":
    main()
