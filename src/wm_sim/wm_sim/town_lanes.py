"""Which lanes of a SUMO network cars may drive on.

Lane 0 is not always one of them: in networks with pavements, and in CARLA's towns with their
shoulders and cycle lanes, it belongs to others.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from wm_sim.alignment import is_car_lane, read_net


@lru_cache(maxsize=16)
def drivable_edges(net_path: Path) -> MappingProxyType[str, tuple[int, ...]]:
    """The edges outside junctions that cars may use, sorted by name.

    Returns:
        edge name -> indices of its lanes for cars, from the kerb to the middle of the road.
    """
    found = {}
    for edge in read_net(net_path).iter("edge"):
        if edge.get("function", "normal") != "normal":
            continue
        lanes = tuple(int(lane.attrib["index"]) for lane in edge.iter("lane") if is_car_lane(lane))
        if lanes:
            found[edge.attrib["id"]] = lanes
    return MappingProxyType(dict(sorted(found.items())))
