"""How well a model's novelty score tells disturbed observations from usual driving."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wm_dynamics.model import WorldModel
from wm_dynamics.novelty import WARM_STEPS, Novelty
from wm_training.inspect_drives import DRIVE_FRAMES, NORMAL, unusual_stores
from wm_training.inspect_metrics import Estimate, area
from wm_training.novelty_data import window_scores
from wm_training.picture_faults import PICTURE_FAULTS
from wm_training.sampler import WindowSampler
from wm_training.store import Store

DRIVEN = ("weather_", "town_")  # driven anew: nothing in them is as it was
RECENT_STEPS = 5  # an observation counts as disturbed for this long, 1 s
# Changes smaller than these are none. The mask of a car has 13 cells.
VISIBLE_CELLS = 8
VISIBLE = {"state": 1e-3, "route": 1e-3, "action": 1e-3, "motion": 1e-2}


@dataclass(frozen=True)
class Detection:
    """Scores of usual and of disturbed driving.

    Attributes:
        usual: (N,) scores.
        disturbed: kind -> scores at the steps at which something was disturbed.
        areas: kind -> AUROC against ``usual``; its count is that of the disturbed steps.
        pooled: the same for all kinds together.
        threshold: scores above it count as unusual.
        false_alarms: share of ``usual`` above it; "intended" is what it was fitted for.
        intended: see above.
    """

    usual: np.ndarray
    disturbed: dict[str, np.ndarray]
    areas: dict[str, Estimate]
    pooled: Estimate
    threshold: float
    false_alarms: float
    intended: float

    def found(self, kind: str) -> float:
        """Share of the disturbed steps of a kind above the threshold."""
        return float((~(self.disturbed[kind] <= self.threshold)).mean())


def detect(model: WorldModel, novelty: Novelty, towns: list[str], root: Path) -> Detection:
    """Score the held-out drives of towns, as they were and disturbed.

    Steps at which the disturbance changed nothing that the model saw within the last second (a
    fault of the objects where there are none) are left out: there is nothing to find.

    Args:
        model: the model.
        novelty: what is usual to it.
        towns: that it has not been trained in.
        root: folder of the recorded drives, see :mod:`wm_training.inspect_drives`.
    """
    usual: list[tuple[np.ndarray, np.ndarray]] = []
    kinds: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for number, town in enumerate(towns):
        sets = _sets(model, unusual_stores(town, bool(model.config.camera), root))
        for kind, batch, disturbed in sets:
            scores = window_scores(model, novelty, batch)
            use = disturbed & (batch["mask"].numpy() > 0.5)
            use[:, :WARM_STEPS] = False
            drive = number * 1000 + np.nonzero(use)[0]
            place = usual if kind == NORMAL else kinds.setdefault(kind, [])
            place.append((scores[use], drive))
    return _compared(novelty, _joined(usual), {name: _joined(p) for name, p in kinds.items()})


def _joined(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and the drives that they are of."""
    scores, drives = zip(*parts, strict=True)
    # What is no number is beyond everything.
    return np.nan_to_num(np.concatenate(scores), nan=np.inf), np.concatenate(drives)


def _compared(
    novelty: Novelty,
    usual: tuple[np.ndarray, np.ndarray],
    kinds: dict[str, tuple[np.ndarray, np.ndarray]],
) -> Detection:
    def against(*others: tuple[np.ndarray, np.ndarray]) -> Estimate:
        score, drive = (np.concatenate(part) for part in zip(usual, *others, strict=True))
        return area(score, np.arange(len(score)) >= len(usual[0]), drive)

    return Detection(
        usual[0],
        {kind: scores for kind, (scores, _) in kinds.items()},
        {kind: against(found) for kind, found in kinds.items()},
        against(*kinds.values()),
        novelty.threshold,
        float((usual[0] > novelty.threshold).mean()),
        float(novelty.facts["false_alarms"]),
    )


def _sets(
    model: WorldModel, stores: dict[str, Path]
) -> Iterator[tuple[str, dict[str, torch.Tensor], np.ndarray]]:
    """Kind, the drives as windows (B, T, ...), and (B, T) bool: counts as that kind."""
    normal = whole_drives(model, Store.open(stores[NORMAL]))
    shape = tuple(normal["mask"].shape)
    yield NORMAL, normal, np.ones(shape, bool)
    for kind, path in stores.items():
        if kind.startswith(DRIVEN):
            driven = whole_drives(model, Store.open(path))
            yield kind, driven, np.ones(tuple(driven["mask"].shape), bool)
        elif kind != NORMAL:
            changed = whole_drives(model, Store.open(path))
            yield kind, changed, lasting(differs(model, normal, changed))
    for name in model.config.cameras:
        for kind, fault in PICTURE_FAULTS.items():
            rng = np.random.default_rng(0)
            pictures = torch.from_numpy(np.stack([fault(p, rng) for p in normal[name].numpy()]))
            changed = {**normal, name: pictures}
            yield kind, changed, lasting(differs(model, normal, changed))


def whole_drives(model: WorldModel, store: Store) -> dict[str, torch.Tensor]:
    """Every episode as one window from its first frame on, what is beyond its end masked."""
    stride = round(model.config.dt / store.frame_dt)
    sampler = WindowSampler(
        store, DRIVE_FRAMES // stride, stride, min_steps=1, pools={}, streams=model.config.streams
    )
    first = store.starts[:-1] + stride - 1
    return sampler.windows(first[np.isin(first, sampler.starts)])


def differs(
    model: WorldModel, one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]
) -> np.ndarray:
    """(B, T) bool: something that the model is given is not the same."""
    found = np.zeros(tuple(one["mask"].shape), bool)
    for name in (*model.config.streams, "action", "motion"):
        a, b = (batch[name].flatten(2) for batch in (one, other))
        if a.dtype == torch.uint8:
            found |= (a != b).sum(-1).numpy() >= VISIBLE_CELLS
        else:
            found |= ((a - b).abs() > VISIBLE[name]).any(-1).numpy()
    return found


def lasting(changed: np.ndarray) -> np.ndarray:
    """(B, T) bool, true for ``RECENT_STEPS`` from each true one on."""
    result = changed.copy()
    for steps in range(1, RECENT_STEPS):
        result[:, steps:] |= changed[:, :-steps]
    return result
