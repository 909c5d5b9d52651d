"""The charts of an inspection's page: what each shows, and what it looks like for a good model."""

from __future__ import annotations

from pathlib import Path

from wm_training import inspect_doubt_figures as doubt_figures
from wm_training import inspect_figures as figures
from wm_training.inspect_moments import Moments
from wm_training.inspect_page import Picture, Section
from wm_training.inspect_summary import Findings


def charts(moments: Moments, found: Findings, out: Path) -> list[Section]:
    """Draw all charts into ``out``."""
    return [
        *_ahead(moments, found, out),
        *_doubt(moments, found, out),
        *_beyond(found, out),
        Section(
            "Latents",
            "The belief after the observed steps, by principal components.",
            [
                Picture(
                    figures.latents(moments, out / "latents.png"),
                    "Each point is a moment.",
                    "Colours change smoothly across the cloud: what matters is laid out in order.",
                ),
            ],
        ),
    ]


def _ahead(moments: Moments, found: Findings, out: Path) -> list[Section]:
    horizon = figures.error_against_horizon(found.curves, moments.ego.dt, out / "horizon.png")
    return [
        Section(
            "Ego path",
            "How far the imagined vehicle is from the true one.",
            [
                Picture(
                    horizon,
                    "Mean position error against time ahead.",
                    "the blue line is far below the others: an eighth of constant velocity, half "
                    "of the bicycle, 0.25 m after 3 s.",
                )
            ],
        ),
        Section(
            "Collision and off-road",
            "Imagined probability that it happens in one of the next 2 s, against whether it did. "
            "Moments at which it is happening already are left out.",
            [
                Picture(
                    figures.roc(found.events, out / "roc.png"),
                    "Hit rate by false alarms.",
                    "the line hugs the upper left corner, AUROC at least 0.95 from masks and 0.9 "
                    "from a camera.",
                ),
                Picture(
                    figures.calibration(found.events, out / "calibration.png"),
                    "Observed share against forecast, with 95 % intervals; dotted: perfect. "
                    "Numbers: moments.",
                    "points on the dotted line: what is forecast at 30 % happens in 30 % of the "
                    "cases. Below it, the model fears too much; above it, too little.",
                ),
            ],
        ),
    ]


def _doubt(moments: Moments, found: Findings, out: Path) -> list[Section]:
    last = found.errors["ego_error_m"][:, -1]
    errors = {
        "error of the imagined heads": (found.head_error, found.head_doubt.value),
        "path error at the end (m)": (last, found.path_doubt),
    }
    text = (
        "Does the ensemble disagree where imagination goes wrong? Errors of all heads, each in its "
        "own unit, averaged over the horizon; and of the path, which comes from the ego network, "
        "of which there is one: the ensemble does not know it."
    )
    return [
        Section(
            "Doubt",
            text,
            [
                Picture(
                    figures.doubt(moments.disagreement, errors, out / "doubt.png"),
                    "Each point is a moment.",
                    "the red line on the left rises from end to end, Spearman at least 0.5.",
                ),
                Picture(
                    doubt_figures.forecast(found.foretold, found.by_head, out / "foretold.png"),
                    "Left: the error that disagreement foretells, by a power law fitted to one "
                    "half of the episodes and tried on the other, against the error that came. "
                    "Right: rank correlation with the error of each head.",
                    "points on the dotted line and far apart: doubt in the right amount, and "
                    "not the same for all.",
                ),
            ],
        )
    ]


def _beyond(found: Findings, out: Path) -> list[Section]:
    sections = []
    beyond = found.beyond
    if beyond.detection is not None:
        sections.append(
            Section(
                "Novelty",
                "Does the model know when it does not know what it sees? The same drives as they "
                "were, and with something wrong in each step's observation. Steps at which the "
                "disturbance changed nothing that is seen are left out.",
                [
                    Picture(
                        doubt_figures.novelty(beyond.detection, out / "novelty.png"),
                        "Scores of usual and of disturbed driving; how well they are told apart.",
                        "the two colours hardly overlap, every disturbance is right of 0.9, and "
                        "false alarms are what was asked for.",
                    )
                ],
            )
        )
    if beyond.figure is not None:
        sections.append(
            Section(
                "Other actions",
                "The same situations driven on in several ways, each imagined with its own actions "
                "and compared with what came of them.",
                [
                    Picture(
                        beyond.figure,
                        "Imagined against actual.",
                        "no bias: imagined gaps and stop distances are within a metre of the "
                        "actual ones on average, not longer.",
                    )
                ],
            )
        )
    return sections
