"""The towns that ship with the project: a SUMO network and the OpenDRIVE map of the same streets.

``train*``, ``val*`` and ``test*`` are the splits of every experiment; ``tiny`` is for tests. They
are made by ``python -m wm_sim.generate``.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from wm_dynamics.errors import UserError

TOWN_DIR = Path(__file__).parent / "towns"
_NET_SUFFIX = ".net.xml.gz"


@dataclass(frozen=True)
class TownFiles:
    """One town.

    Attributes:
        name: the town's name.
        net_path: SUMO network (gzip), read by libsumo as it is.
        xodr_text: OpenDRIVE map, in the same coordinates as the network (= the ROS map frame).
    """

    name: str
    net_path: Path
    xodr_text: str


def list_towns() -> list[str]:
    """Names of the shipped towns, sorted."""
    return sorted(p.name.removesuffix(_NET_SUFFIX) for p in TOWN_DIR.glob(f"*{_NET_SUFFIX}"))


@lru_cache(maxsize=16)
def load_town(name: str) -> TownFiles:
    """Read a shipped town.

    Raises:
        UserError: there is no such town.
    """
    if name not in list_towns():
        raise UserError(f"unknown town '{name}'; known towns: {', '.join(list_towns())}")
    xodr = gzip.decompress((TOWN_DIR / f"{name}.xodr.gz").read_bytes()).decode()
    return TownFiles(name, TOWN_DIR / f"{name}{_NET_SUFFIX}", xodr)
