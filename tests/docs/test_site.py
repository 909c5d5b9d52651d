"""The documentation builds as a site without a warning, and needs no other host."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT

pytest.importorskip("material", reason="mkdocs-material is not installed (pip install '.[dev]')")


@pytest.fixture(scope="module")
def hooks():
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "site_hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    return target


def test_every_page_is_there(site: Path):
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")}
    assert pages <= {page.stem for page in site.glob("*.html")}
    assert "wm-drive" in (site / "index.html").read_text(), "the README is the first page"
    assert (site / "models" / "driving-bev" / "index.html").is_file()
    assert not list(site.rglob("*.py"))


def test_nothing_is_loaded_from_elsewhere(site: Path):
    for page in site.rglob("*.html"):
        text = page.read_text()
        loaded = re.findall(r"<(?:script|img|iframe)[^>]*?src=\"(https?:[^\"]*)", text)
        loaded += re.findall(r"<link[^>]*?rel=\"(?:stylesheet|preconnect)\"[^>]*?(https?:)", text)
        assert not loaded, page


def test_links_lead_to_pages_or_become_text(hooks):
    pages = {"index.md", "gate.md", "models/driving-bev/index.md", "images/drive.gif"}

    def led(text: str, page: str = "index.md") -> str:
        return hooks.linked(text, page, pages)

    assert led("[gate](docs/gate.md#rules)") == "[gate](gate.md#rules)"
    assert led("![it](docs/images/drive.gif)") == "![it](images/drive.gif)"
    assert led("[card](models/driving-bev)") == "[card](models/driving-bev/index.md)"
    assert led("see [LICENSE](LICENSE)") == "see LICENSE"
    assert led("[x](https://example.org) [y](#here)") == "[x](https://example.org) [y](#here)"
    assert led("[back](../README.md#results)", "gate.md") == "[back](index.md#results)"
    assert led("[up](../../README.md)", "models/driving-bev/index.md") == "[up](../../index.md)"
    fenced = "```bash\n[no](link.md)\n```"
    assert led(fenced) == fenced


def test_a_broken_link_breaks_the_build(tmp_path: Path):
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("results"))
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copy(ROOT / "README.md", tmp_path)
    page = tmp_path / "docs" / "gate.md"
    page.write_text(page.read_text() + "\n[nowhere](topics.md#no-such-heading)\n")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0 and "no-such-heading" in done.stderr
