"""Which code made a file."""

from __future__ import annotations

import subprocess
from importlib import metadata as package_metadata
from pathlib import Path


def code_version() -> str:
    """Version of the installed distribution, with the git commit when run from a checkout."""
    try:
        version = package_metadata.version("wm-drive")
    except package_metadata.PackageNotFoundError:
        version = "unknown"
    here = Path(__file__).resolve().parent
    command = ["git", "-C", str(here), "rev-parse", "--short", "HEAD"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return version
    return f"{version}+{commit.stdout.strip()}"
