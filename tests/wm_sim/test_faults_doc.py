"""docs/faults.md lists every kind with its default, and its examples are faults that can be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wm_perception.topics import TOPICS
from wm_sim.faults import applies
from wm_sim.faults_spec import EVERY_TOPIC, KINDS, parse_fault

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "faults.md").read_text()
ROWS = [[c.strip() for c in line.split("|")[1:-1]] for line in TEXT.splitlines() if "|" in line]
# Codes like odometry:delay:3; the bare form in capitals and ROS arguments are none.
EXAMPLES = sorted(set(re.findall(rf"[\w*./]+:(?:{'|'.join(KINDS)})\b[^\s`\",'\]]*", TEXT)))
TYPES = {entry.key: entry for entry in TOPICS}


def test_every_kind_is_listed_with_its_default():
    found = {row[0].strip("`"): row[1] for row in ROWS if row[0].strip("`") in KINDS}
    assert set(found) == set(KINDS)
    for name, kind in KINDS.items():
        assert found[name] == ("needed" if kind.default is None else f"{kind.default:g}")


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_are_faults(text: str):
    fault = parse_fault(text.removeprefix("faults:="))
    if fault.topic in TYPES:
        assert applies(fault, TYPES[fault.topic].message_type()) == ""
    else:
        assert fault.topic in (EVERY_TOPIC, "depth_front/image")


def test_there_are_examples_of_every_kind():
    assert {parse_fault(t.removeprefix("faults:=")).kind for t in EXAMPLES} == set(KINDS)
