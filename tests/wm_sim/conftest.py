"""Shared fixtures: one simulator of the small town for the whole folder.

It also lets these tests import ``drives.py`` beside them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from wm_sim.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module")
def tiny():
    """A simulator of ``tiny``; libsumo allows one per process, so tests share it."""
    simulator = Simulator("tiny")
    yield simulator
    simulator.close()
