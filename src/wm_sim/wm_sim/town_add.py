"""Added towns: any OpenDRIVE map becomes a town in the user's folder.

The work is done by a process of its own, as ``carla.Map`` ends the process on some broken maps:
``python -m wm_sim.town_add FILE NAME FOLDER`` writes the files of the town and ``report.json``.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import zlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import carla

from wm_dynamics.errors import UserError
from wm_perception.town_map import PADDING_M
from wm_sim.alignment import Alignment, read_net
from wm_sim.router import Router
from wm_sim.routes import fixed_routes
from wm_sim.town_check import read_opendrive
from wm_sim.town_files import (
    FACTS_SUFFIX,
    NAME_PATTERN,
    NET_SUFFIX,
    SUFFIXES,
    WALK_SUFFIX,
    XODR_SUFFIX,
    added_towns,
    shipped_towns,
    user_town_dir,
)
from wm_sim.town_import import import_network
from wm_sim.town_lanes import drivable_edges
from wm_sim.town_pavements import pavement_gaps
from wm_sim.town_sumo import compressed
from wm_sim.town_walks import walk_network

TIME_LIMIT_S = 900
MAX_AREA_KM2 = 12.0  # the rasters of a town this large take 400 MB
MEMORY_LIMIT_BYTES = 8 << 30  # some broken maps make carla.Map fill the memory
_REPORT = "report.json"
_REFUSED = 3  # exit code of the process that found a reason


@dataclass(frozen=True)
class TownReport:
    """What became of an OpenDRIVE map.

    Attributes:
        town: its name.
        alignment: how well the SUMO network agrees with carla.Map.
        removed_lanes: SUMO lanes that disagreed and were taken out.
        removed_share: their part of the length of all lanes.
        dead_ends: SUMO edges that were taken out because no round trip leads over them.
        closed_roads: OpenDRIVE roads without traffic and routes.
        lights_from: "file", "guessed" or "none".
        light_junctions, lights: junctions with lights, and lanes that end at one.
        edges: stretches of street with traffic.
        sidewalks: whether the pavements are where the map has sidewalks.
        routes: routes of the default suite.
    """

    town: str
    alignment: Alignment
    removed_lanes: list[str]
    removed_share: float
    dead_ends: list[str]
    closed_roads: list[int]
    lights_from: str
    light_junctions: int
    lights: int
    edges: int
    sidewalks: bool
    routes: int

    def to_dict(self) -> dict:
        """For JSON; the alignment figures beside the others."""
        others = asdict(self)
        del others["alignment"]
        return {**self.alignment.to_dict(), **others}

    @classmethod
    def from_dict(cls, values: dict) -> TownReport:
        """The report that :meth:`to_dict` wrote."""
        figures = {f.name: values[f.name] for f in fields(Alignment)}
        others = {f.name: values[f.name] for f in fields(cls) if f.name != "alignment"}
        return cls(alignment=Alignment(**figures), **others)


def _check_area(carla_map: carla.Map) -> None:
    """Raises UserError for a map too large for the rasters that every simulator draws of it."""
    places = [w.transform.location for w in carla_map.generate_waypoints(20.0)]
    sides = [
        (max(values) - min(values) + 2 * PADDING_M) / 1e3
        for values in zip(*((p.x, p.y) for p in places), strict=True)
    ]
    if len(sides) < 2:
        raise UserError("carla.Map finds no driving lane in it")
    if sides[0] * sides[1] > MAX_AREA_KM2:
        raise UserError(
            f"it covers {sides[0]:.1f} x {sides[1]:.1f} km, more than {MAX_AREA_KM2:.0f} km²; "
            "cut it into smaller maps"
        )


def bake(source: Path, name: str, out: Path) -> TownReport:
    """Write the files of a town into ``out``.

    Raises:
        UserError: the map cannot be used; the message says why.
    """
    text = read_opendrive(source)
    try:
        carla_map = carla.Map(name, text)
    except RuntimeError as error:
        raise UserError(f"carla.Map cannot read it: {error}") from None
    _check_area(carla_map)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        work = Path(folder)
        (work / "map.xodr").write_text(text, encoding="utf-8")
        found = import_network(work / "map.xodr", carla_map, work)
        gaps = pavement_gaps(read_net(found.net), carla_map)
        walk = walk_network(found.net, work, gaps=gaps)
        net = compressed(found.net.read_text())
    router = Router(carla_map, frozenset(found.closed_roads))
    routes = fixed_routes(router, zlib.crc32(f"{name}/default".encode()))
    (out / f"{name}{XODR_SUFFIX}").write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    (out / f"{name}{WALK_SUFFIX}").write_bytes(compressed(walk))
    (out / f"{name}{NET_SUFFIX}").write_bytes(net)
    facts = {"closed_roads": list(found.closed_roads)}
    (out / f"{name}{FACTS_SUFFIX}").write_text(json.dumps(facts) + "\n")
    return TownReport(
        town=name,
        alignment=found.alignment,
        removed_lanes=list(found.removed),
        removed_share=round(found.removed_share, 5),
        dead_ends=list(found.dead_ends),
        closed_roads=list(found.closed_roads),
        lights_from=found.lights_from,
        light_junctions=found.light_junctions,
        lights=found.light_lanes,
        edges=len(drivable_edges(out / f"{name}{NET_SUFFIX}")),
        sidewalks=bool(gaps),
        routes=len(routes),
    )


def default_name(source: Path) -> str:
    """The town name for a file: its stem without what a name may not hold."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", source.stem).strip("_-")[:64]


def check_name(name: str) -> None:
    """Raises UserError unless a new town may have this name."""
    if not NAME_PATTERN.fullmatch(name):
        raise UserError(f"'{name}' is no town name: use letters, digits, '_' and '-'")
    if name in shipped_towns():
        raise UserError(f"'{name}' is a shipped town; choose another name with --name")
    if name in added_towns():
        raise UserError(f"town '{name}' exists; `wm town remove {name}` first")


def publish(made: Path, name: str) -> None:
    """Move the files of a town into the user's folder; with the network, the last, it exists."""
    for suffix in SUFFIXES:
        file = made / f"{name}{suffix}"
        if file.exists():
            os.replace(file, user_town_dir() / file.name)


def staging_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder beside the added towns, where files can be moved from in one step.

    Raises:
        UserError: the user's folder cannot be written.
    """
    folder = user_town_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix=".adding-", dir=folder)
    except OSError as error:
        raise UserError(f"cannot write to {folder} ({error.strerror}); set WM_TOWNS") from None


def add(source: Path, name: str | None = None) -> TownReport:
    """Make a town of an OpenDRIVE file and put it into the user's folder.

    Raises:
        UserError: the file or the name cannot be used; nothing is left behind.
    """
    name = name or default_name(source)
    check_name(name)
    read_opendrive(source)  # the common faults, without starting a process
    with staging_folder() as folder:
        made = Path(folder)
        command = [sys.executable, "-m", "wm_sim.town_add", str(source), name, str(made)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIME_LIMIT_S)
        except subprocess.TimeoutExpired:
            raise UserError(f"{source.name}: not done after {TIME_LIMIT_S} s") from None
        if done.returncode == _REFUSED:
            raise UserError(f"{source.name}: {done.stderr.strip().splitlines()[-1]}")
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise UserError(
                f"{source.name} is not usable: carla.Map or SUMO ended on it "
                f"(exit code {done.returncode}: {last[:200]})"
            )
        report = TownReport.from_dict(json.loads((made / _REPORT).read_text()))
        publish(made, name)
    return report


def remove(name: str) -> None:
    """Delete an added town.

    Raises:
        UserError: there is none of this name.
    """
    if name not in added_towns():
        known = ", ".join(added_towns()) or "none"
        reason = "ships with the project" if name in shipped_towns() else "has not been added"
        raise UserError(f"town '{name}' {reason}; added towns: {known}")
    for suffix in reversed(SUFFIXES):  # the network first: without it there is no town
        (user_town_dir() / f"{name}{suffix}").unlink(missing_ok=True)


def main() -> None:
    """Entry of the process that bakes: FILE NAME FOLDER."""
    source, name, out = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    try:
        report = bake(source, name, out)
    except UserError as error:
        print(" ".join(str(error).splitlines()), file=sys.stderr)
        sys.exit(_REFUSED)
    (out / _REPORT).write_text(json.dumps(report.to_dict()))


if __name__ == "__main__":
    main()
