"""The facts, curves and figures of a shipped model's card, from its files.

``python docs/make_model_card.py models/driving-bev --run runs/RUN [--run ...] --data STORE ...
--inspect FILE`` replaces what is between the markers ``<!-- facts:begin -->`` and
``<!-- facts:end -->`` in the model's README.md and draws curves.png beside it. Several runs are
rounds, in order: each began with the weights of the one before.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from wm_dynamics.checkpoint import load_checkpoint
from wm_training.store_manifest import read_manifest

BEGIN, END = "<!-- facts:begin -->", "<!-- facts:end -->"
MANY = 10  # towns are counted, not named
CURVES = {
    "loss": "loss, all terms",
    "kl_loss": "KL, nats",
    "recon_loss": "mask reconstruction",
    "dynamics_loss": "heads, imagined",
    "forecast_loss": "imagined masks, forecast",
    "validation/leader_gap_3s_m": "leader gap error at 3 s, m",
}
ROWS = (
    ("ego path error, m", "ego_error_m", ("1s", "2s", "3s")),
    ("... of constant velocity", "constant_velocity_error_m", ("1s", "2s", "3s")),
    ("... of a fitted kinematic bicycle", "bicycle_error_m", ("1s", "2s", "3s")),
    ("gap to a leader within 25 m, error in m", "leader_gap_error_m", ("0s", "3s")),
    ("red stop line within 25 m, error in m", "stop_line_error_m", ("0s", "3s")),
    ("IoU of imagined vehicle masks", "vehicle_iou", ("1s", "2s")),
    ("... of the last seen mask, copied", "copy_last_iou", ("1s", "2s")),
    ("AUROC, collision within 2 s", "collision_auroc", ()),
    ("AUROC, off the road within 2 s", "offroad_auroc", ()),
    ("calibration error of these probabilities (ECE)", "ece", ()),
    ("Spearman, disagreement against realised error", "disagreement_spearman", ()),
    ("AUROC, unusual against normal driving", "ood_auroc", ()),
    ("counterfactual: AUROC, collision within 2 s", "counterfactual", ("collision_auroc",)),
    ("counterfactual: bias of the imagined gap, m", "counterfactual", ("gap_bias_m",)),
    ("counterfactual: bias of the stop distance, m", "counterfactual", ("stop_bias_m",)),
)


def model_facts(path: Path, stores: list[Path]) -> list[str]:
    """Lines of the table of facts."""
    model = load_checkpoint(path)
    parameters = sum(p.numel() for p in model.parameters())
    megabytes = (path / "model.safetensors").stat().st_size / 1e6
    facts, config = model.metadata, model.config
    training = facts["training"]
    lines = [
        "| | |",
        "|---|---|",
        f"| model | {config.core} {config.deter}, {config.latent} latent, {config.ensemble} prior "
        f"heads; sees {', '.join(config.streams)} |",
        f"| size | {parameters / 1e6:.2f} M parameters, {megabytes:.1f} MB; hash `{model.hash}` |",
        f"| step | {config.dt} s, imagines {config.horizon} steps |",
        f"| last round | {facts['steps']} steps of {training['batch']} x {training['length']}, "
        f"{facts['minutes']:.0f} min, seed {training['seed']}, learning rate "
        f"{training['learning_rate']:g}, code {facts['code_version']} |",
        f"| its data | hash `{facts['data_hash']}` |",
    ]
    return lines + [data_line(stores)] if stores else lines


def data_line(stores: list[Path]) -> str:
    """What the stores hold, in one row."""
    hours, towns, habits = 0.0, set(), Counter()
    for path in stores:
        manifest = read_manifest(path)
        for episode in manifest["episodes"]:
            info = episode["info"]
            took = episode["frames"] * manifest["frame_dt"] / 3600.0
            hours += took
            towns.add(info.get("town", "?"))
            habit = info.get("habit", "habits not noted")
            habits["what other actions bring" if "branch" in info else habit] += took
    shares = ", ".join(f"{name} {100 * h / hours:.0f} %" for name, h in habits.most_common())
    where = ", ".join(sorted(towns)) if len(towns) < MANY else f"{len(towns)} towns"
    return f"| driving | {hours:.1f} h in {where}: {shares} |"


def figures(result: dict) -> list[str]:
    """The table of figures, with 95 % intervals where there are any."""
    lines = ["| | figure (95 %) |", "|---|---|"]
    for title, key, parts in ROWS:
        value, interval = result.get(key), result.get("intervals", {}).get(key)
        if parts:
            pairs = [((value or {}).get(part), (interval or {}).get(part)) for part in parts]
            names = [f"{part.replace('s', ' s')}: " if len(parts) > 1 else "" for part in parts]
        else:
            pairs, names = [(value, interval)], [""]
        cells = [n + number(v, i) for n, (v, i) in zip(names, pairs, strict=True)]
        lines.append(f"| {title} | {'; '.join(cells)} |")
    return lines


def number(value: float | None, interval: list[float] | None) -> str:
    """A figure as text."""
    if value is None:
        return "not measured"
    text = f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"
    return text + (f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else "")


def draw_curves(runs: list[Path], out: Path) -> None:
    """Losses and errors against the step, one colour per round."""
    figure, axes = plt.subplots(2, 3, figsize=(9.6, 4.6), layout="constrained")
    for number_, run in enumerate(runs):
        events = EventAccumulator(str(run / "tensorboard"))
        events.Reload()
        known = set(events.Tags()["scalars"])
        for axis, (tag, title) in zip(axes.flat, CURVES.items(), strict=True):
            axis.set_title(title, fontsize=9)
            if tag in known:
                points = events.Scalars(tag)
                style = "o-" if tag.startswith("validation") else "-"
                axis.plot(
                    [p.step for p in points], [p.value for p in points], style, markersize=3,
                    color=f"C{number_}", linewidth=1.0, label=f"round {number_ + 1}",
                )  # fmt: skip
    for axis in axes.flat:
        axis.set_visible(bool(axis.lines))  # a model may lack what a panel is about
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.3)
        axis.set_ylim(bottom=0.0)
    for axis in axes[1]:
        axis.set_xlabel("optimiser step", fontsize=8)
    if len(runs) > 1:
        axes[0, 0].legend(fontsize=8)
    figure.savefig(out, dpi=90)


def main() -> None:
    """Rewrite the card's facts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--run", type=Path, action="append", default=[])
    parser.add_argument("--data", type=Path, nargs="*", default=[])
    parser.add_argument("--inspect", type=Path, help="numbers of `wm inspect --json`")
    arguments = parser.parse_args()
    lines = model_facts(arguments.model, arguments.data)
    if arguments.run:
        draw_curves(arguments.run, arguments.model / "curves.png")
        lines += ["", "![training curves](curves.png)"]
    if arguments.inspect:
        lines += ["", *figures(json.loads(arguments.inspect.read_text()))]
    card = arguments.model / "README.md"
    before, _, rest = card.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    card.write_text(before + "\n".join([BEGIN, *lines, END]) + after)


if __name__ == "__main__":
    main()
