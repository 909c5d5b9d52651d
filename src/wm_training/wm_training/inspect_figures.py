"""Figures of an inspection, as PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from wm_training.inspect_metrics import FEWEST, Estimate, Event, reliability
from wm_training.inspect_moments import Moments, speeds
from wm_training.intervals import wilson
from wm_training.sampler import CLOSE_M

DPI = 110
BLUE, ORANGE, GREY, RED = "#1f6fb4", "#e08214", "#777777", "#c0392b"
LINES = {
    "ego_error_m": ("world model", BLUE),
    "bicycle_error_m": ("kinematic bicycle, fitted", ORANGE),
    "constant_velocity_error_m": ("constant velocity", GREY),
}


def new_figure(panels: int, width: float = 4.6, height: float = 3.8) -> tuple[Figure, np.ndarray]:
    """A figure with panels beside each other, each ``width`` x ``height`` inches."""
    figure = Figure(figsize=(width * panels, height), dpi=DPI, layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, panels))
    for panel in axes:
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a PNG file; returns its path."""
    figure.savefig(path)
    return path


def error_against_horizon(curves: dict[str, list[Estimate]], dt: float, path: Path) -> Path:
    """Path error by time, log scale, with 95 % bands. curves: name of ``LINES`` -> H estimates."""
    figure, (axes,) = new_figure(1, 6.4)
    for name, (label, colour) in LINES.items():
        known = [(i, e) for i, e in enumerate(curves[name]) if e.value is not None]
        if known:
            times = [(i + 1) * dt for i, _ in known]
            values = [e.value for _, e in known]
            axes.plot(times, values, color=colour, label=label, marker="o", markersize=3)
            low, high = np.array([(e.low, e.high) for _, e in known], float).T  # None: no band
            axes.fill_between(times, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("time ahead (s)")
    axes.set_ylabel("mean position error (m)")
    axes.set_title("Ego path under the true actions (bands: 95 % over episodes)", fontsize=10)
    axes.legend(frameon=False, fontsize=9)
    return save_figure(figure, path)


def roc(events: dict[str, Event], path: Path) -> Path:
    """ROC curves of the events of the next 2 s."""
    figure, axes = new_figure(len(events))
    for panel, (name, event) in zip(axes, events.items(), strict=True):
        title = f"{name.replace('_', '-')} within 2 s"
        positives, rest = int(event.happened.sum()), int((~event.happened).sum())
        if event.area.value is None:
            text = f"too few\n{positives} positive, {rest} negative\n(at least {FEWEST} of each)"
            panel.text(0.5, 0.5, text, ha="center", va="center", color=GREY)
        else:
            order = np.argsort(-event.probability, kind="stable")
            # One point per distinct forecast, so that ties are one straight piece.
            ends = np.append(np.diff(event.probability[order]) != 0, True)
            hits = np.cumsum(event.happened[order])[ends] / positives
            alarms = np.cumsum(~event.happened[order])[ends] / rest
            panel.plot([0, *alarms], [0, *hits], color=BLUE)
            panel.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
            text = f"AUROC {event.area.value:.3f}"
            if event.area.low is not None:
                text += f" [{event.area.low:.3f}, {event.area.high:.3f}]"
            text += f"\n{positives} positive, {rest} negative"
            panel.text(0.97, 0.06, text, ha="right", fontsize=9)
        panel.set(xlim=(-0.01, 1), ylim=(0, 1.01), xlabel="false alarm rate", ylabel="hit rate")
        panel.set_title(title, fontsize=10)
    return save_figure(figure, path)


def calibration(events: dict[str, Event], path: Path) -> Path:
    """Reliability diagrams with Wilson intervals; the numbers are moments behind a point."""
    figure, axes = new_figure(len(events))
    for panel, (name, event) in zip(axes, events.items(), strict=True):
        panel.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
        error = event.calibration_error
        said = "too few events for an ECE" if error is None else f"ECE {error:.3f}"
        if len(event.probability):
            forecast, observed, count = reliability(event.probability, event.happened).T
            for x, y, n in zip(forecast, observed, count, strict=True):
                low, high = wilson(round(y * n), int(n))
                panel.plot([x, x], [low, high], color=BLUE, linewidth=1)
                panel.annotate(f"{n:.0f}", (x, y), (5, 3), textcoords="offset points", fontsize=7)
            panel.plot(forecast, observed, color=BLUE, marker="o", markersize=4, linestyle="")
        panel.set(xlim=(-0.02, 1.06), ylim=(-0.07, 1.04))
        panel.set_xlabel("forecast probability")
        panel.set_ylabel("observed share")
        panel.set_title(f"{name.replace('_', '-')} within 2 s: {said}", fontsize=10)
    return save_figure(figure, path)


def doubt(
    disagreement: np.ndarray, errors: dict[str, tuple[np.ndarray, float | None]], path: Path
) -> Path:
    """Disagreement (N,) against realised errors: axis label -> (error (N,), Spearman)."""
    figure, axes = new_figure(len(errors))
    for panel, (label, (error, correlation)) in zip(axes, errors.items(), strict=True):
        known = np.isfinite(error)
        panel.scatter(disagreement[known], error[known], s=6, alpha=0.3, color=BLUE, linewidths=0)
        if known.sum() >= 5 * FEWEST:
            # Medians of tenths show what a cloud hides.
            order = np.argsort(disagreement[known])
            tenths = np.array_split(order, 10)
            x = [np.median(disagreement[known][rows]) for rows in tenths]
            y = [np.median(error[known][rows]) for rows in tenths]
            panel.plot(x, y, color=RED, marker="o", markersize=3, label="median by tenth")
            panel.legend(frameon=False, fontsize=8, loc="upper left")
        said = "not defined" if correlation is None else f"{correlation:.2f}"
        if (error[known] > 0).any():
            panel.set_yscale("log")
        panel.set(xlabel="ensemble disagreement", ylabel=label)
        panel.set_title(f"Spearman {said}, {int(known.sum())} moments", fontsize=10)
    return save_figure(figure, path)


def latents(moments: Moments, path: Path) -> Path:
    """First two principal components of the belief, by speed and by leader gap."""
    centred = moments.latent - moments.latent.mean(0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    place = centred @ axes[:2].T
    share = sizes[:2] ** 2 / max(float((sizes**2).sum()), 1e-12)
    figure, panels = new_figure(2)
    gap, present = (moments.labels_now[n] for n in ("leader_gap", "leader_present"))
    shown = {
        "speed (m/s)": (speeds(moments.ego), np.ones(len(gap), bool)),
        "leader gap (m)": (gap, (present > 0.5) & (gap < CLOSE_M)),
    }
    for panel, (label, (colour, use)) in zip(panels, shown.items(), strict=True):
        panel.scatter(*place[~use].T, s=5, color="#dddddd", linewidths=0)
        points = panel.scatter(*place[use].T, s=9, c=colour[use], cmap="viridis", linewidths=0)
        if use.any():
            figure.colorbar(points, ax=panel, label=label)
        panel.set_xlabel(f"component 1 ({share[0]:.0%} of variance)")
        panel.set_ylabel(f"component 2 ({share[1]:.0%})")
    panels[1].set_title("grey: no leader within 25 m", fontsize=9)
    return save_figure(figure, path)
