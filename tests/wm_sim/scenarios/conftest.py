"""Lets these tests import ``stages.py`` beside them, and shares one simulator per town."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module")
def towns():
    """Gives the simulator of a town; the one before is closed, as SUMO allows only one."""
    from stages import Towns

    pool = Towns()
    yield pool
    pool.close()
