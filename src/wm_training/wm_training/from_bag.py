"""Training stores from recorded bags: the same observation and labelling code as everywhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from rich.console import Console

from wm_dynamics.errors import UserError
from wm_perception.frame import SceneFrame
from wm_perception.observation import is_jump
from wm_perception.scene import Scene
from wm_training.bag_frames import BagFrames, Moment, Sources
from wm_training.bag_report import BagReport, write_reports
from wm_training.collect import FRAMES_AFTER_END, episode_arrays
from wm_training.labels import LabelledFrame, Labeller
from wm_training.recording import BagReader
from wm_training.store import StoreWriter
from wm_training.store_columns import AGE, COLUMNS, IMAGE, camera_columns

SHORTEST_EPISODE_S = 3.0
DT_GRID_S = 0.01  # frame periods are multiples of this
# A step of another length than this many periods is a gap: the model takes every step for one.
LONGEST_STEP = 1.5
BREAK = 3.5  # after so many periods what comes is another drive


@dataclass(frozen=True)
class BuildOptions:
    """How to make a store of recordings.

    Attributes:
        sources: where the parts of a frame are.
        frame_dt: seconds between frames wanted; None for the recording's own.
    """

    sources: Sources = field(default_factory=Sources)
    frame_dt: float | None = None


def frame_period(stamps_ns: Iterable[int]) -> float:
    """Seconds between frames: the median difference, on a grid of 10 ms.

    Raises:
        UserError: fewer than two frames.
    """
    steps = _steps(stamps_ns)
    if not len(steps):
        raise UserError("the recording holds fewer than two complete frames")
    return max(DT_GRID_S, round(float(np.median(steps)) / DT_GRID_S) * DT_GRID_S)


def _steps(stamps_ns: Iterable[int]) -> np.ndarray:
    """Times (s) from one stamp to the next, where it is later."""
    steps: np.ndarray = np.diff(np.asarray(list(stamps_ns), np.int64)) * 1e-9
    return steps[steps > 0]


def jitter(stamps_ns: Iterable[int], frame_dt: float) -> float:
    """95th percentile of how far the steps (s) are from ``frame_dt``; lost frames do not count."""
    steps = _steps(stamps_ns)
    steps = steps[steps < LONGEST_STEP * frame_dt]
    return float(np.percentile(abs(steps - frame_dt), 95)) if len(steps) else 0.0


def thinned(moments: Iterable[Moment], period: float, frame_dt: float) -> Iterator[Moment]:
    """About one moment every ``frame_dt`` (s) of those that come every ``period``.

    What happened in a frame that is left out is noted in the next one that is kept.
    """
    last_ns: int | None = None
    collided = False
    crossed: tuple[int, ...] = ()
    for moment in moments:
        frame = moment.frame
        collided, crossed = collided or frame.collided, crossed + frame.crossed_markings
        elapsed = np.inf if last_ns is None else (frame.stamp_ns - last_ns) * 1e-9
        if 0.0 <= elapsed < frame_dt - period / 2:
            continue
        last_ns = frame.stamp_ns
        yield replace(moment, frame=replace(frame, collided=collided, crossed_markings=crossed))
        collided, crossed = False, ()


def stretches(
    frames: Iterable[tuple[SceneFrame, Scene]], frame_dt: float, dropped: Counter[str]
) -> Iterator[list[tuple[int, LabelledFrame]]]:
    """Labelled frames and their numbers, cut where scene, pose or time jump or a crash ends it.

    Args:
        frames: in order.
        frame_dt: seconds between frames; a step of more than 1.5 of these is a gap.
        dropped: counts the frames that are left out: ``after_crash``, ``arrived``.
    """
    labeller, scene_now = None, None
    before: SceneFrame | None = None
    current: list[tuple[int, LabelledFrame]] = []
    after_end = 0
    for number, (frame, scene) in enumerate(frames):
        begins = (
            before is None or scene is not scene_now or is_jump(before, frame, BREAK * frame_dt)
        )
        cuts = before is None or is_jump(before, frame, LONGEST_STEP * frame_dt)
        if labeller is None or begins or cuts:
            if current:
                yield current
            labeller, scene_now, current = Labeller(scene, frame_dt), scene, []
        # A lost frame cuts, but does not free the vehicle from a wreck.
        after_end, before = 0 if begins else after_end, frame
        labelled = labeller.label(frame)
        if after_end > FRAMES_AFTER_END or labelled.observation.arrived:
            # What follows a crash or the end of the route, until the next one begins.
            dropped["arrived" if labelled.observation.arrived else "after_crash"] += 1
            continue
        current.append((number, labelled))
        if labelled.ended or after_end:
            after_end += 1
    if current:
        yield current


def convert(path: Path, out: Path | None, options: BuildOptions) -> BagReport:
    """Append one recording's episodes to the store ``out``; without one, only look.

    Returns:
        The account; its ``error`` says why when nothing could be used.

    Raises:
        UserError: no recording, or the store does not fit it.
    """
    began = time.perf_counter()
    source = BagFrames(path, options.sources)
    report = source.report
    try:
        period = frame_period(source.stamps_ns)
        report.frame_dt = options.frame_dt or period
        if report.frame_dt < 0.75 * period:
            raise UserError(f"it has a frame every {period:.2f} s only")
    except UserError as error:
        for _ in source:  # to know what else there is
            pass
        report.error = report.error or str(error)
    else:
        report.jitter_s = jitter(source.stamps_ns, period)
        _write(source, out, period)
        if not report.error and not report.episodes:
            report.error = f"no stretch of driving is longer than {SHORTEST_EPISODE_S} s"
    report.seconds = time.perf_counter() - began
    return report


def _write(source: BagFrames, out: Path | None, period: float) -> None:
    """Write the episodes, as they come."""
    report, cameras = source.report, list(source.tracks)
    moments: Iterable[Moment] = source
    if report.frame_dt > LONGEST_STEP * period:
        moments = thinned(source, period, report.frame_dt)
    shots: dict[int, Moment] = {}

    def pairs() -> Iterator[tuple[SceneFrame, Scene]]:
        for number, moment in enumerate(moments):
            if cameras:
                shots[number] = moment
            yield moment.frame, moment.scene

    columns = (*COLUMNS, *camera_columns(cameras))
    writer = StoreWriter(out, report.frame_dt, columns=columns) if out else None
    with writer or nullcontext():
        for stretch in stretches(pairs(), report.frame_dt, report.dropped):
            if len(stretch) * report.frame_dt < SHORTEST_EPISODE_S - DT_GRID_S / 2:
                report.dropped["short"] += len(stretch)
            else:
                report.used += len(stretch)
                report.episodes += 1
                if writer is not None:
                    arrays = episode_arrays([labelled for _, labelled in stretch])
                    for name in cameras:
                        taken = [shots[number].pictures[name] for number, _ in stretch]
                        arrays |= _picture_arrays(name, taken, source.tracks[name].blank)
                    writer.append_episode(arrays, {"bag": report.path.name})
            for number in [n for n in shots if n <= stretch[-1][0]]:
                del shots[number]
    thinned_out = report.frames - report.used - report.dropped.total()
    if thinned_out:
        report.dropped["thinned"] = thinned_out


def _picture_arrays(
    name: str, taken: list[tuple[np.ndarray, float]], blank: np.ndarray
) -> dict[str, np.ndarray]:
    """Columns of one camera; a frame without a picture is blank."""
    pictures = [blank if np.isnan(age) else pixels for pixels, age in taken]
    ages = np.array([age for _, age in taken], np.float32)
    return {IMAGE + name: np.stack(pictures), AGE + name: ages}


def build_store(
    bags: Sequence[Path],
    out: Path | None,
    options: BuildOptions,
    console: Console,
    json_file: Path | None = None,
) -> None:
    """Append every bag's episodes to the store ``out``, reporting what was used and why not.

    Args:
        bags: recordings.
        out: store; None to look only.
        options: how.
        console: gets a table per bag.
        json_file: gets the same as numbers.

    Raises:
        UserError: a path is no recording; or nothing could be used of one, or it does not fit the
            store, and the others are in it.
    """
    for path in bags:
        BagReader(path)  # there is a recording at every path, before any work is done
    reports = []
    for path in bags:
        try:
            reports.append(convert(path, out, options))
        except UserError as error:
            reports.append(BagReport(path, error=str(error)))
        reports[-1].show(console)
        if json_file is not None:
            write_reports(reports, json_file)
    failed = [
        report.error if str(report.path) in report.error else f"{report.path}: {report.error}"
        for report in reports
        if report.error
    ]
    if failed:
        raise UserError("; ".join(failed))
