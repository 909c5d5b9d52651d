"""Imagination made visible: markers, paths and rollout messages from a plan.

Built only when somebody subscribes. Everything is in the map frame.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, PoseStamped, Quaternion
from nav_msgs.msg import Path
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from wm_msgs.msg import ImaginedRollouts
from wm_perception.conventions import quaternion_from_yaw, to_map
from wm_perception.messages import to_array
from wm_planner.planner import Plan

FAN_CANDIDATES = 40  # sampled futures that are drawn
LIFT_M = 0.15  # above the ground, so that lines are not buried in it
LIFETIME_NS = 500_000_000  # a planner that stopped does not leave its plans standing


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


def _points(xy: np.ndarray) -> list[Point]:
    return [Point(x=float(x), y=float(y), z=LIFT_M) for x, y in xy]


def _line(header: Header, namespace: str, kind: int, width: float) -> Marker:
    marker = Marker(header=header, ns=namespace, type=kind, action=Marker.ADD)
    marker.pose.orientation.w = 1.0
    marker.scale.x = width
    marker.lifetime = Duration(nanosec=LIFETIME_NS)
    return marker


def marker_array(plan: Plan, pose: np.ndarray, header: Header) -> MarkerArray:
    """The fan of sampled futures coloured by cost, and the chosen plan as a thick line.

    Args:
        plan: in the ego frame.
        pose: (3,) of the ego in the map frame, m and rad.
        header: stamp of the frame, frame ``map``.
    """
    rows = fan_rows(plan.costs)
    fan = _line(header, "imagined_futures", Marker.LINE_LIST, 0.06)
    futures = to_map(plan.candidates[rows], pose)
    for future, color in zip(futures, cost_colors(plan.costs[rows]), strict=True):
        points = _points(np.concatenate([pose[None, :2], future]))
        red, green, blue, alpha = map(float, color)
        fan.points += [point for pair in pairwise(points) for point in pair]
        fan.colors += [ColorRGBA(r=red, g=green, b=blue, a=alpha)] * (2 * len(future))
    chosen = _line(header, "chosen_plan", Marker.LINE_STRIP, 0.35)
    chosen.points = _points(np.concatenate([pose[None, :2], to_map(plan.path[:, :2], pose)]))
    chosen.color = ColorRGBA(r=0.1, g=0.6, b=1.0, a=0.95)
    return MarkerArray(markers=[fan, chosen])


def path_message(plan: Plan, pose: np.ndarray, header: Header) -> Path:
    """The chosen plan's imagined poses."""
    poses = []
    for (x, y), yaw in zip(to_map(plan.path[:, :2], pose), plan.path[:, 2] + pose[2], strict=True):
        stamped = PoseStamped(header=header)
        stamped.pose.position.x, stamped.pose.position.y = float(x), float(y)
        qx, qy, qz, qw = quaternion_from_yaw(float(yaw))
        stamped.pose.orientation = Quaternion(x=qx, y=qy, z=qz, w=qw)
        poses.append(stamped)
    return Path(header=header, poses=poses)


def rollouts_message(plan: Plan, pose: np.ndarray, dt: float, header: Header) -> ImaginedRollouts:
    """All candidates of the last iteration as arrays."""
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
    )
