"""Bench2Drive's measures: success, driving efficiency, comfortness.

Source: tools/merge_route_json.py and tools/efficiency_smoothness_benchmark.py of
github.com/Thinklab-SJTU/Bench2Drive, and MinimumSpeedRouteTest of the ScenarioRunner in it. The
comfort bounds are nuPlan's. Written anew from what the tools compute; one thing of theirs is left
out: a bound of 1.93 on what they call yaw acceleration, which is the smoothed yaw rate once more
and cannot bind beside the bound of 0.95 on it.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from wm_training.drive_log import DriveLog

CHECKPOINTS = 20  # per route
FASTEST_PERCENT = 1000.0  # the tool leaves out checkpoints above this
ROUTE_END_SHARE = 0.95  # the last checkpoint counts from here on
SEGMENT = 20  # frames judged together
WINDOW, DEGREE = 7, 2  # of the Savitzky-Golay filter
LON_ACCEL_MPS2 = (-4.05, 2.40)
LAT_ACCEL_MPS2 = 4.89
JERK_MPS3 = 8.37
LON_JERK_MPS3 = 4.13
YAW_RATE_RADPS = 0.95


def speed_percent(log: DriveLog, length_m: float, checkpoints: int) -> list[float]:
    """The ego's mean speed as percent of the traffic's mean speed, from checkpoint to checkpoint.

    100 where no vehicle was about, or none moved. Means over frames with vehicles.

    Args:
        log: the drive.
        length_m: length of the route.
        checkpoints: parts of the route.
    """
    found: list[float] = []
    ego: list[float] = []
    traffic: list[float] = []
    last = 0.0

    def close() -> None:
        around = float(np.mean(traffic)) if traffic else 0.0
        found.append(100.0 * float(np.mean(ego)) / around if around > 0.0 else 100.0)
        ego.clear()
        traffic.clear()

    for station, speed, around in zip(log.stations_m, log.speeds_mps, log.traffic_mps, strict=True):
        if station - last > length_m / checkpoints:
            close()
            last = station
        if not math.isnan(around):
            ego.append(speed)
            traffic.append(around)
    if log.stations_m and log.stations_m[-1] > ROUTE_END_SHARE * length_m:
        close()
    return found


def driving_efficiency(log: DriveLog, length_m: float) -> float | None:
    """Mean of :func:`speed_percent`; None where there was no traffic, or no checkpoint."""
    if np.isnan(log.traffic_mps).all():
        return None
    percents = speed_percent(log, length_m, CHECKPOINTS)
    kept = [percent for percent in percents if percent <= FASTEST_PERCENT]
    return float(np.mean(kept)) if kept else None


def comfortness(log: DriveLog) -> float | None:
    """Percent of the segments of 20 frames in which every bound is kept; None for a short drive.

    Accelerations are differences of the speed, and speed times yaw rate across. A drive of up to 20
    frames is one segment; what is left over of a longer one does not count.
    """
    if log.frames < WINDOW:
        return None
    dt = log.duration_s / (log.frames - 1)
    speed, yaw_rate = np.array(log.speeds_mps), np.array(log.yaw_rates_radps)
    lon = np.diff(speed, prepend=speed[0]) / dt
    lat = speed * yaw_rate
    if log.frames <= SEGMENT:
        return 100.0 * _comfortable(lon, lat, yaw_rate, dt)
    starts = range(0, log.frames - SEGMENT + 1, SEGMENT)
    parts = [slice(start, start + SEGMENT) for start in starts]
    kept = [_comfortable(lon[part], lat[part], yaw_rate[part], dt) for part in parts]
    return 100.0 * float(np.mean(kept))


def _comfortable(lon: np.ndarray, lat: np.ndarray, yaw_rate: np.ndarray, dt: float) -> bool:
    smooth, slope = savitzky_golay(len(lon))
    lon_smooth, magnitude = smooth @ lon, smooth @ np.hypot(lon, lat)
    low, high = LON_ACCEL_MPS2
    return bool(
        ((lon_smooth > low) & (lon_smooth < high)).all()
        and (abs(smooth @ lat) < LAT_ACCEL_MPS2).all()
        and (abs(slope @ magnitude) / dt < JERK_MPS3).all()
        and (abs(slope @ lon_smooth) / dt < LON_JERK_MPS3).all()
        and (abs(smooth @ yaw_rate) < YAW_RATE_RADPS).all()
    )


@lru_cache(maxsize=64)
def savitzky_golay(count: int) -> tuple[np.ndarray, np.ndarray]:
    """The filter as two (count, count) matrices: the smoothed signal and its slope per sample.

    A polynomial of degree 2 is fitted to 7 samples around each; the first and last three samples
    are read off the polynomial of the outermost seven (SciPy's ``mode="interp"``). Savitzky and
    Golay, "Smoothing and Differentiation of Data", 1964.
    """
    half = WINDOW // 2
    offsets = np.arange(WINDOW) - half
    fit = np.linalg.pinv(np.vander(offsets, DEGREE + 1, increasing=True))  # (3, 7)
    smooth, slope = np.zeros((count, count)), np.zeros((count, count))
    for row in range(count):
        centre = min(max(row, half), count - half - 1)
        columns = slice(centre - half, centre + half + 1)
        at = row - centre
        smooth[row, columns] = fit[0] + at * fit[1] + at**2 * fit[2]
        slope[row, columns] = fit[1] + 2 * at * fit[2]
    return smooth, slope
