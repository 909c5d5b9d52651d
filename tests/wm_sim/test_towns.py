"""The shipped towns: their networks, pavements, lights and street furniture."""

from __future__ import annotations

import hashlib
import math
import xml.etree.ElementTree as ET

import carla
import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_perception.town_map import TownMap
from wm_sim.alignment import (
    LaneGap,
    is_car_lane,
    lane_alignment,
    lane_gaps,
    lane_shape,
    read_net,
    summarise,
)
from wm_sim.generate import SHIPPED
from wm_sim.routes import route_list
from wm_sim.town_build import MAX_MISALIGNMENT_M
from wm_sim.town_files import TOWN_DIR, load_town, shipped_towns
from wm_sim.town_lanes import drivable_edges
from wm_sim.town_walks import WALK_SPEED_MPS

TOWNS = shipped_towns()
# Results, the shipped model and its training data rest on these files: they never change.
FROZEN = {
    "test01": "e05563e019d5a729ec0f029ba2aa7bfc0caf4bea1e7b6bea2d8b0ca2b86f0f57",
    "train01": "217939cd7447113015a7a80c09da88943f62fdceb98788d25715283b3c41e01b",
    "tiny": "04b1f8bcaf1bf6a7d511c38d49deb3bdd1a030c12cb2b124bf850825dabed740",
}


def carla_map(name: str) -> carla.Map:
    return carla.Map(name, load_town(name).xodr_text)


def car_lanes(net: ET.Element) -> dict[tuple[str, int], np.ndarray]:
    """(edge, number of the lane among those for cars) -> its points."""
    return {
        (edge.attrib["id"], number): lane_shape(lane)
        for edge in net.iter("edge")
        if edge.get("function", "normal") == "normal"
        for number, lane in enumerate(filter(is_car_lane, edge.iter("lane")))
    }


def test_six_train_two_validation_two_test_towns_and_two_more():
    splits = [name.rstrip("0123456789") for name in TOWNS]
    assert sorted(splits) == ["stage"] + ["test"] * 2 + ["tiny"] + ["train"] * 6 + ["val"] * 2
    assert set(TOWNS) == set(SHIPPED)


def test_no_two_towns_are_equal():
    assert len({load_town(name).xodr_text for name in TOWNS}) == len(TOWNS)


@pytest.mark.parametrize("name", FROZEN)
def test_the_towns_of_the_experiments_are_as_they_were(name):
    both = b"".join((TOWN_DIR / f"{name}{s}").read_bytes() for s in (".net.xml.gz", ".xodr.gz"))
    assert hashlib.sha256(both).hexdigest() == FROZEN[name]


@pytest.mark.parametrize("name", TOWNS)
def test_files_are_small(name):
    for path in TOWN_DIR.glob(f"{name}.*"):
        assert path.stat().st_size < 150_000


def test_unknown_town_lists_the_known_ones():
    with pytest.raises(UserError, match=r"atlantis.*test01.*train06.*wm town add"):
        load_town("atlantis")


@pytest.mark.parametrize("name", ["../tiny", "tiny/../tiny", ""])
def test_a_town_name_is_no_path(name):
    with pytest.raises(UserError, match="unknown town"):
        load_town(name)


@pytest.mark.parametrize("name", ["tiny", "train04", "test01", "stage"])
def test_sumo_and_opendrive_lanes_agree(name):
    for path in (load_town(name).net_path, load_town(name).walk_net_path):
        found = lane_alignment(path, carla_map(name))
        assert found.worst_m < MAX_MISALIGNMENT_M
        assert max(found.edges_p95_m, found.junctions_p95_m) < 0.1
        assert found.points > 500


def test_a_network_beside_the_map_is_seen():
    net = read_net(load_town("tiny").net_path)
    for lane in net.iter("lane"):
        lane.set("shape", " ".join(f"{x + 0.7:.2f},{y:.2f}" for x, y in lane_shape(lane)))
    assert 0.6 < summarise(lane_gaps(net, carla_map("tiny"))).edges_max_m < 0.8


def test_points_without_a_partner_are_counted():
    gaps = LaneGap("a", False, np.zeros((4, 3)), np.array([0.1, np.inf, 0.2, 0.3]))
    found = summarise([gaps])
    assert (found.unmatched, found.edges_max_m, found.worst_m) == (0.25, 0.3, math.inf)


@pytest.mark.parametrize("name", TOWNS)
def test_pavements_leave_streets_and_stop_lines_where_they_are(name):
    town = load_town(name)
    streets, walks = (car_lanes(read_net(p)) for p in (town.net_path, town.walk_net_path))
    assert streets.keys() == walks.keys()
    for lane, shape in streets.items():
        assert np.hypot(*(shape[-1] - walks[lane][-1])) < 0.3
    assert drivable_edges(town.net_path).keys() == drivable_edges(town.walk_net_path).keys()


def test_cars_keep_off_the_pavement():
    edges = drivable_edges(load_town("stage").walk_net_path)
    assert sum(lanes == (1,) for lanes in edges.values()) > 40
    assert (1, 2) in edges.values()  # the avenue
    assert all(lanes == (0,) for lanes in drivable_edges(load_town("tiny").net_path).values())


def phases_of(logic: ET.Element) -> list[tuple[int, str]]:
    return [(int(p.attrib["duration"]), p.attrib["state"]) for p in logic.iter("phase")]


@pytest.mark.parametrize("name", ["tiny", "test01", "train04", "stage"])
def test_one_approach_at_a_time_then_walkers_alone(name):
    town = load_town(name)
    streets = {x.attrib["id"]: phases_of(x) for x in read_net(town.net_path).iter("tlLogic")}
    net = read_net(town.walk_net_path)
    walks = {x.attrib["id"]: phases_of(x) for x in net.iter("tlLogic")}
    assert streets.keys() == walks.keys()
    lengths = {
        e.attrib["id"]: float(e.find("lane").attrib["length"])
        for e in net.iter("edge")
        if e.get("function") == "crossing"
    }
    for lights, phases in streets.items():
        links = len(phases[0][1])
        assert [(t, s[:links]) for t, s in walks[lights][:-2]] == phases
        assert all(set(state[links:]) == {"r"} for _, state in walks[lights][:-2])
        (_, walking), (clearing, nobody) = walks[lights][-2:]
        assert set(walking[:links]) == {"r"} and set(walking[links:]) == {"G"}
        assert set(nobody) == {"r"}
        crossings = [c for c in net.iter("connection") if c.get("tl") == lights]
        longest = max(lengths.get(c.attrib["to"], 0.0) for c in crossings)
        assert longest > 5.0
        assert clearing >= longest / WALK_SPEED_MPS
        assert {t for t, s in phases if "y" in s} == {3}
        assert {t for t, s in phases if "G" in s} == {8}
        assert {t for t, s in phases if set(s) == {"r"}} == {1}


def test_the_stage_has_one_place_of_every_kind():
    town = load_town("stage")
    net = read_net(town.net_path)
    kinds = [j.get("type") for j in net.iter("junction")]
    assert kinds.count("traffic_light") == 3
    assert kinds.count("priority_stop") == 2
    assert kinds.count("right_before_left") == 4
    (ring,) = net.iter("roundabout")
    assert len(ring.attrib["edges"].split()) == 4
    widest = {e: len(lanes) for e, lanes in drivable_edges(town.net_path).items()}
    assert sorted(widest.values())[-2:] == [2, 3]  # the acceleration lane
    avenue = [e for e in net.iter("edge") if e.get("id") in widest and widest[e.get("id")] == 2]
    assert max(float(e.find("lane").attrib["length"]) for e in avenue) > 390.0


def test_routes_lie_on_the_road():
    for name in ("tiny", "stage"):
        town = TownMap.from_opendrive(load_town(name).xodr_text, name)
        for route in route_list(name):
            assert town.drivable(route.points).mean() > 0.99
