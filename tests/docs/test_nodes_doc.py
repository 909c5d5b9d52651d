"""docs/nodes.md is what docs/make_nodes.py makes of the code, and leaves no node out."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from pages import ROOT

pytest.importorskip("rclpy", reason="needs ROS 2 (pip install . brings it)")

from wm_perception.topics import TOPICS
from wm_planner.node_table import drive_options, node_table
from wm_planner.node_topics import NODE_TOPICS


@pytest.fixture(scope="module")
def make_nodes():
    spec = importlib.util.spec_from_file_location("make_nodes", ROOT / "docs" / "make_nodes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_code_says(make_nodes):
    text = (ROOT / "docs" / "nodes.md").read_text()
    assert text == make_nodes.render(), "run python docs/make_nodes.py"


def test_every_node_of_a_drive_is_there(make_nodes):
    options = {"record": "bags/one", "view": True}
    names = {
        spec.name
        for driver in ("planner", "expert")
        for spec in node_table(drive_options({**options, "driver": driver}), Path("model"))
    }
    assert names == {node[0] for node in make_nodes.NODES}


def test_every_parameter_is_described_or_speaks_for_itself(make_nodes):
    text = make_nodes.render()
    rows = [row.split("|")[1:-1] for row in text.splitlines() if row.startswith("| `")]
    assert len(rows) > 100
    assert all(len(row) == 5 and row[1].strip() and row[3].strip() for row in rows)
    assert "| `config.compare_s`" not in text
    compare = next(row for row in rows if row[0].strip() == "`compare_s`")
    assert [cell.strip() for cell in compare[1:4]] == ["float", "s", "`3`"]


def test_every_topic_of_the_stack_has_a_publisher():
    published = {key for topics in NODE_TOPICS.values() for key in topics.publishes}
    assert published == {entry.key for entry in TOPICS if entry.publisher == "stack"}
