"""The mutation operators: what they change, and what they leave alone."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("mutate", Path(__file__).parent / "mutate.py")
mutate = sys.modules["mutate"] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(mutate)


def changed(source: str) -> set[str]:
    return {ast.unparse(mutant.make()[0]) for mutant in mutate.mutants(source)}


@pytest.mark.parametrize(
    "source, expected",
    [
        ("x = a < b", {"x = a <= b", "x = a > b"}),
        ("x = a < b <= c", {"x = a <= b <= c", "x = a > b <= c", "x = a < b < c", "x = a < b > c"}),
        ("x = a and b", {"x = a or b"}),
        ("x = not a", {"x = a"}),
        ("x = -a", {"x = a"}),
        ("x = a - b / c", {"x = a + b / c", "x = a - b * c"}),
        ("x = [True, 2.5]", {"x = [False, 2.5]", "x = [True, 3.5]"}),
        ("x = min(a)", {"x = max(a)"}),
        ("x = np.maximum(a, b)", {"x = np.minimum(a, b)"}),
        ("f(a)", {"pass"}),
        ("self.a = b", {"pass"}),
        ("x = b if a else c", {"x = b if not a else c"}),
        ("def f():\n    return a", {"def f():\n    return None"}),
    ],
)
def test_changes(source, expected):
    assert changed(source) == expected


def test_leaves_annotations_texts_and_unions_alone():
    source = 'X = A | B\n\ndef f(a: list[1]) -> dict[2, 3]:\n    """Text."""\n    b: set[4] = c'
    assert changed(source) == set()


def test_every_mutant_differs_in_one_line_and_says_which():
    source = "a = 1\nb = a + 2\n"
    assert [mutant.make()[1:] for mutant in mutate.mutants(source)] == [
        (1, "1 -> 2"),
        (2, "a + 2 -> a - 2"),
        (2, "2 -> 3"),
    ]
