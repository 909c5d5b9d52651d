"""Imagination made visible: markers, paths and rollout messages from a plan.

Built only when somebody subscribes. Everything is in the map frame.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, PoseStamped, Quaternion
from nav_msgs.msg import Path
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from wm_msgs.msg import ImaginedRollouts
from wm_perception.conventions import quaternion_from_yaw, to_map
from wm_perception.messages import DEFAULT_EGO_SIZE_M, stamp_ns, to_array
from wm_perception.node_tools import header as frame_header
from wm_planner.doubt import Level

if TYPE_CHECKING:  # it needs torch, which who only draws can do without
    from wm_planner.plan import Plan

FAN_CANDIDATES = 40  # sampled futures that are drawn
LIFT_M = 0.15  # above the ground, so that lines are not buried in it
LIFETIME_NS = 500_000_000  # a planner that stopped does not leave its plans standing
# Half the width of the body: what the plan's line needs of the road.
HALF_WIDTH_M = DEFAULT_EGO_SIZE_M[1] / 2
# By the planner's doubt: usual, doubt, a stop is requested.
TUBE_RGB = {
    Level.USUAL: (0.25, 0.65, 1.0),
    Level.DOUBT: (1.0, 0.7, 0.1),
    Level.STOP: (1.0, 0.2, 0.2),
}
TRUSTED_ALPHA, DOUBTED_ALPHA = 0.35, 0.1


def fan_rows(costs: np.ndarray, count: int = FAN_CANDIDATES) -> np.ndarray:
    """Rows of at most ``count`` finite candidates, evenly over the ranking, worst first."""
    ranked = np.argsort(costs, kind="stable")
    ranked = ranked[np.isfinite(costs[ranked])]
    if len(ranked) > count:
        ranked = ranked[np.linspace(0, len(ranked) - 1, count).round().astype(int)]
    return ranked[::-1]


def cost_colors(costs: np.ndarray) -> np.ndarray:
    """(N,) costs -> (N, 4) RGBA by rank: green is cheap, red is dear."""
    rank = np.argsort(np.argsort(costs, kind="stable")) / max(1, len(costs) - 1)
    alpha = 0.75 - 0.5 * rank
    return np.stack([rank, 1.0 - rank, np.full(len(costs), 0.15), alpha], -1)


def points(xy: np.ndarray, z: float = LIFT_M) -> list[Point]:
    """(n, 2) positions, m -> points at the height ``z``."""
    return [Point(x=float(x), y=float(y), z=z) for x, y in xy]


def shape(header: Header, namespace: str, kind: int, width: float) -> Marker:
    """A marker that goes when nobody renews it; ``width``: of a line, or the first edge, m."""
    marker = Marker(header=header, ns=namespace, type=kind, action=Marker.ADD)
    marker.pose.orientation.w = 1.0
    marker.scale.x = width
    marker.lifetime = Duration(nanosec=LIFETIME_NS)
    return marker


def path_errors(metrics: Mapping[str, float], horizon: int, dt: float) -> np.ndarray:
    """(H,) m: how far off imagined positions were on held-out driving, at each step.

    Args:
        metrics: of the model's metadata, ``ego_path_1s_m`` and its like; linear in between and
            zero now. None of them: zeros, nobody has measured it.
        horizon: H.
        dt: s per step.
    """
    known = {
        float(found[1]): value
        for name, value in metrics.items()
        if (found := re.fullmatch(r"ego_path_(\d+)s_m", name))
    }
    times = [0.0, *sorted(known)]
    values = [0.0, *(known[t] for t in times[1:])]
    return np.interp(dt * np.arange(1, horizon + 1), times, values)


def tube(plan: Plan, pose: np.ndarray, errors: np.ndarray, header: Header) -> Marker:
    """Where the body will be, as far as the model knows.

    As wide as the body and the error that imagined positions usually have; coloured by the
    planner's doubt; faint beyond the part of the future that counted in the choice.

    Args:
        plan: in the ego frame.
        pose: (3,) of the ego in the map frame, m and rad.
        errors: (H,) from :func:`path_errors`.
        header: stamp of the frame, frame ``map``.
    """
    path = np.concatenate([np.zeros((1, 3)), plan.path])
    left = np.stack([-np.sin(path[:, 2]), np.cos(path[:, 2])], -1)
    left *= (HALF_WIDTH_M + np.concatenate([[0.0], errors]))[:, None]
    borders = [to_map(path[:, :2] + side * left, pose) for side in (1.0, -1.0)]
    marker = shape(header, "uncertainty_tube", Marker.TRIANGLE_LIST, 1.0)
    marker.scale.y = marker.scale.z = 1.0
    red, green, blue = TUBE_RGB[plan.doubt.level]
    marker.color = ColorRGBA(r=red, g=green, b=blue, a=TRUSTED_ALPHA)
    lefts, rights = (points(border, LIFT_M / 2) for border in borders)
    for step in range(len(plan.path)):
        a, b, c, d = lefts[step], rights[step], lefts[step + 1], rights[step + 1]
        marker.points += [a, b, c, c, b, d]
        alpha = TRUSTED_ALPHA if step < plan.trusted_steps else DOUBTED_ALPHA
        marker.colors += [ColorRGBA(r=red, g=green, b=blue, a=alpha)] * 6
    return marker


def marker_array(plan: Plan, pose: np.ndarray, errors: np.ndarray, header: Header) -> MarkerArray:
    """The fan of sampled futures coloured by cost, the chosen plan as a thick line, its tube.

    Args:
        plan: in the ego frame.
        pose: (3,) of the ego in the map frame, m and rad.
        errors: (H,) from :func:`path_errors`.
        header: stamp of the frame, frame ``map``.
    """
    rows = fan_rows(plan.costs)
    fan = shape(header, "imagined_futures", Marker.LINE_LIST, 0.06)
    futures = to_map(plan.candidates[rows], pose)
    for future, color in zip(futures, cost_colors(plan.costs[rows]), strict=True):
        line = points(np.concatenate([pose[None, :2], future]))
        red, green, blue, alpha = map(float, color)
        fan.points += [point for pair in pairwise(line) for point in pair]
        fan.colors += [ColorRGBA(r=red, g=green, b=blue, a=alpha)] * (2 * len(future))
    chosen = shape(header, "chosen_plan", Marker.LINE_STRIP, 0.35)
    chosen.points = points(np.concatenate([pose[None, :2], to_map(plan.path[:, :2], pose)]))
    chosen.color = ColorRGBA(r=0.1, g=0.6, b=1.0, a=0.95)
    return MarkerArray(markers=[fan, chosen, tube(plan, pose, errors, header)])


def path_message(plan: Plan, pose: np.ndarray, dt: float, header: Header) -> Path:
    """The chosen plan's imagined poses, ``dt`` seconds apart; each has the time it is meant for."""
    poses = []
    start, step_ns = stamp_ns(header.stamp), round(dt * 1e9)
    places = zip(to_map(plan.path[:, :2], pose), plan.path[:, 2] + pose[2], strict=True)
    for step, ((x, y), yaw) in enumerate(places, start=1):
        stamped = PoseStamped(header=frame_header(start + step * step_ns, header.frame_id))
        stamped.pose.position.x, stamped.pose.position.y = float(x), float(y)
        qx, qy, qz, qw = quaternion_from_yaw(float(yaw))
        stamped.pose.orientation = Quaternion(x=qx, y=qy, z=qz, w=qw)
        poses.append(stamped)
    return Path(header=header, poses=poses)


def rollouts_message(plan: Plan, pose: np.ndarray, dt: float, header: Header) -> ImaginedRollouts:
    """All candidates of the last iteration, and the sequence that is driven, as arrays."""
    xy = to_map(plan.candidates, pose).astype(np.float32)
    candidates, horizon = plan.candidates.shape[:2]
    return ImaginedRollouts(
        header=header,
        candidates=candidates,
        horizon=horizon,
        dt=dt,
        x=to_array(xy[..., 0], "f"),
        y=to_array(xy[..., 1], "f"),
        speed=to_array(plan.speeds.astype(np.float32), "f"),
        cost=to_array(plan.costs.astype(np.float32), "f"),
        disagreement=to_array(plan.disagreement.astype(np.float32), "f"),
        chosen=plan.chosen,
        steer=to_array(plan.actions[:, 0].astype(np.float32), "f"),
        accel=to_array(plan.actions[:, 1].astype(np.float32), "f"),
    )
