"""What MkDocs does not do by itself, see mkdocs.yml.

The README becomes the first page, model cards become pages, and links to files of the repository
that are no pages become plain text: the same Markdown is read on a code host and as a site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.S | re.M)


def origins() -> dict[str, str]:
    """File of the site -> the file of the repository it is made of, where that is not in docs/."""
    found = {"index.md": "README.md"}
    for card in sorted((ROOT / "models").glob("*/README.md")):
        folder = f"models/{card.parent.name}"
        found[f"{folder}/index.md"] = f"{folder}/README.md"
        for picture in sorted(card.parent.glob("*.png")):
            found[f"{folder}/{picture.name}"] = f"{folder}/{picture.name}"
    return found


def named_in(nav: list) -> set[str]:
    """All pages that a navigation names."""
    found: set[str] = set()
    for entry in nav:
        value = next(iter(entry.values())) if isinstance(entry, dict) else entry
        found |= named_in(value) if isinstance(value, list) else {value}
    return found


def on_config(config):
    """Pages that the navigation forgot go to its end, model cards into a part of their own."""
    cards = [page for page in origins() if page.endswith("/index.md")]
    config.nav.append({"Shipped models": cards})
    pages = {page.name for page in (ROOT / "docs").glob("*.md")}
    more = sorted(pages - named_in(config.nav))
    if more:
        config.nav.append({"More": more})
    return config


def on_files(files, config):
    """Add the files that lie outside of docs/."""
    for name, origin in origins().items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / origin)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Links as the site has them."""
    return linked(markdown, page.file.src_uri, {file.src_uri for file in files})


def linked(markdown: str, page: str, pages: set[str]) -> str:
    """Markdown of ``page`` with its links led to ``pages``; links elsewhere become their text.

    Args:
        markdown: as it is in the repository.
        page: its name in the site.
        pages: all files of the site.
    """
    made_of = origins()
    origin = made_of.get(page, f"docs/{page}")
    by_origin = {made_of.get(name, f"docs/{name}"): name for name in pages}

    def lead(match: re.Match[str]) -> str:
        mark, text, target = match.groups()
        if re.match(r"\w+:|#", target):
            return match[0]
        path, hash_sign, fragment = target.partition("#")
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(origin), path))
        found = by_origin.get(wanted) or by_origin.get(f"{wanted}/README.md")
        if found is None:
            return match[0] if mark else text
        way = posixpath.relpath(found, posixpath.dirname(page) or ".")
        return f"{mark}[{text}]({way}{hash_sign}{fragment})"

    parts, last = [], 0
    for fence in FENCE.finditer(markdown):
        parts += [LINK.sub(lead, markdown[last : fence.start()]), fence[0]]
        last = fence.end()
    return "".join([*parts, LINK.sub(lead, markdown[last:])])
