"""Figures about doubt: what disagreement foretells, and what novelty tells apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from wm_training.inspect_doubt import Forecast
from wm_training.inspect_figures import BLUE, GREY, ORANGE, RED, new_figure, save_figure
from wm_training.inspect_unusual import Detection

BARS = 60
WANTED_AUROC = 0.9
SHOWN = (0.1, 99.0)  # percentiles between which scores are drawn


def forecast(found: Forecast | None, by_head: dict[str, float | None], path: Path) -> Path:
    """Left: expected against realised error by tenths; right: rank correlation by head."""
    figure, (left, right) = new_figure(2)
    if found is None:
        left.text(0.5, 0.5, "too few episodes", ha="center", va="center", color=GREY)
    else:
        expected, came, low, high = found.tenths().T
        left.errorbar(
            expected, came, yerr=[came - low, high - came], fmt="o", color=BLUE, markersize=4,
            linewidth=1,
        )  # fmt: skip
        ends = [min(expected.min(), came.min()) * 0.9, max(expected.max(), came.max()) * 1.1]
        left.plot(ends, ends, color=GREY, linestyle=":", linewidth=1)
    left.set(xlabel="error foretold by disagreement", ylabel="error that came")
    left.set_title("Tenths of the moments, 95 % intervals; dotted: perfect", fontsize=10)
    known = {name: value for name, value in by_head.items() if value is not None}
    names = sorted(known, key=lambda name: known[name])
    right.barh([name.replace("_", " ") for name in names], [known[n] for n in names], color=BLUE)
    right.axvline(0.5, color=GREY, linestyle=":", linewidth=1)
    right.tick_params(axis="y", labelsize=8)
    right.set_xlabel("Spearman of disagreement and error")
    right.set_title("By head; dotted: wanted over all heads", fontsize=10)
    return save_figure(figure, path)


def novelty(found: Detection, path: Path) -> Path:
    """Left: scores of usual and of disturbed driving; right: AUROC by kind, with intervals."""
    figure, (left, right) = new_figure(2, 5.4, 0.9 + 0.24 * max(12, len(found.areas)))
    _scores(left, found)
    _kinds(right, found)
    return save_figure(figure, path)


def _scores(panel: Axes, found: Detection) -> None:
    pooled = np.concatenate(list(found.disturbed.values()))
    finite = np.concatenate([found.usual, pooled[np.isfinite(pooled)]])
    low, high = np.percentile(finite, SHOWN)
    bars = np.linspace(low, high, BARS)
    shown = {"usual driving": (found.usual, BLUE), "disturbed": (pooled, ORANGE)}
    for label, (scores, colour) in shown.items():
        inside = np.clip(scores, low, high)
        panel.hist(inside, bars.tolist(), density=True, alpha=0.55, label=label, color=colour)
    panel.axvline(found.threshold, color=RED, linewidth=1, label="threshold")
    panel.set(xlabel="novelty score (the last bar: and above)", ylabel="density")
    said = f"{found.false_alarms:.1%} of usual steps above the threshold"
    panel.set_title(f"{said} (fitted for {found.intended:.0%})", fontsize=10)
    panel.legend(frameon=False, fontsize=8)


def _kinds(panel: Axes, found: Detection) -> None:
    areas = {"all together": found.pooled, **dict(reversed(found.areas.items()))}
    for place, area in enumerate(areas.values()):
        colour = BLUE if place else RED
        if area.value is None:
            panel.text(0.5, place, "too few", va="center", fontsize=7, color=GREY)
            continue
        if area.low is not None and area.high is not None:
            panel.plot([area.low, area.high], [place, place], color=colour, linewidth=1.5)
        panel.plot(area.value, place, "o", color=colour, markersize=4)
    names = [name.replace("_", " ") for name in areas]
    panel.set_yticks(range(len(names)), names, fontsize=8)
    panel.axvline(WANTED_AUROC, color=GREY, linestyle=":", linewidth=1)
    lowest = min(area.low or area.value or 1.0 for area in areas.values())
    panel.set_xlim(min(0.45, lowest) - 0.02, 1.01)
    panel.set_xlabel("AUROC against usual driving")
    panel.set_title("By disturbance, 95 % over drives; dotted: 0.9", fontsize=10)
