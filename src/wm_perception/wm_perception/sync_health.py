"""What went wrong while frames were put together, counted and said in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from wm_perception.topics import DEFAULT_ROLE, topic

STREAMED = ("odometry", "speedometer", "vehicle_status", "objects")
LATCHED = ("world_info", "traffic_lights_info", "traffic_lights_status", "waypoints")
HINTS = {
    "odometry": "is the role name '{role}' right, and does the ego carry sensor.pseudo.odometry?",
    "speedometer": "does the ego carry sensor.pseudo.speedometer?",
    "vehicle_status": "is the role name '{role}' right?",
    "objects": "is the pseudo sensor sensor.pseudo.objects spawned?",
    "image": "is the camera 'rgb_front' spawned on '{role}'?",
    "world_info": "no map has arrived; is the bridge running?",
    "traffic_lights_info": "is the pseudo sensor sensor.pseudo.traffic_lights spawned?",
    "traffic_lights_status": "is the pseudo sensor sensor.pseudo.traffic_lights spawned?",
    "waypoints": "start carla_waypoint_publisher and send a goal to /carla/{role}/goal",
}


class SyncHealth:
    """Counts problems and knows which topics are silent.

    Attributes:
        problems: kind -> count since the start.
        texts: kind -> the latest text of that kind.
        lost: (topic key, kind) -> messages that no frame was made of.
        paused: nothing is missed while the simulation is paused.
        waiting_for: what the held frame lacks, empty when nothing.
    """

    def __init__(
        self,
        role: str = DEFAULT_ROLE,
        want_image: bool = False,
        want_scene: bool = True,
        require_lights: bool = True,
        timeout_s: float = 1.0,
    ):
        self.problems: Counter[str] = Counter()
        self.texts: dict[str, str] = {}
        self.lost: Counter[tuple[str, str]] = Counter()
        self.paused = False
        self.waiting_for = ""
        self._role = role
        self._timeout_s = timeout_s
        self._streamed = STREAMED + (("image",) if want_image else ())
        latched = LATCHED if require_lights else ("world_info", "waypoints")
        self._latched = latched if want_scene else ()
        self._heard: dict[str, float] = {}
        self._start_s: float | None = None

    def heard(self, key: str, now_s: float) -> None:
        """A message of ``key`` arrived."""
        self._heard["world_info" if key == "map" else key] = now_s

    def count(self, kind: str, text: str, keys: Iterable[str] = ()) -> None:
        """One more problem of ``kind``, which cost one message of each of the topics ``keys``."""
        self.problems[kind] += 1
        self.texts[kind] = text
        self.lost.update((key, kind) for key in keys)

    def missing(self, now_s: float) -> list[str]:
        """One sentence per topic that is silent for longer than the timeout."""
        if self._start_s is None:
            self._start_s = now_s
        if self.paused:
            # Streams start again after the pause; their silence counts from then.
            for key in self._streamed:
                self._heard[key] = now_s
            return []
        result = []
        for key in self._streamed + self._latched:
            if key in self._latched and key in self._heard:
                continue
            silent_s = now_s - self._heard.get(key, self._start_s)
            if silent_s > self._timeout_s:
                hint = HINTS[key].format(role=self._role)
                result.append(f"no {topic(key).name(self._role)} for {silent_s:.1f} s: {hint}")
        return result

    def summary(self) -> list[str]:
        """One sentence per kind of problem counted so far."""
        return [f"{kind} x{count}: {self.texts[kind]}" for kind, count in self.problems.items()]
