"""Assembles the static :class:`Scene` of an episode from the latched topics."""

from __future__ import annotations

import numpy as np

from wm_perception import messages
from wm_perception.frame import LightBox
from wm_perception.messages import MessageError, stamp_ns
from wm_perception.route import Route
from wm_perception.scene import Scene
from wm_perception.town_map import TownMap

# A route stamped this far ahead of the frames was stamped with another clock.
OTHER_CLOCK_NS = 60_000_000_000
# After a jump without a new route: a localisation that was corrected, not another place. Way points
# are about 1 m apart.
SAME_ROUTE_M = 4.0


class SceneAssembler:
    """Map, lights and route to a Scene; a route holds from its stamp on.

    Attributes:
        lights_known: a traffic-light status has arrived.
    """

    def __init__(self, require_lights: bool = True):
        self.lights_known = False
        self._require_lights = require_lights
        self._town: TownMap | None = None
        self._town_name = "map"
        self._boxes: tuple[LightBox, ...] | None = None
        self._arrived: list[tuple[int, np.ndarray]] = []
        self._route: np.ndarray | None = None
        self._route_stamp = 0
        self._required_from: int | None = None
        self._scene: Scene | None = None

    def feed(self, key: str, message) -> bool:
        """Take a map, world_info, traffic_lights_info or waypoints message.

        Returns:
            Whether the key was one of these.

        Raises:
            MessageError: the content is not usable.
        """
        if key == "world_info":
            self._town_name = message.map_name or self._town_name
            self._load_town(message.opendrive)
        elif key == "map":
            self._load_town(message.data)
        elif key == "traffic_lights_info":
            boxes = messages.light_boxes(message)
            if boxes != self._boxes:
                self._boxes, self._scene = boxes, None
        elif key == "waypoints":
            points = messages.route_points(message)
            self._arrived.append((stamp_ns(message.header.stamp), points))
        else:
            return False
        return True

    def _load_town(self, opendrive: str) -> None:
        if self._town is not None and self._town.opendrive == opendrive:
            return
        if not opendrive:
            return  # a bridge without the map text; the other map topic may have it
        try:
            self._town = TownMap.from_opendrive(opendrive, self._town_name)
        except ValueError as error:
            raise MessageError(str(error)) from error
        self._scene = None

    def restart(self, now_ns: int) -> None:
        """Time went back to ``now_ns``: a route of later needs a new one, or :meth:`keep_route`."""
        self._arrived = [r for r in self._arrived if r[0] <= now_ns + OTHER_CLOCK_NS]
        self._required_from = 0 if self._route_stamp > now_ns else None

    def require_route_from(self, from_ns: int) -> None:
        """The pose jumped: only a route with at least this stamp will do from now on."""
        self._required_from = from_ns

    def keep_route(self) -> None:
        """The pose is where it was before the jump, or the reset: the old route will do."""
        self._required_from = None

    def keep_route_near(self, x: float, y: float) -> None:
        """The pose after the jump lasts: the old route will do if it leads past there."""
        if self._required_from is None or self._route is None:
            return
        if np.hypot(*(self._route - (x, y)).T).min() <= SAME_ROUTE_M:
            self._required_from = None

    def waiting_for(self) -> str:
        """What a held frame still lacks, in words; empty when nothing."""
        missing = []
        if self._town is None:
            missing.append("the map")
        if self._require_lights and self._boxes is None:
            missing.append("traffic_lights/info")
        if self._require_lights and self._boxes and not self.lights_known:
            missing.append("traffic_lights/status")
        if self._route is None:
            missing.append("a route")
        elif self._required_from is not None:
            missing.append("a new route after a jump of the pose or of the clock")
        return ", ".join(missing)

    def _apply_routes(self, limit_ns: int) -> None:
        """Adopt the newest route whose time has come."""
        later = []
        for stamp, points in self._arrived:
            foreign = stamp == 0 or stamp > limit_ns + OTHER_CLOCK_NS
            if not foreign and stamp > limit_ns:
                later.append((stamp, points))
                continue
            if self._required_from is not None and (foreign or stamp >= self._required_from):
                self._required_from = None
            if (
                self._route is None
                or not np.array_equal(points, self._route)
                or stamp != self._route_stamp
            ):
                self._route, self._route_stamp, self._scene = points, stamp, None
        self._arrived = later

    def scene_at(self, limit_ns: int) -> Scene | None:
        """The scene for a frame stamped ``limit_ns`` at most, or None while something is missing.

        Raises:
            MessageError: the route cannot be driven (it has no length).
        """
        self._apply_routes(limit_ns)
        if self.waiting_for() or self._town is None or self._route is None:
            return None
        if self._scene is None:
            try:
                route = Route(self._route)
            except ValueError as error:
                self._route = None
                raise MessageError(f"waypoints: {error}") from error
            self._scene = Scene(self._town, route, self._boxes or ())
        return self._scene
