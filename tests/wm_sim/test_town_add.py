"""Added and generated towns. These tests bake towns, which needs eclipse-sumo."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import carla
import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_perception.conventions import carla_to_ros_pose
from wm_sim import town_add
from wm_sim.alignment import is_car_lane, lane_shape, read_net
from wm_sim.routes import load_router, route_list
from wm_sim.town_files import TOWN_DIR, added_towns, list_towns, load_town, read_text
from wm_sim.town_generate import STYLES, generate_town, recipe_of
from wm_sim.town_graph import largest_round_trip
from wm_sim.town_levels import roads_to_close

CARLA_TOWNS = Path(__file__).parents[3] / "shared" / "data" / "towns"
SUMO_TOOLS = (Path(sys.executable).parent / "netconvert").exists() or shutil.which("netconvert")
needs_sumo = pytest.mark.skipif(not SUMO_TOOLS, reason="eclipse-sumo is not installed")
needs_carla_towns = pytest.mark.skipif(
    not CARLA_TOWNS.exists(), reason="CARLA's OpenDRIVE towns are not in ../shared/data/towns"
)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty folder for added towns."""
    monkeypatch.setenv("WM_TOWNS", str(tmp_path / "towns"))
    return tmp_path / "towns"


@pytest.fixture(scope="module")
def tiny_xodr(tmp_path_factory) -> Path:
    """The map of ``tiny`` as a user would have it."""
    path = tmp_path_factory.mktemp("maps") / "My map (2).xodr"
    path.write_text(load_town("tiny").xodr_text)
    return path


def left_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*")) if folder.exists() else []


def phases_of(net) -> dict[str, list[tuple[str, str]]]:
    return {
        x.attrib["id"]: [(p.attrib["duration"], p.attrib["state"]) for p in x.iter("phase")]
        for x in net.iter("tlLogic")
    }


@needs_sumo
def test_a_map_becomes_a_town_and_goes_again(folder, tiny_xodr):
    report = town_add.add(tiny_xodr)
    assert report.town == "My_map_2"
    assert report.alignment.worst_m < 0.1
    assert (report.lights_from, report.light_junctions, report.lights) == ("file", 5, 16)
    assert (report.edges, report.routes, report.removed_lanes) == (24, 24, [])
    assert added_towns() == ["My_map_2"] and "My_map_2" in list_towns()
    town = load_town("My_map_2")
    assert town.xodr_text == load_town("tiny").xodr_text
    assert town.walk_net_path is not None
    assert len(route_list("My_map_2")) == 24
    assert len(left_in(folder)) == 4
    with pytest.raises(UserError, match="wm town remove"):
        town_add.add(tiny_xodr)
    town_add.remove("My_map_2")
    assert left_in(folder) == []
    with pytest.raises(UserError, match="has not been added"):
        town_add.remove("My_map_2")


@pytest.mark.parametrize("name", ["../up", "a b", "-x", "tiny", "x" * 65])
def test_a_town_needs_a_free_and_plain_name(folder, tiny_xodr, name):
    with pytest.raises(UserError, match="town name|shipped town"):
        town_add.add(tiny_xodr, name)
    assert left_in(folder) == []


def test_shipped_towns_stay(folder):
    with pytest.raises(UserError, match="ships with the project"):
        town_add.remove("tiny")
    assert (TOWN_DIR / "tiny.net.xml.gz").exists()


TINY = read_text(TOWN_DIR / "tiny.xodr.gz")
BROKEN = {
    "empty": ("", "is empty"),
    "prose": ("just words", "not well-formed XML"),
    "cut off": (TINY[: len(TINY) // 2], "not well-formed XML, perhaps cut off"),
    "binary": (b"\x7fELF\x00\xff\xfe" * 50, "is not text"),
    "other XML": ("<net><edge/></net>", "root is <net>"),
    "no road": ('<OpenDRIVE><header revMajor="1"/></OpenDRIVE>', "no road with a geometry"),
    "nothing to drive on": (TINY.replace('"driving"', '"sidewalk"'), "no driving lane"),
    "NaN": (re.sub(r' hdg="[^"]*"', ' hdg="nan"', TINY, count=1), "hdg='nan', not a number"),
    "infinite": (re.sub(r' x="[^"]*"', ' x="1e999"', TINY, count=1), "x='1e999', not a number"),
    "far away": (re.sub(r' x="[^"]*"', ' x="1e30"', TINY, count=1), "1000 km from the origin"),
    "negative": (re.sub(r' length="[^"]*"', ' length="-5"', TINY), "impossible length"),
    "endless": (re.sub(r' length="[^"]*"', ' length="1e12"', TINY, count=1), "impossible length"),
    "entities": ('<!DOCTYPE a [<!ENTITY b "c">]>' + TINY[38:], "entities"),
    "twice": (re.sub(r' id="91"', ' id="90"', TINY), "not a whole number of its own"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_map_is_refused_with_a_reason(folder, tmp_path, fault):
    content, reason = BROKEN[fault]
    path = tmp_path / "broken.xodr"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=re.escape(reason)):
        town_add.add(path)
    assert left_in(folder) == []


def spread(text: str, factor: float) -> str:
    """The same roads, placed further apart."""
    return re.sub(r' (x|y)="([-0-9.]+)"', lambda m: f' {m[1]}="{float(m[2]) * factor}"', text)


@needs_sumo
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        # carla.Map ends the process on a geometry without a shape
        (lambda text: text.replace("<line/>", "", 1), "carla.Map or SUMO ended on it"),
        # and raises on a section that begins behind its road
        (lambda text: text.replace('<laneSection s="', '<laneSection s="5000'), "carla.Map"),
        (lambda text: spread(text, 40.0), "cut it into smaller maps"),
        # lanes ten times as wide for SUMO and carla.Map, that overlap each other
        (lambda text: re.sub(r'(<width [^>]*a=")3.50', r"\g<1>35", text), "lie more than 0.5 m"),
    ],
)
def test_a_map_that_libraries_choke_on_is_refused(folder, tmp_path, change, reason):
    path = tmp_path / "odd.xodr"
    path.write_text(change(TINY))
    with pytest.raises(UserError, match=re.escape(reason)):
        town_add.add(path)
    assert left_in(folder) == []


def test_the_command_says_what_is_wrong_in_one_line(folder, tmp_path):
    path = tmp_path / "broken.xodr"
    path.write_text(TINY[:5000])
    for arguments in (["add", str(path)], ["add", str(tmp_path / "none.xodr")], ["remove", "x"]):
        command = [sys.executable, "-m", "wm_training.cli", "town", *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("error: ")
    assert left_in(folder) == []


@needs_sumo
@needs_carla_towns
def test_carla_town01_with_its_own_lights(folder, tmp_path):
    figures = tmp_path / "figures.json"
    command = [sys.executable, "-m", "wm_training.cli", "town", "add"]
    command += [str(CARLA_TOWNS / "Town01.xodr"), "--json", str(figures)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(figures.read_text())
    assert report["lights_from"] == "file"
    assert (report["light_junctions"], report["lights"], report["routes"]) == (12, 36, 24)
    assert report["unmatched"] == 0.0
    assert max(report["edges_max_m"], report["junctions_max_m"]) < 0.1
    town = load_town("Town01")
    assert town.xodr_text == (CARLA_TOWNS / "Town01.xodr").read_text()
    net = read_net(town.net_path)
    for phases in phases_of(net).values():
        assert [t for t, _ in phases] == ["8", "3", "1"] * 3
        # 255 has one turn only from one approach: the map calls the lane of the other a shoulder
        assert all(state.count("G") in (0, 1, 2) for _, state in phases)
        assert all(len(set(state)) <= 2 for _, state in phases)
    check_stop_lines(net, carla.Map("Town01", town.xodr_text))


def check_stop_lines(net, carla_map: carla.Map) -> None:
    """Each lane with a light ends where a lane of carla.Map enters a junction."""
    entries = []
    for begin, _ in carla_map.get_topology():
        if begin.is_junction:
            t = begin.transform
            entries.append(carla_to_ros_pose(t.location.x, t.location.y, t.rotation.yaw)[:2])
    lanes = {lane.attrib["id"]: lane_shape(lane) for lane in net.iter("lane")}
    lights = {
        f"{c.attrib['from']}_{c.attrib['fromLane']}" for c in net.iter("connection") if c.get("tl")
    }
    assert len(lights) == 36
    for lane in lights:
        assert np.hypot(*(np.array(entries) - lanes[lane][-1]).T).min() < 0.1


@needs_sumo
@needs_carla_towns
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "closed", "removed"), [("Town02", 0, 0.0), ("Town03", 11, 0.005), ("Town05", 5, 0.0)]
)
def test_the_other_carla_towns(folder, name, closed, removed):
    report = town_add.add(CARLA_TOWNS / f"{name}.xodr")
    assert report.alignment.worst_m < 0.3
    assert max(report.alignment.edges_p95_m, report.alignment.junctions_p95_m) < 0.05
    assert len(report.closed_roads) == closed
    assert report.removed_share <= removed
    assert report.sidewalks and report.routes == 24
    assert load_town(name).closed_roads == frozenset(report.closed_roads)
    router = load_router(name)
    for route in route_list(name)[:5]:
        again = router.plan((*route.points[0], route.headings[0]), tuple(route.points[-1]))
        assert again.length_m < 1.5 * route.length_m
        assert np.abs(np.diff(again.headings)).max() < 0.8
    for lane in read_net(load_town(name).walk_net_path).iter("lane"):
        if lane.get("allow") == "pedestrian":
            assert not is_car_lane(lane)


@needs_carla_towns
def test_of_two_roads_over_each_other_one_is_closed():
    text = (CARLA_TOWNS / "Town05.xodr").read_text()
    assert roads_to_close(carla.Map("Town05", text)) == {3, 9, 24}
    assert not roads_to_close(carla.Map("tiny", TINY))


def test_dead_ends_are_no_round_trip():
    links = {("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("x", "a"), ("e", "f"), ("f", "e")}
    assert largest_round_trip(set("abcdefx"), links) == set("abc")
    assert largest_round_trip(set("ab"), {("a", "b")}) == set()


@needs_sumo
def test_the_same_seed_gives_the_same_town(folder):
    first = generate_town(3, "grid", 1, "one")
    second = generate_town(3, "grid", 1, "two")
    for suffix in (".net.xml.gz", ".walk.net.xml.gz", ".xodr.gz"):
        assert (folder / f"one{suffix}").read_bytes() == (folder / f"two{suffix}").read_bytes()
    assert (first.lights, first.stops) == (second.lights, second.stops)
    assert first.alignment.worst_m < 0.5
    assert first.lights + first.stops > 5
    with pytest.raises(UserError, match="exists"):
        generate_town(3, "grid", 1, "one")
    assert not [name for name in left_in(folder) if name.startswith(".")]


def test_other_seeds_and_styles_give_other_drawings():
    recipes = {recipe_of(seed, style, 1).network for seed in (0, 1) for style in STYLES}
    assert len(recipes) == 2 * len(STYLES)
    assert recipe_of(5, "ring", 2) == recipe_of(5, "ring", 2)


@pytest.mark.parametrize(
    ("seed", "style", "lanes", "reason"),
    [
        (1, "maze", 1, "unknown style 'maze'.*grid"),
        (1, "grid", 3, "1 to 2 lanes"),
        (-1, "grid", 1, "seed must be"),
        (math.factorial(20), "grid", 1, "seed must be"),
    ],
)
def test_impossible_towns_are_refused(folder, seed, style, lanes, reason):
    with pytest.raises(UserError, match=reason):
        generate_town(seed, style, lanes)
    assert left_in(folder) == []
