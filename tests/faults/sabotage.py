"""The real perception and planner node with an engine that fails on order.

``python -m sabotage perception|planner --ros-args ...`` runs the node's own main. Orders are JSON
in the file ``WM_SABOTAGE``: ``{"node": ..., "kind": ..., "value": ..., "start_ns": ...,
"end_ns": ...}``, simulated time. Nothing but the engine's answers is touched. Stamps of the frames
that were hit are written beside it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from wm_dynamics import backend_array, backend_cpp
from wm_perception import filter as latent_filter

ORDERS = Path(os.environ["WM_SABOTAGE"])
DONE = ORDERS.with_suffix(".done")  # stamps of the frames that were hit
HEAD = "collision"


class Saboteur:
    """Reads the order of the day and knows the stamp of the frame at work."""

    def __init__(self, node: str):
        self._node, self._stamp_ns = node, 0

    def at(self, stamp_ns: int) -> None:
        """A frame begins."""
        self._stamp_ns = stamp_ns

    def order(self, *kinds: str) -> float | None:
        """The value of the order that holds now, if it is one of the kinds."""
        try:
            order = json.loads(ORDERS.read_text())
        except FileNotFoundError:
            return None
        due = order["start_ns"] <= self._stamp_ns < order["end_ns"]
        meant = order["node"] == self._node and order["kind"] in kinds
        if not (due and meant):
            return None
        with DONE.open("a") as file:
            file.write(f"{self._stamp_ns}\n")
        return float(order["value"])


def sabotage_perception(saboteur: Saboteur) -> None:
    """Observations that fail, are not finite, or are unusual."""
    judged, step = backend_array.ArrayBackend.observe_judged, latent_filter.LatentFilter.update

    def update(self, observation, *args: Any, **how: Any):
        saboteur.at(observation.stamp_ns)
        return step(self, observation, *args, **how)

    def observe_judged(self, *args: Any):
        if saboteur.order("throw") is not None:
            raise RuntimeError("sabotaged engine")
        latent, surprise, trace, novelty = judged(self, *args)
        if saboteur.order("nan") is not None:
            latent = replace(latent, deter=latent.deter * float("nan"))
        unusual = saboteur.order("unusual")
        return latent, surprise, trace, novelty if unusual is None else unusual

    latent_filter.LatentFilter.update = update
    backend_array.ArrayBackend.observe_judged = observe_judged


def sabotage_planner(saboteur: Saboteur) -> None:
    """Imagination that fails, is not finite, is slow, or sees every future collide."""
    from wm_planner import planner_node

    read = planner_node.read_latent

    def read_latent(message, engine):
        saboteur.at(message.header.stamp.sec * 10**9 + message.header.stamp.nanosec)
        return read(message, engine)

    def spoilt(imagine, slows: bool):
        def wrapped(self, *args: Any):
            if saboteur.order("throw") is not None:
                raise RuntimeError("sabotaged engine")
            if slows and (pause_s := saboteur.order("slow")) is not None:
                time.sleep(pause_s)
            imagined = imagine(self, *args)
            if saboteur.order("nan") is not None:
                return replace(imagined, path=imagined.path * np.nan, speed=imagined.speed * np.nan)
            if saboteur.order("collide") is not None:
                heads = {**imagined.heads, HEAD: np.ones_like(imagined.heads[HEAD])}
                return replace(imagined, heads=heads)
            return imagined

        return wrapped

    planner_node.read_latent = read_latent
    engine = backend_cpp.CppBackend
    for name in ("imagine", "imagine_members"):
        setattr(engine, name, spoilt(vars(engine)[name], slows=name == "imagine"))


def main() -> None:
    """Run the node named by the first argument."""
    node = sys.argv.pop(1)
    saboteur = Saboteur(node)
    if node == "perception":
        sabotage_perception(saboteur)
        from wm_perception.perception_node import main as run
    else:
        sabotage_planner(saboteur)
        from wm_planner.planner_node import main as run
    run()


if __name__ == "__main__":
    main()
