"""Impacts: where two bodies touch, and the impulse that they exchange.

A contact is between two rectangles on the ground. Its normal is found by the separating-axis test,
swept along the relative velocity: of the four candidate axes, the one on which the bodies began to
overlap last is the one they met on (Gottschalk, Lin, Manocha 1996; Eberly, "Dynamic collision
detection using oriented bounding boxes", 1999). The impulse is that of two rigid bodies with
restitution, the ego turning about its centre (Newton's law of impact).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from wm_perception.conventions import box_corners
from wm_perception.frame import EgoState
from wm_sim.vehicle import MASS_KG, YAW_INERTIA, Vehicle

RESTITUTION = 0.1
RESTING_MPS = 0.5  # slower contacts do not bounce and do not shake the wheels
# Bodies stay this far in each other, so that a contact that goes on is seen again.
OVERLAP_M = 0.15
HEAVY_KG = 100.0  # lighter things do not stand in the way of a car


@dataclass(frozen=True)
class Body:
    """What the ego meets.

    Attributes:
        pose: (3,) x, y, yaw, map frame.
        size: (2,) length, width, m.
        velocity: (2,) map axes, m/s.
        mass_kg: infinite for what cannot be moved.
    """

    pose: np.ndarray
    size: np.ndarray
    velocity: np.ndarray
    mass_kg: float


@dataclass(frozen=True)
class Impact:
    """What an impact did.

    Attributes:
        impulse: (2,) on the ego, map axes, N s; zero when the bodies part already.
        other_velocity: (2,) of the other body afterwards, map axes, m/s.
    """

    impulse: np.ndarray
    other_velocity: np.ndarray


def contact_normal(ego: EgoState, other: Body, approach: np.ndarray, dt: float):
    """The direction from the other body to the ego in which they touch.

    Args:
        ego: one body.
        other: the other.
        approach: (2,) velocity of the ego relative to the other, map axes, m/s.
        dt: s since the previous look; a contact that is older is a lasting one.

    Returns:
        (2,) unit normal, and the depth of the overlap along it, m.
    """
    yaws = np.array([ego.yaw, ego.yaw + math.pi / 2, other.pose[2], other.pose[2] + math.pi / 2])
    axes = np.stack([np.cos(yaws), np.sin(yaws)], 1)
    sizes = np.array([ego.length, ego.width, *other.size]) / 2
    spread = np.abs(axes @ axes.T) * sizes
    between = axes @ (np.array([ego.x, ego.y]) - other.pose[:2])
    depth = spread.sum(1) - np.abs(between)
    normals = axes * np.where(between < 0.0, -1.0, 1.0)[:, None]
    closing = -(normals @ approach)
    since = np.where(closing > 1e-3, depth / np.maximum(closing, 1e-3), np.inf)
    chosen = int(since.argmin() if since.min() <= 1.5 * dt else depth.argmin())
    return normals[chosen], float(depth[chosen])


def _contact_point(ego: EgoState, other: Body) -> np.ndarray:
    """(2,) middle of the overlap, map frame."""
    body = box_corners(ego.x, ego.y, ego.yaw, ego.length, ego.width).astype(np.float32)
    met = box_corners(*other.pose, *other.size).astype(np.float32)
    overlap = cv2.intersectConvexConvex(body, met)[1]
    if overlap is None or not len(overlap):
        return other.pose[:2]
    return overlap.reshape(-1, 2).mean(0).astype(float)


def collide(vehicle: Vehicle, other: Body, dt: float) -> Impact:
    """Let the ego meet a body that it overlaps: exchange an impulse, and part the two.

    Args:
        vehicle: the ego; its velocity, its grip and, against something heavy, its place change.
        other: what it touches.
        dt: s per frame.
    """
    ego = vehicle.ego()
    normal, depth = contact_normal(ego, other, vehicle.velocity - other.velocity, dt)
    if other.mass_kg >= HEAVY_KG and depth > OVERLAP_M:
        vehicle.shift((depth - OVERLAP_M) * normal)
    arm = _contact_point(ego, other) - (ego.x, ego.y)
    lever = float(arm[0] * normal[1] - arm[1] * normal[0])
    approach = float((vehicle.velocity - other.velocity) @ normal) + vehicle.yaw_rate_radps * lever
    if approach >= 0.0:
        return Impact(np.zeros(2), other.velocity)
    bounce = RESTITUTION if approach < -RESTING_MPS else 0.0
    inertia = 1.0 / MASS_KG + lever**2 / YAW_INERTIA + 1.0 / other.mass_kg
    impulse = -(1.0 + bounce) * approach / inertia * normal
    shaken = float(np.hypot(*impulse)) / MASS_KG > RESTING_MPS
    turn = float(impulse @ normal) * lever / YAW_INERTIA
    vehicle.strike(impulse / MASS_KG, turn, shaken)
    return Impact(impulse, other.velocity - impulse / other.mass_kg)
