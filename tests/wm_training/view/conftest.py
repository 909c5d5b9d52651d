"""Lets these tests import what lies beside them, and the bridge as a process."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path += [str(HERE), str(HERE.parents[1] / "wm_sim")]
