"""Shared fixtures: one simulator of the small town for the whole folder."""

from __future__ import annotations

import pytest

from wm_sim.simulator import Simulator


@pytest.fixture(scope="module")
def tiny():
    """A simulator of ``tiny``; libsumo allows one per process, so tests share it."""
    simulator = Simulator("tiny")
    yield simulator
    simulator.close()
