"""The streets of ``stage``, the town where scenarios are set: one place of every kind.

```
 NW ---------- B1 --- C1 --- X1 ---- roundabout ---- NE        B1, X1, X2, N1: right before left
  |            |             |         (R*)           |        S, A0, E0: traffic lights
  |            B2 ---------- X2 ------ N1             |        P, K: stop signs on the minor road
  |                          X3 ------ N2             |        C1, C2: mid-block crossings
 A0 == M1 ====== M2 ================== S ============ E0       ==: two lanes each way
  |   / ramp                           |              |
  Q - Z ----------- K ---------------- P ---- C2 --- SE
                    KS -------------- PS
```
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np

from wm_sim.town_build import StreetRules

AVENUE_MPS, RAMP_MPS, STREET_MPS = 50 / 3.6, 40 / 3.6, 30 / 3.6
RING_RADIUS_M = 17.0
_RING_CENTRE = (100.0, 150.0)
_SHAPE_STEP_M = 4.0

NODES = {
    "A0": (-560, 0),
    "M1": (-430, 0),
    "M2": (-310, 0),
    "S": (100, 0),
    "E0": (300, 0),
    "NW": (-560, 150),
    "B1": (-300, 150),
    "C1": (-225, 150),
    "X1": (-150, 150),
    "RW": (100 - RING_RADIUS_M, 150),
    "RS": (100, 150 - RING_RADIUS_M),
    "RE": (100 + RING_RADIUS_M, 150),
    "RN": (100, 150 + RING_RADIUS_M),
    "NE": (300, 150),
    "B2": (-300, 250),
    "X2": (-150, 250),
    "N1": (100, 250),
    "X3": (-150, 340),
    "N2": (100, 340),
    "Q": (-560, -130),
    "Z": (-500, -130),
    "K": (-150, -130),
    "P": (100, -130),
    "C2": (200, -130),
    "SE": (300, -130),
    "KS": (-150, -230),
    "PS": (100, -230),
}
# Both directions of each, one lane.
STREETS = (
    *(("A0", "NW"), ("NW", "B1"), ("B1", "C1"), ("C1", "X1"), ("X1", "RW"), ("B1", "B2")),
    *(("B2", "X2"), ("X2", "X1"), ("X2", "N1"), ("N1", "RN"), ("X2", "X3"), ("X3", "N2")),
    *(("N2", "N1"), ("RE", "NE"), ("NE", "E0"), ("RS", "S"), ("S", "P"), ("P", "C2")),
    *(("C2", "SE"), ("SE", "E0"), ("A0", "Q"), ("Q", "Z"), ("Z", "K"), ("K", "P")),
    *(("K", "KS"), ("KS", "PS"), ("PS", "P")),
)
AVENUE = (("A0", "M1"), ("M1", "M2"), ("M2", "S"), ("S", "E0"))
RING = (("RW", "RS"), ("RS", "RE"), ("RE", "RN"), ("RN", "RW"))
MID_BLOCK = ("C1", "C2")
RAMP = ("Z", "M1")
ACCELERATION_LANE = ("M1", "M2")

RULES = StreetRules(
    junctions={
        **dict.fromkeys(("S", "A0", "E0"), "traffic_light"),
        **dict.fromkeys(("P", "K"), "priority_stop"),
        **dict.fromkeys(("B1", "X1", "X2", "N1"), "right_before_left"),
    },
    minor=frozenset(
        {("S", "P"), ("PS", "P"), ("KS", "K"), RAMP}
        | {("X1", "RW"), ("S", "RS"), ("NE", "RE"), ("N1", "RN")}
    ),
    without_pavement=frozenset({RAMP, ("A0", "M1"), ACCELERATION_LANE}),
)


def _arc(start: str, end: str) -> np.ndarray:
    """(n, 2) points of a quarter of the roundabout, counter-clockwise."""
    centre = np.array(_RING_CENTRE)
    angles = [math.atan2(*(np.array(NODES[n]) - centre)[::-1]) for n in (start, end)]
    turn = (angles[1] - angles[0]) % (2 * math.pi)
    at = angles[0] + np.linspace(0.0, turn, math.ceil(turn * RING_RADIUS_M / 2.0) + 1)
    return centre + RING_RADIUS_M * np.stack([np.cos(at), np.sin(at)], 1)


def _ramp() -> np.ndarray:
    """(n, 2) left border of the ramp: a Bezier curve that ends beside the avenue, parallel."""
    p = np.array([NODES["Z"], (-478, -60), (-500, -7), (NODES["M1"][0], -7)], float)
    t = np.linspace(0.0, 1.0, 31)[:, None]
    return (
        (1 - t) ** 3 * p[0] + 3 * (1 - t) ** 2 * t * p[1] + 3 * (1 - t) * t**2 * p[2] + t**3 * p[3]
    )


def _add_edge(
    edges: ET.Element,
    ends: tuple[str, str],
    lanes: int,
    mps: float,
    shape: np.ndarray | None = None,
) -> None:
    edge = ET.SubElement(edges, "edge", {"id": "-".join(ends), "from": ends[0], "to": ends[1]})
    edge.set("numLanes", str(lanes))
    edge.set("speed", f"{mps:.2f}")
    edge.set("width", "3.5")
    edge.set("priority", "1" if ends in RULES.minor else "2")
    if shape is not None:
        edge.set("shape", " ".join(f"{x:.2f},{y:.2f}" for x, y in shape))


def draw(work: Path) -> StreetRules:
    """Write b.nod.xml, b.edg.xml and b.con.xml into ``work``; returns who goes first where."""
    nodes, edges, turns = ET.Element("nodes"), ET.Element("edges"), ET.Element("connections")
    for name, (x, y) in NODES.items():
        kind = RULES.junctions.get(name, "priority")
        node = ET.SubElement(nodes, "node", id=name, x=str(x), y=str(y), type=kind)
        if name in MID_BLOCK:  # room for a crossing between the stop lines
            corners = ((-4, -3.5), (-4, 3.5), (4, 3.5), (4, -3.5))
            node.set("shape", " ".join(f"{x + dx},{y + dy}" for dx, dy in corners))
    for start, end in STREETS:
        _add_edge(edges, (start, end), 1, STREET_MPS)
        _add_edge(edges, (end, start), 1, STREET_MPS)
    for start, end in AVENUE:
        lanes = 3 if (start, end) == ACCELERATION_LANE else 2
        _add_edge(edges, (start, end), lanes, AVENUE_MPS)
        _add_edge(edges, (end, start), 2, AVENUE_MPS)
    for ends in RING:
        _add_edge(edges, ends, 1, STREET_MPS, _arc(*ends))
    _add_edge(edges, RAMP, 1, RAMP_MPS, _ramp())
    for into, out, pairs in (
        ("Z-M1", "M1-M2", [(0, 0)]),
        ("A0-M1", "M1-M2", [(0, 1), (1, 2)]),
        ("M1-M2", "M2-S", [(1, 0), (2, 1)]),
    ):
        for a, b in pairs:
            link = {"from": into, "to": out, "fromLane": str(a), "toLane": str(b)}
            ET.SubElement(turns, "connection", link)
    for name, root in (("nod", nodes), ("edg", edges), ("con", turns)):
        ET.ElementTree(root).write(work / f"b.{name}.xml")
    return RULES
