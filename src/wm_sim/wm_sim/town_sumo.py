"""SUMO's command-line tools (``eclipse-sumo``, needed only to make towns) and their XML files."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
import sys
from pathlib import Path

from wm_dynamics.errors import UserError

_PROJECTION = "<![CDATA[+proj=tmerc +lat_0=0 +lon_0=0]]>"
_TIME_LIMIT_S = 600


def run_tool(tool: str, arguments: list[str], cwd: Path) -> str:
    """Run ``netconvert`` or ``netgenerate``; returns its warnings.

    Raises:
        UserError: the tool is missing, failed or took too long.
    """
    program = Path(sys.executable).parent / tool
    found = str(program) if program.exists() else shutil.which(tool)
    if found is None:
        raise UserError(f"{tool} is not installed: pip install eclipse-sumo")
    try:
        done = subprocess.run(
            [found, *arguments],
            cwd=cwd,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_TIME_LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"{tool} did not finish in {_TIME_LIMIT_S} s") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("Error")]
        last = done.stderr.strip().splitlines()[-1:]
        reason = [*lines, *last, f"exit code {done.returncode}"][0]
        raise UserError(f"{tool} failed: {reason}")
    return done.stderr


def compact(text: str) -> str:
    """XML of SUMO's tools without comments and dates, so that the same town gives the same text."""
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.S)
    text = re.sub(r'(<header[^>]*?) date="[^"]*"', r'\1 date=""', text)
    # netconvert writes no projection, and carla.Map warns about that on every load.
    return re.sub(
        r"(<header[^>]*?)/>", rf"\1><geoReference>{_PROJECTION}</geoReference></header>", text
    )


def compressed(text: str) -> bytes:
    """Gzip of :func:`compact`, without a time."""
    return gzip.compress(compact(text).encode(), 9, mtime=0)
