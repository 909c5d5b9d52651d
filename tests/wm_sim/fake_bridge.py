"""Child process of test_bridge_node.py: the bridge node over the fake source."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fake_source import FakeSource

from wm_perception.node_tools import run
from wm_sim.bridge_node import BridgeNode

if __name__ == "__main__":
    sys.exit(run(partial(BridgeNode, FakeSource), poll=lambda bridge: bridge.poll()))
