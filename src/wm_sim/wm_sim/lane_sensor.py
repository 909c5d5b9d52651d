"""The lane-invasion sensor: which markings the ego's body rolls over."""

from __future__ import annotations

import math

import carla

from wm_perception.conventions import carla_to_ros_pose, wrap_angle
from wm_perception.frame import EgoState


class LaneSensor:
    """Reports a marking when the body begins to overlap it, as CARLA's sensor does.

    Args:
        carla_map: offline map of the town.
    """

    def __init__(self, carla_map: carla.Map) -> None:
        self._map = carla_map
        self._overlapping = False

    def reset(self, ego: EgoState) -> None:
        """Start from a pose without reporting what it already overlaps."""
        self._overlapping = bool(self._overlapped(ego))

    def update(self, ego: EgoState) -> tuple[int, ...]:
        """Marking types (carla.LaneMarkingType numbers) crossed since the previous call."""
        markings = self._overlapped(ego)
        crossed = () if self._overlapping else markings
        self._overlapping = bool(markings)
        return crossed

    def _overlapped(self, ego: EgoState) -> tuple[int, ...]:
        waypoint = self._map.get_waypoint(carla.Location(ego.x, -ego.y, 0.0))
        if waypoint is None or waypoint.is_junction:
            return ()
        transform = waypoint.transform
        location = transform.location
        x, y, lane_yaw = carla_to_ros_pose(location.x, location.y, transform.rotation.yaw)
        dx, dy = ego.x - x, ego.y - y
        lateral = -math.sin(lane_yaw) * dx + math.cos(lane_yaw) * dy
        turned = wrap_angle(ego.yaw - lane_yaw)
        half = (abs(math.sin(turned)) * ego.length + abs(math.cos(turned)) * ego.width) / 2
        markings = []
        if lateral + half > waypoint.lane_width / 2:
            markings.append(waypoint.left_lane_marking)
        if lateral - half < -waypoint.lane_width / 2:
            markings.append(waypoint.right_lane_marking)
        kinds = [int(m.type) for m in markings if m is not None]  # None: not in the map
        return tuple(kind for kind in kinds if kind != int(carla.LaneMarkingType.NONE))
