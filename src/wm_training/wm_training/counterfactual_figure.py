"""One picture of how honest imagination is about other actions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wm_training.counterfactual_eval import DISTANCES, Branches, differences, extrapolated
from wm_training.inspect_figures import BLUE, DPI, GREY, ORANGE
from wm_training.inspect_metrics import mean
from wm_training.inspect_moments import LONGEST_S
from wm_training.sampler import CLOSE_M

TARGET_M = 1.0  # no more bias than this
TITLES = {"gap": "Gap to the leader", "stop": "Distance to the red stop line"}
SHOWN_M = 40.0


def draw(branches: Branches, path: Path) -> None:
    """Above: imagined against actual after 3 s. Below: bias by time ahead, beside extrapolation."""
    figure = Figure(figsize=(9.0, 7.4), dpi=DPI, layout="constrained")
    panels = figure.subplots(2, len(DISTANCES), height_ratios=(3, 2))
    guess = extrapolated(branches.moments)
    for (above, below), name in zip(panels.T, DISTANCES, strict=True):
        _scatter(above, branches, name)
        _bias(below, branches, name, guess[name])
        for panel in (above, below):
            panel.grid(alpha=0.25)
            panel.spines[["top", "right"]].set_visible(False)
    count = len(np.unique(branches.moments.episode))
    figure.suptitle(
        f"{count} situations, each with {len(np.unique(branches.way))} action sequences: "
        "imagined against what came",
        fontsize=11,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _scatter(panel: Axes, branches: Branches, name: str) -> None:
    moments = branches.moments
    head, _ = DISTANCES[name]
    last = moments.step(LONGEST_S)
    _, use = differences(moments, name, moments.heads[head])
    rows = use[:, last]
    actual, imagined = moments.labels[head][rows, last], moments.heads[head][rows, last]
    panel.plot([0.0, CLOSE_M], [0.0, CLOSE_M], color=GREY, linewidth=1)
    panel.scatter(actual, np.minimum(imagined, SHOWN_M), s=7, alpha=0.35, color=BLUE, linewidths=0)
    panel.text(0.03, 0.94, "above the line: optimistic", transform=panel.transAxes, fontsize=8,
               color=GREY)  # fmt: skip
    panel.set(xlim=(-0.5, CLOSE_M), ylim=(-0.5, SHOWN_M + 0.5))
    panel.set_xlabel("actual after 3 s (m)")
    panel.set_ylabel("imagined (m)")
    panel.set_title(f"{TITLES[name]}, {int(rows.sum())} branches", fontsize=10)


def _bias(panel: Axes, branches: Branches, name: str, guess: np.ndarray) -> None:
    moments = branches.moments
    times = np.arange(1, guess.shape[1] + 1) * moments.ego.dt
    panel.axhspan(-TARGET_M, TARGET_M, color="#e8f3e8", zorder=0)
    panel.axhline(0.0, color=GREY, linewidth=1)
    known = np.isfinite(guess)
    sources = {
        "world model": (moments.heads[DISTANCES[name][0]], BLUE),
        "extrapolation": (np.where(known, guess, 0.0), ORANGE),
    }
    for label, (values, colour) in sources.items():
        difference, use = differences(moments, name, values)
        if label == "extrapolation":
            use &= known
        found = [mean(difference[:, t], use[:, t], moments.episode) for t in range(len(times))]
        value, low, high = np.array([(e.value, e.low, e.high) for e in found], float).T
        panel.plot(times, value, color=colour, marker="o", markersize=3, label=label)
        panel.fill_between(times, low, high, color=colour, alpha=0.2, linewidth=0)
    panel.set_xlabel("time ahead (s)")
    panel.set_ylabel("bias (m)")
    panel.set_title(f"imagined less actual, within {CLOSE_M:.0f} m (green: target)", fontsize=9)
    panel.legend(frameon=False, fontsize=8, loc="upper left")
