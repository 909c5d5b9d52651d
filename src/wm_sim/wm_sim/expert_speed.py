"""How fast: the Intelligent Driver Model, curves, stops, and times to get somewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wm_perception.route import Route

FULL_THROTTLE_MPS2 = 3.5
FULL_BRAKE_MPS2 = 7.0
# Intelligent Driver Model (Treiber, Hennecke, Helbing 2000).
IDM_ACCEL, IDM_DECEL, IDM_HEADWAY_S, IDM_GAP_M = 2.0, 3.0, 1.2, 2.0
LATERAL_ACCEL_MPS2 = 2.0
SLOWEST_CURVE_MPS = 2.5
CURVE_BRAKE_MPS2 = 1.5  # how early it slows down for a curve
CURVATURE_WINDOW_M = 5  # a bend is measured over this length


@dataclass(frozen=True)
class Limit:
    """Something ahead that speed must respect.

    Attributes:
        gap_m: distance from the front bumper, m.
        speed_mps: its speed along the path; negative when it comes towards the ego.
        cause: what it is, for reports.
    """

    gap_m: float
    speed_mps: float = 0.0
    cause: str = ""


def idm_accel(
    speed: float, target: float, gap: float, closing: float, decel: float = IDM_DECEL
) -> float:
    """Acceleration (m/s^2) behind a leader ``gap`` metres ahead, closing at ``closing`` m/s.

    Close ahead it asks for more than any brake gives: that is the emergency braking.
    """
    interaction = speed * closing / (2.0 * math.sqrt(IDM_ACCEL * decel))
    wanted_gap = IDM_GAP_M + max(0.0, speed * IDM_HEADWAY_S + interaction)
    return IDM_ACCEL * (1.0 - (speed / max(target, 0.1)) ** 4 - (wanted_gap / max(gap, 0.3)) ** 2)


def stop_at(distance_m: float, cause: str) -> Limit:
    """A line to stop at, ``distance_m`` from the front bumper."""
    return Limit(distance_m + IDM_GAP_M, 0.0, cause)


def follow(speed: float, target: float, limits: list[Limit], grip: float = 1.0) -> float:
    """Acceleration (m/s^2) that keeps to the target speed and to every limit.

    Args:
        speed: of the ego, m/s.
        target: wanted speed, m/s.
        limits: what is ahead.
        grip: tyre friction as a fraction of a dry road's; without it braking begins earlier.
    """
    decel = IDM_DECEL * grip
    accel = idm_accel(speed, target, math.inf, 0.0)
    for limit in limits:
        closing = speed - limit.speed_mps
        accel = min(accel, idm_accel(speed, target, limit.gap_m, closing, decel))
    return accel


def pedal(accel: float) -> float:
    """Acceleration (m/s^2) -> pedal position in [-1, 1]."""
    full = FULL_THROTTLE_MPS2 if accel > 0 else FULL_BRAKE_MPS2
    return float(min(1.0, max(-1.0, accel / full)))


def speed_profile(route: Route, grip: float = 1.0) -> np.ndarray:
    """(n,) speed (m/s) that curves allow at each metre of the route, braking ahead included."""
    half = CURVATURE_WINDOW_M // 2 + 1
    padded = np.pad(route.headings, half, "edge")
    turned = np.abs(padded[2 * half :] - padded[: -2 * half]) / (2 * half)
    fastest = np.sqrt(LATERAL_ACCEL_MPS2 * grip / np.maximum(turned, 1e-3))
    squared = np.maximum(fastest, SLOWEST_CURVE_MPS) ** 2
    # v(s)^2 <= v(s')^2 + 2 a (s' - s) for every s' ahead: a running minimum from the end.
    slope = 2.0 * CURVE_BRAKE_MPS2 * grip * np.arange(len(squared))
    reachable = np.minimum.accumulate((squared + slope)[::-1])[::-1] - slope
    return np.sqrt(reachable)


def travel_time(distance: float, speed: float, accel: float, top: float) -> float:
    """Seconds to cover ``distance`` when accelerating from ``speed`` up to ``top`` m/s."""
    if distance <= 0.0:
        return 0.0
    speed = max(speed, 0.0)
    if speed >= top or accel <= 0.0:
        return distance / max(speed, 1e-3)
    reach = (top**2 - speed**2) / (2.0 * accel)
    if distance <= reach:
        return (math.sqrt(speed**2 + 2.0 * accel * distance) - speed) / accel
    return (top - speed) / accel + (distance - reach) / top
