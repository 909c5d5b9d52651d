"""Town, route and lights as they were last heard, and the parts of the page that show them.

Unlike perception's, this scene waits for nothing: a viewer draws what it knows, and may jump to any
moment of a recording.
"""

from __future__ import annotations

from typing import Any

from wm_perception import messages
from wm_perception.frame import LightBox
from wm_perception.messages import MessageError
from wm_perception.route import Route
from wm_perception.scene import Scene
from wm_perception.town_map import TownMap
from wm_training.view import compact
from wm_training.view.parts import Parts
from wm_training.view.town_shapes import town_shapes


class Scenery:
    """What stays the same during an episode.

    Attributes:
        town: None before a map was heard.
        scene: None before town and route are known.
    """

    def __init__(self) -> None:
        self.town: TownMap | None = None
        self.scene: Scene | None = None
        self._name = "map"
        self._route: Route | None = None
        self._boxes: tuple[LightBox, ...] = ()
        self._shown_town: TownMap | None = None
        self._shown_scene: Scene | None = None

    def take(self, key: str, message: Any) -> bool:
        """A map, world_info, traffic_lights_info or waypoints message; whether it is news.

        Raises:
            MessageError: it cannot be used.
        """
        before = (self.town, self._route, self._boxes)
        if key == "world_info":
            self._name = message.map_name or self._name
            self._load(message.opendrive)
        elif key == "map":
            self._load(message.data)
        elif key == "traffic_lights_info":
            self._boxes = messages.light_boxes(message)
        elif key == "waypoints":
            try:
                self._route = Route(messages.route_points(message))
            except MessageError:
                raise
            except ValueError as error:
                raise MessageError(f"waypoints: {error}") from error
        if before == (self.town, self._route, self._boxes):
            return False
        self.scene = None
        if self.town is not None and self._route is not None:
            self.scene = Scene(self.town, self._route, self._boxes)
        return True

    def _load(self, opendrive: str) -> None:
        if not opendrive or (self.town is not None and self.town.opendrive == opendrive):
            return
        try:
            self.town = TownMap.from_opendrive(opendrive, self._name)
        except ValueError as error:
            raise MessageError(str(error)) from error

    def show(self, parts: Parts) -> None:
        """Fill the parts ``town`` and ``route`` if there is something new to say."""
        if self.town is not None and self.town is not self._shown_town:
            self._shown_town = self.town
            parts.put_json("town", town_shapes(self.town))
        if self.scene is not None and self.scene is not self._shown_scene:
            self._shown_scene = self.scene
            points = self.scene.route.points.round(2).tolist()
            parts.put_json("route", {"points": points, "stops": compact.stop_lines(self.scene)})
