"""docs/topics.md lists every topic with its type and QoS."""

from __future__ import annotations

import pytest
from pages import ROOT, row_of, table_rows

from wm_perception.sensor_topics import SENSOR_TOPICS
from wm_perception.topics import SERVICES, TOPICS, Service, Topic
from wm_planner.config_files import CONFIG_FILES


@pytest.mark.parametrize("entry", TOPICS, ids=lambda entry: entry.key)
def test_topic_is_listed(entry: Topic):
    row = row_of("topics.md", entry.name("ROLE"))
    depth = f"{entry.depth}{' latched' if entry.latched else ''}"
    depth += ", best effort" if entry.best_effort else ""
    assert row[1:3] == [entry.type_name, depth]


@pytest.mark.parametrize("entry", SERVICES, ids=lambda entry: entry.key)
def test_service_is_listed(entry: Service):
    assert row_of("topics.md", entry.name("ROLE"))[1] == entry.type_name


@pytest.mark.parametrize("kind", SENSOR_TOPICS)
def test_sensor_is_listed(kind: str):
    row = row_of("topics.md", kind)
    assert row[1].split(", ") == [f"ID{suffix}" for suffix, _ in SENSOR_TOPICS[kind]]
    assert row[2].split(", ") == [type_name for _, type_name in SENSOR_TOPICS[kind]]


def test_nothing_else_is_listed():
    names = {row[0] for row in table_rows(ROOT / "docs/topics.md") if row[0].startswith("/")}
    assert names == {entry.name("ROLE") for entry in (*TOPICS, *SERVICES)}


def test_parameter_files_are_named():
    text = (ROOT / "docs/topics.md").read_text()
    for file in CONFIG_FILES:
        assert f"`config/{file.name}`" in text
