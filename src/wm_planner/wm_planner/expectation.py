"""What the model expects to see: its beliefs along a course of action, drawn.

Symbols: H imagined steps, C masks, S their side in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from wm_dynamics.beliefs import beliefs
from wm_dynamics.bev import unpack_bev
from wm_dynamics.model import WorldModel
from wm_dynamics.rollout import LatentState


@dataclass(frozen=True)
class Moment:
    """What is known of one frame.

    Attributes:
        latent: the belief.
        state: (5,) scaled proprioception.
        mask: (S, S) uint8 bit mask of what is seen.
    """

    latent: LatentState
    state: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True)
class Expectation:
    """Drawings at some of the imagined steps.

    Attributes:
        masks: (n, C, S/2, S/2) probabilities; None of a model that draws no masks.
        cameras: stream -> (n, h, w, 3) uint8 RGB.
    """

    masks: np.ndarray | None
    cameras: dict[str, np.ndarray]


@torch.inference_mode()
def expect(
    model: WorldModel,
    moment: Moment,
    actions: np.ndarray,
    steps: list[int],
    masks: bool = True,
    cameras: bool = True,
) -> Expectation:
    """Draw the beliefs that follow from ``moment`` when ``actions`` are driven.

    Args:
        model: the world model.
        moment: from where to imagine.
        actions: (H, 2) steer and accel, each held for a step of the model.
        steps: 1 to H, the steps to draw; 0 is the belief now.
        masks: draw these.
        cameras: draw these, of a model that has any.
    """
    horizon = max(steps)
    state = torch.from_numpy(np.asarray(moment.state, np.float32))[None]
    course = torch.from_numpy(np.asarray(actions[:horizon], np.float32))[None]
    states = [moment.latent]
    if horizon:
        states += list(beliefs(model, moment.latent, state, course))
    drawn = None
    if masks and model.decoder is not None:
        seen = torch.from_numpy(np.array(moment.mask))[None]
        ahead = []
        if horizon:
            path = model.imagine(moment.latent, state[0], course).path
            ahead = list(model.draw(states[1:], seen, path))
        frames = [model.decode(moment.latent), *ahead]
        drawn = torch.cat([frames[step] for step in steps]).float().numpy()
    pictures: dict[str, np.ndarray] = {}
    if cameras and model.config.cameras:
        shown = [model.decode_cameras(states[step]) for step in steps]
        for name in model.config.cameras:
            images = torch.cat([picture[name] for picture in shown]).movedim(1, -1)
            pictures[name] = (images * 255.0).round().to(torch.uint8).numpy()
    return Expectation(drawn, pictures)


def unexpected(expected: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where what is seen differs from what was expected.

    Args:
        expected: (C, S/2, S/2) probabilities.
        seen: (S, S) uint8 bit mask.

    Returns:
        (S/2, S/2) in [0, 1]: seen but not expected, and expected but not seen; the most of all
        masks. What is a pixel beside its place (1.6 m) is in its place.
    """
    masks = unpack_bev(torch.from_numpy(np.array(seen))[None], len(expected)).float()
    truth = F.max_pool2d(masks, 2)[0]
    wanted = torch.from_numpy(np.asarray(expected, np.float32))
    appeared, missing = truth - _spread(wanted), wanted - _spread(truth)
    return appeared.amax(0).clamp(0.0, 1.0).numpy(), missing.amax(0).clamp(0.0, 1.0).numpy()


def _spread(masks: torch.Tensor) -> torch.Tensor:
    """(C, h, w): each pixel the most of itself and those around it."""
    return F.max_pool2d(masks, 3, stride=1, padding=1)
