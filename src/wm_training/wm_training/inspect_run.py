"""One inspection from model and data to page, pictures, videos and numbers."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_training.inspect_beyond import Beyond
from wm_training.inspect_moments import (
    Ego,
    Moments,
    ego_windows,
    measure,
    speeds,
    spread_out,
    window_sampler,
)
from wm_training.inspect_page import Picture, Section, write_page
from wm_training.inspect_sections import charts
from wm_training.inspect_strips import scenes, strip, telling, video, worst
from wm_training.inspect_summary import Findings, find, summary
from wm_training.inspect_traversal import traverse
from wm_training.store import Store
from wm_training.validation import CONTEXT

PAGE = "index.html"
FIT_WINDOWS = 1024
WORST = 4


def inspect(
    model: WorldModel,
    store: Store,
    fit: Store | None,
    out: Path,
    windows: int,
    name: str,
    beyond: Beyond | None = None,
) -> dict:
    """Measure, and write the page ``out``/index.html with its pictures and videos.

    Args:
        model: the model.
        store: driving it has not seen.
        fit: driving to fit the kinematic bicycle on; None: on the other half of ``store``.
        out: folder to write to.
        windows: moments to measure at.
        name: of model and data, for the title.
        beyond: what was measured in the simulator.

    Returns:
        The numbers, see :func:`wm_training.inspect_summary.summary`.

    Raises:
        UserError: model and data do not fit, no episode is long enough, or ``out`` is a file.
    """
    if windows < 1:
        raise UserError("--windows must be at least 1")
    train = None if fit is None else _driving(model, fit)
    moments = measure(model, store, windows)
    found = find(moments, train, beyond or Beyond())
    result = summary(moments, found)
    make_folder(out)
    facts = [
        f"model {model.hash}, data {store.hash}: {store.frames} frames, {len(store.bev)} episodes",
        f"{len(moments.start)} moments evenly spaced; each after {CONTEXT} observed steps of "
        f"{model.config.dt} s, then {model.config.horizon} steps imagined with the true actions",
        "kinematic bicycle fitted on "
        + ("the other half of the episodes" if fit is None else f"other data ({fit.hash})"),
    ]
    sections = [
        *charts(moments, found, out),
        *_axes(model, moments, out),
        *_films(model, store, moments, found, out),
    ]
    write_page(name, facts, result, sections, out / PAGE)
    return result


def make_folder(out: Path) -> None:
    """The folder of the page.

    Raises:
        UserError: it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror}") from None


def _driving(model: WorldModel, store: Store) -> Ego:
    """Motion at evenly spaced moments of a store."""
    sampler = window_sampler(model, store, full=True)
    starts = sampler.starts[spread_out(len(sampler.starts), FIT_WINDOWS)]
    return ego_windows(sampler.windows(starts), model.config.dt)


def _axes(model: WorldModel, moments: Moments, out: Path) -> list[Section]:
    """A telling moment moved along the components of the belief."""
    row = next(iter(telling(moments).values()), 0)
    path = traverse(model, moments, row, out / "traversal.png")
    if path is None:
        return []
    picture = Picture(
        path,
        "One moment's belief, moved along each of the first components of all beliefs, and drawn. "
        "Above each picture: standard deviations moved, and the quantity that goes most with the "
        "component, as the heads read it there.",
        "A component changes one thing (the speed, a vehicle ahead, the bend of the road) and "
        "leaves the rest of the scene whole.",
    )
    return [Section("Latent traversal", "What the axes of the belief mean.", [picture])]


def _films(
    model: WorldModel, store: Store, moments: Moments, found: Findings, out: Path
) -> list[Section]:
    """Strips of telling moments, and strips and videos of the worst; none without a decoder."""
    if model.decoder is None and model.camera_decoder is None:
        return []
    sampler = window_sampler(model, store)
    chosen = telling(moments)
    bad = worst(moments, found.errors["ego_error_m"], WORST, sampler.length * sampler.stride)
    rows = np.array([*chosen.values(), *bad], int)
    if not len(rows):
        return []
    shown = scenes(model, sampler, moments.start[rows])
    pictures = []
    for place, row in enumerate(rows):
        path = out / f"strip-{place}.png"
        cv2.imwrite(str(path), strip(shown, place))
        where = f"episode {moments.episode[row]}, {speeds(moments.ego)[row]:.1f} m/s"
        if place < len(chosen):
            pictures.append(Picture(path, f"{list(chosen)[place]} ({where})"))
            continue
        film = f"worst-{place - len(chosen)}.mp4"
        video(shown, place, out / film)
        error = found.errors["ego_error_m"][row, -1]
        text = f"path error {error:.2f} m at the end ({where})"
        pictures.append(Picture(path, text, video=film))
    text = (
        "Masks around the vehicle (green): road, lane lines, route (blue), vehicles (orange; "
        "yellow: where they go in the next second), red stop lines. Below the truth: what "
        "the model believes it sees now and, framed in magenta, what it imagines. Lines in "
        "the first column: the true path (white) and the imagined one (cyan). Good: each lower "
        "picture shows what the one above it shows, vehicles as sharp as now, none of them gone."
    )
    return [
        Section("Imagination beside truth", text, pictures[: len(chosen)]),
        Section("Worst moments", "The largest path errors 3 s ahead.", pictures[len(chosen) :]),
    ]
