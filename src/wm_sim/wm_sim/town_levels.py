"""Roads of a map that pass over each other. The simulator is flat: one of two must be closed."""

from __future__ import annotations

import carla
import numpy as np

from wm_dynamics.errors import UserError

_STEP_M = 2.0
_APART_M = 3.0  # bodies of cars on two roads this close would meet if both were flat ...
_CLEARANCE_M = 3.0  # ... but do not, as one is this much higher


def roads_to_close(carla_map: carla.Map) -> frozenset[int]:
    """OpenDRIVE roads without which no two roads cross at different heights.

    Either all upper or all lower roads are taken, whichever is shorter.

    Raises:
        UserError: both cross inside a junction, where no road can be closed.
    """
    waypoints = carla_map.generate_waypoints(_STEP_M)
    places = np.array([(p.x, p.y, p.z) for p in (w.transform.location for w in waypoints)])
    roads = np.array([w.road_id for w in waypoints])
    order = np.argsort(places[:, 0], kind="stable")
    places, roads = places[order], roads[order]
    inside = {w.road_id for w in waypoints if w.is_junction}
    upper: set[int] = set()
    lower: set[int] = set()
    ends = np.searchsorted(places[:, 0], places[:, 0] + _APART_M)
    for index, (place, end) in enumerate(zip(places, ends, strict=True)):
        others = slice(index + 1, int(end))
        rise = places[others, 2] - place[2]
        meets = (np.abs(places[others, 1] - place[1]) < _APART_M) & (np.abs(rise) > _CLEARANCE_M)
        for higher, road in zip(rise[meets] > 0, roads[others][meets], strict=True):
            upper.add(int(road) if higher else int(roads[index]))
            lower.add(int(roads[index]) if higher else int(road))
    if not upper:
        return frozenset()
    choices = [side for side in (upper, lower) if not side & inside]
    if not choices:
        raise UserError("roads cross at different heights inside junctions; the simulator is flat")
    return frozenset(min(choices, key=lambda side: np.isin(roads, list(side)).sum()))
