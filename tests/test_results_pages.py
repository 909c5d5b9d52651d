"""The tables of results are those of the reports."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def results():
    spec = importlib.util.spec_from_file_location("make_results", ROOT / "docs/make_results.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_say_what_the_reports_say(results):
    for page, text in results.pages().items():
        assert page.read_text() == text, f"run python docs/make_results.py: {page.name} is stale"


def test_every_table_has_rows(results):
    found = results.read_folder()
    assert results.paired(found).count("\n") > 10
    assert "| Town05 |" in results.grouped(found)
    assert results.tables(found, results.FEW).count("**`wm eval --suite") >= 5
