"""Where towns lie: a SUMO network and the OpenDRIVE map of the same streets, per town.

``train*``, ``val*`` and ``test*`` are the splits of every experiment, ``tiny`` is for tests and
``stage`` for scenarios; they ship with the project (``python -m wm_sim.generate``). ``wm town add``
and ``wm town generate`` put further towns into the user's own folder.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from wm_dynamics.errors import UserError

TOWN_DIR = Path(__file__).parent / "towns"
NET_SUFFIX, WALK_SUFFIX, XODR_SUFFIX = ".net.xml.gz", ".walk.net.xml.gz", ".xodr.gz"
FACTS_SUFFIX = ".town.json"
SUFFIXES = (XODR_SUFFIX, WALK_SUFFIX, FACTS_SUFFIX, NET_SUFFIX)
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class TownFiles:
    """One town.

    Attributes:
        name: the town's name.
        net_path: SUMO network (gzip), read by libsumo as it is.
        xodr_text: OpenDRIVE map, in the same coordinates as the network (= the ROS map frame).
        walk_net_path: a second network of the same streets, with pavements and crossings, for
            episodes with pedestrians; None when the town has none. Edges have the same names as in
            the first, but a pavement takes lane index 0, so that cars drive on lane 1 and up.
        closed_roads: OpenDRIVE roads of an added town that nobody may drive on.
    """

    name: str
    net_path: Path
    xodr_text: str
    walk_net_path: Path | None = None
    closed_roads: frozenset[int] = frozenset()


def user_town_dir() -> Path:
    """The folder of added towns: $WM_TOWNS, else $XDG_DATA_HOME/wm_drive/towns."""
    if chosen := os.environ.get("WM_TOWNS"):
        return Path(chosen).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "wm_drive" / "towns"


def _towns_in(folder: Path) -> list[str]:
    names = {p.name.removesuffix(NET_SUFFIX) for p in folder.glob(f"*{NET_SUFFIX}")}
    return sorted(name for name in names if NAME_PATTERN.fullmatch(name))


def shipped_towns() -> list[str]:
    """Names of the towns that come with the project, sorted."""
    return _towns_in(TOWN_DIR)


def added_towns() -> list[str]:
    """Names of the towns in the user's folder, sorted."""
    return _towns_in(user_town_dir())


def list_towns() -> list[str]:
    """Names of all towns: the shipped ones, then the added ones."""
    return shipped_towns() + [name for name in added_towns() if name not in shipped_towns()]


def load_town(name: str) -> TownFiles:
    """Read a town.

    Raises:
        UserError: there is no such town.
    """
    for folder in (TOWN_DIR, user_town_dir()):
        net = folder / f"{name}{NET_SUFFIX}"
        if NAME_PATTERN.fullmatch(name) and net.exists():
            return _read(folder, name, net.stat().st_mtime_ns)
    raise UserError(
        f"unknown town '{name}'; known towns: {', '.join(list_towns())}. "
        "`wm town add FILE.xodr` adds one"
    )


def read_text(path: Path) -> str:
    """The text of a compressed file."""
    return gzip.decompress(path.read_bytes()).decode()


@lru_cache(maxsize=16)
def _read(folder: Path, name: str, stamp_ns: int) -> TownFiles:
    """The files of a town; ``stamp_ns`` makes the cache see a town that was added anew."""
    try:
        text = read_text(folder / f"{name}{XODR_SUFFIX}")
        facts = folder / f"{name}{FACTS_SUFFIX}"
        closed = json.loads(facts.read_text())["closed_roads"] if facts.exists() else ()
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise UserError(f"town '{name}' in {folder} is damaged ({error}); add it again") from None
    walk = folder / f"{name}{WALK_SUFFIX}"
    return TownFiles(
        name=name,
        net_path=folder / f"{name}{NET_SUFFIX}",
        xodr_text=text,
        walk_net_path=walk if walk.exists() else None,
        closed_roads=frozenset(closed),
    )
