"""A picture of what the model expects: ``python docs/make_imagination_strip.py data/val01``.

The argument is a store of driving that the model has not learned from.
Rows of docs/images/imagination_strip.png: a moment, the belief, what is expected 0.6, 1, 2 and 3 s
ahead with the actions that were taken, and what was unexpected a second later. Drawn by the code
that draws on /wm/imagined/bev and /wm/surprise.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch

from wm_dynamics.checkpoint import load_checkpoint
from wm_dynamics.model import WorldModel
from wm_dynamics.rollout import LatentState
from wm_perception.bev import planes
from wm_planner.expectation import Moment, expect, unexpected
from wm_planner.expectation_pictures import bev_strip, surprise_picture
from wm_planner.paths import DEFAULT_MODEL, model_path
from wm_training.store import Store
from wm_training.validation import CONTEXT, filter_context, validation_sampler

FILE = Path(__file__).parent / "images" / "imagination_strip.png"
STEPS, LATER, TILE, GAP = [0, 3, 5, 10, 15], 2, 128, 4  # LATER: place in STEPS of the surprise
CANDIDATES = 40  # moments, of which the fullest are shown
VEHICLE, STOP_LINE, STOP_LINE_PIXELS = 3, 5, 25.0


def fullness(mask: np.ndarray) -> float:
    """How much there is to see of vehicles, and whether there is a red light."""
    layers = planes(mask)
    return float(layers[VEHICLE].sum() + STOP_LINE_PIXELS * layers[STOP_LINE].any())


def row_of(model: WorldModel, moment: Moment, actions: np.ndarray, later: np.ndarray) -> np.ndarray:
    """One row; ``later``: the mask at the step whose expectation is judged."""
    drawn = expect(model, moment, actions, STEPS, cameras=False)
    assert drawn.masks is not None, "the shipped model draws masks"
    dt = model.config.dt
    strip = bev_strip(moment.mask, drawn.masks, [step * dt for step in STEPS], TILE)
    appeared, missing = unexpected(drawn.masks[LATER], later)
    surprise = surprise_picture(later, appeared, missing, STEPS[LATER] * dt, TILE)
    parts = [np.pad(p, ((0, len(strip) - len(p)), (0, GAP), (0, 0))) for p in (strip, surprise)]
    return np.hstack(parts)


def main() -> None:
    """Draw the moments with most to see."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--rows", type=int, default=3)
    parser.add_argument("--seed", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load_checkpoint(model_path(DEFAULT_MODEL))
    store = Store.open(arguments.store)
    batch = validation_sampler(store, model.config, 2, arguments.seed).batch(CANDIDATES)
    belief = filter_context(model, batch)
    masks = batch["bev"].numpy()
    now = CONTEXT - 1
    fullest = sorted(range(CANDIDATES), key=lambda r: -fullness(masks[r, now]))[: arguments.rows]
    rows = []
    for r in fullest:
        memory = None if belief.memory is None else belief.memory[r : r + 1]
        latent = LatentState(belief.deter[r : r + 1], belief.stoch[r : r + 1], memory)
        moment = Moment(latent, batch["state"][r, now].numpy(), masks[r, now])
        actions = batch["action"][r, CONTEXT:].numpy()
        rows.append(row_of(model, moment, actions, masks[r, now + STEPS[LATER]]))
    cv2.imwrite(str(FILE), np.vstack(rows))


if __name__ == "__main__":
    main()
