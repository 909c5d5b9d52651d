"""The quantities the model predicts from its latent state: one table for network, loss and docs.

A head's network output ``u`` becomes a physical value by ``value = scale * u`` (regression) or
``probability = sigmoid(u - log(positive_weight))`` (logit). The training loss multiplies the
positive examples of a logit by ``positive_weight``; subtracting its logarithm takes that tilt back
out, so a probability means the frequency in the training windows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Head:
    """One predicted quantity.

    Attributes:
        name: key in :class:`~wm_dynamics.rollout.Rollout.heads`.
        label: column of a training store that supervises it.
        kind: "regression" or "logit".
        unit: of the published value ("1" = probability).
        scale: SI units per network unit (regressions).
        weight: share in the head loss; what is usually small (an offset of decimetres) needs a
            large one, or the latent state never carries it.
        presence: label column that must be 1 for the target to exist, or None.
        positive_weight: loss weight of positive examples (logits).
        meaning: one line for documentation.
    """

    name: str
    label: str
    kind: str
    unit: str
    scale: float = 1.0
    weight: float = 1.0
    presence: str | None = None
    positive_weight: float = 1.0
    meaning: str = ""


HEADS: tuple[Head, ...] = (
    Head("lateral_deviation", "lateral", "regression", "m", 1.0, 4.0,
         meaning="signed offset from the route, left positive"),
    Head("heading_error", "heading", "regression", "rad", 0.5, 4.0,
         meaning="heading minus route heading"),
    Head("leader_gap", "leader_gap", "regression", "m", 15.0, 1.5, "leader_present",
         meaning="free distance to the vehicle ahead on the route, if there is one"),
    Head("leader_speed", "leader_speed", "regression", "m/s", 6.0, 1.0, "leader_present",
         meaning="speed of that vehicle"),
    Head("stop_distance", "stop_distance", "regression", "m", 15.0, 1.5, "stop_present",
         meaning="distance to a red or yellow stop line ahead on the route, if there is one"),
    Head("progress", "progress", "regression", "m", 1.0, 0.5,
         meaning="route metres gained in one step"),
    Head("reward", "reward", "regression", "1", 5.0, 0.5,
         meaning="training reward of one step"),
    Head("leader_presence", "leader_present", "logit", "1", weight=2.0, positive_weight=2.0,
         meaning="P(a vehicle is ahead on the route)"),
    Head("stop_presence", "stop_present", "logit", "1", weight=2.0, positive_weight=2.0,
         meaning="P(a red or yellow stop line is ahead on the route)"),
    Head("near", "near", "logit", "1", positive_weight=4.0,
         meaning="P(clearance to another road user is below the near-miss bound)"),
    Head("collision", "collision", "logit", "1", positive_weight=4.0,
         meaning="P(contact in this step)"),
    Head("off_road", "off_road", "logit", "1", positive_weight=2.0,
         meaning="P(the vehicle leaves the road)"),
    Head("red_violation", "red_violation", "logit", "1", positive_weight=4.0,
         meaning="P(a red light is run in this step)"),
    Head("continue", "cont", "logit", "1", weight=0.5,
         meaning="P(the episode goes on)"),
)  # fmt: skip

# Columns of a training store's ``labels``, in order.
LABELS: tuple[str, ...] = (
    "lateral",
    "heading",
    "leader_present",
    "leader_gap",
    "leader_speed",
    "stop_present",
    "stop_distance",
    "near",
    "collision",
    "off_road",
    "red_violation",
    "progress",
    "reward",
    "cont",
)


def head_values(raw: torch.Tensor) -> dict[str, torch.Tensor]:
    """Network outputs (..., L) -> SI values and probabilities, each (...), by head name."""
    values = {}
    for i, head in enumerate(HEADS):
        if head.kind == "regression":
            values[head.name] = raw[..., i] * head.scale
        else:
            values[head.name] = (raw[..., i] - math.log(head.positive_weight)).sigmoid()
    return values
