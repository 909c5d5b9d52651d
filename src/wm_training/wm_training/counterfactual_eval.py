"""Is imagination honest about other actions? Imagined against what came of exactly those actions.

The data is a store of ``wm dataset counterfactual``: situations, each driven on in several ways. A
model filters the common history, imagines the actions of each branch, and is compared with the
branch. Bias is imagined less actual: positive where the model is optimistic. Intervals are
bootstraps over situations, because the branches of one are no independent examples.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_training.inspect_metrics import (
    PATHS,
    Estimate,
    area,
    distance_errors,
    error_at,
    event,
    mean,
    outcome,
    overlaps,
    path_errors,
    ratio,
)
from wm_training.inspect_moments import LONGEST_S, Moments, measure_at, window_sampler
from wm_training.labels import FAR_M
from wm_training.sampler import CLOSE_M
from wm_training.store import Store
from wm_training.validation import CONTEXT

SECONDS = (1, 2, 3)
# Name in the result -> head and label of the distance, label of its presence.
DISTANCES = {
    "gap": ("leader_gap", "leader_present"),
    "stop": ("stop_distance", "stop_present"),
}
EVENTS = {"collision": "collision", "offroad": "off_road", "red": "red_violation"}
EVENT_SECONDS = (2, 3)


@dataclass(frozen=True)
class Branches:
    """N branches: what was imagined, and what came.

    Attributes:
        moments: of the forks; ``episode`` is the number of the situation.
        kind: (N,) of the situation.
        way: (N,) of going on.
        errors: (N, H) position errors by name of ``PATHS``.
    """

    moments: Moments
    kind: np.ndarray
    way: np.ndarray
    errors: dict[str, np.ndarray]

    def __getitem__(self, rows: np.ndarray) -> Branches:
        """The branches of a mask."""
        errors = {name: error[rows] for name, error in self.errors.items()}
        return Branches(self.moments[rows], self.kind[rows], self.way[rows], errors)


def measure_counterfactual(model: WorldModel, store: Store, figure: Path | None = None) -> dict:
    """Compare imagination with what came, see :func:`summary`.

    Args:
        model: a world model.
        store: of ``wm dataset counterfactual``, in towns that the model has not seen.
        figure: PNG file to draw to, see :mod:`wm_training.counterfactual_figure`.

    Raises:
        UserError: the store holds no situations, or the model does not fit it.
    """
    branches = gather(model, store)
    if figure is not None:
        from wm_training.counterfactual_figure import draw

        draw(branches, figure)
    return summary(branches)


def gather(model: WorldModel, store: Store) -> Branches:
    """Filter the history of every branch and imagine its actions.

    Raises:
        UserError: the store holds no situations, or the model does not fit it.
    """
    if any("fork_frame" not in info for info in store.infos):
        raise UserError(
            "these are no situations with branches; make some with `wm dataset counterfactual`"
        )
    if not set(model.config.streams) <= set(store.streams):
        raise UserError(
            f"the model sees {', '.join(model.config.streams)}, these situations have "
            f"{', '.join(store.streams)} only; `wm dataset counterfactual --camera` keeps what a "
            "camera saw"
        )
    sampler = window_sampler(model, store, pictured=CONTEXT)
    forks = np.array([info["fork_frame"] for info in store.infos])
    starts = forks - (CONTEXT - 1) * sampler.stride
    if starts.min() < sampler.stride - 1:
        raise UserError(
            f"the histories are too short for {CONTEXT} steps of {model.config.dt} s; collect the "
            "situations again"
        )
    first = store.starts[:-1] + starts
    if not np.isin(first, sampler.starts).all():
        raise UserError("frames before a fork lack their pictures; collect the situations again")
    moments = measure_at(model, sampler, first)
    names = [f"{info['town']}/{info['seed']}/{info['situation']}" for info in store.infos]
    moments = replace(moments, episode=np.unique(names, return_inverse=True)[1])
    kind, way = (np.array([info[key] for info in store.infos]) for key in ("kind", "way"))
    return Branches(moments, kind, way, path_errors(moments, None))


def summary(branches: Branches) -> dict:
    """The result as JSON-able values, null where there is too little to measure.

    Distances count where the true thing is within 25 m at the time. "intervals" and "counts" have
    the same keys as the values; the count of an area is that of its positives. "baseline" goes
    without a model: the leader keeps its present speed, stop lines stay, and both the present and
    the ego's true path are known exactly; "model" beside it is the model on the same branches.
    """
    result = _split(measures(branches))
    result["baseline"] = _split(baseline(branches))
    groups = {"by_kind": branches.kind, "by_way": branches.way}
    for name, labels in groups.items():
        result[name] = {
            str(label): _split(group_measures(branches[labels == label]))
            for label in np.unique(labels)
        }
    situation = branches.moments.episode
    result["situations"], result["branches"] = len(np.unique(situation)), len(situation)
    return result


def measures(branches: Branches) -> dict[str, Estimate]:
    """All that is measured, by name."""
    moments, situation = branches.moments, branches.moments.episode
    found = {}
    for name in PATHS:
        for second in SECONDS:
            step = moments.step(second)
            found[f"{name}.{second}s"] = error_at(branches.errors[name], step, situation)
    for name, (head, presence) in DISTANCES.items():
        for when, estimate in distance_errors(moments, head, presence).items():
            found[f"{name}_error_m.{when}"] = estimate
        found |= _bias(moments, name, moments.heads[head])
    for name, label in EVENTS.items():
        for second in EVENT_SECONDS:
            suffix = "" if second == EVENT_SECONDS[0] else f"_{second}s"
            found[f"{name}_auroc{suffix}"] = event(moments, label, second).area
    for source, name in (("imagined", "vehicle_iou"), ("copy_last", "copy_last_iou")):
        for when, estimate in overlaps(moments, source).items():
            found[f"{name}.{when}"] = estimate
    return found


def group_measures(branches: Branches) -> dict[str, Estimate]:
    """What tells groups of branches apart."""
    moments, last = branches.moments, branches.moments.step(LONGEST_S)
    found = {"ego_error_m": error_at(branches.errors[PATHS[0]], last, moments.episode)}
    for name, (head, presence) in DISTANCES.items():
        found[f"{name}_error_m"] = distance_errors(moments, head, presence)["3s"]
        found |= _bias(moments, name, moments.heads[head])
    return found | {"collision_auroc": event(moments, "collision").area}


def _bias(moments: Moments, name: str, imagined: np.ndarray) -> dict[str, Estimate]:
    """Bias of an imagined distance (N, H): after 3 s, and over the horizon."""
    difference, use = differences(moments, name, imagined)
    last = moments.step(LONGEST_S)
    return {
        f"{name}_bias_m": mean(difference[:, last], use[:, last], moments.episode),
        f"{name}_bias_mean_m": ratio(
            (difference * use).sum(1), use.sum(1).astype(float), moments.episode
        ),
    }


def differences(moments: Moments, name: str, imagined: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Imagined less actual distance (N, H), and where it counts (N, H)."""
    head, presence = DISTANCES[name]
    truth = moments.labels[head]
    near = (moments.labels[presence] > 0.5) & (truth < CLOSE_M)
    return imagined - truth, near & moments.ego.inside


def extrapolated(moments: Moments) -> dict[str, np.ndarray]:
    """(N, H) distances by name of ``DISTANCES``: the present ones less the way driven.

    The leader keeps its present speed. NaN where there is nobody, or no red stop line, now.
    """
    now, path = moments.labels_now, moments.ego.path[..., :2]
    steps = np.diff(path, axis=1, prepend=0.0)
    driven = np.linalg.norm(steps, axis=-1).cumsum(1)
    times = np.arange(1, path.shape[1] + 1) * moments.ego.dt
    found = {}
    for name, (head, presence) in DISTANCES.items():
        speed = now["leader_speed"] if name == "gap" else np.zeros(len(path))
        distance = now[head][:, None] + speed[:, None] * times - driven
        found[name] = np.where(now[presence][:, None] > 0.5, distance, np.nan)
    return found


def baseline(branches: Branches) -> dict[str, Estimate]:
    """Errors and biases without a model, and of the model on the same branches; a collision score.

    A collision is the likelier, the smaller the gap becomes.
    """
    moments, situation = branches.moments, branches.moments.episode
    guess, last = extrapolated(moments), moments.step(LONGEST_S)
    found = {}
    for name, (head, _) in DISTANCES.items():
        known = np.isfinite(guess[name])
        for source, values in (("", guess[name]), ("model_", moments.heads[head])):
            difference, use = differences(moments, name, np.where(known, values, 0.0))
            use = (use & known)[:, last]
            difference = difference[:, last]
            found[f"{source}{name}_error_m"] = mean(np.abs(difference), use, situation)
            found[f"{source}{name}_bias_m"] = mean(difference, use, situation)
    score = -np.where(np.isfinite(guess["gap"]), guess["gap"], FAR_M)
    for second in EVENT_SECONDS:
        suffix = "" if second == EVENT_SECONDS[0] else f"_{second}s"
        found[f"collision_auroc{suffix}"] = _score_area(moments, score, second)
    return found


def _score_area(moments: Moments, score: np.ndarray, seconds: float) -> Estimate:
    """AUROC of a score (N, H) of each step for a collision within so many seconds."""
    happened, use = outcome(moments, "collision", seconds)
    inside = moments.ego.inside
    worst = np.where(inside, score, -np.inf)[:, : moments.step(seconds) + 1].max(1)
    return area(worst[use], happened[use], moments.episode[use])


def _split(found: dict[str, Estimate]) -> dict:
    """Values, "intervals" and "counts" as tables; a dot in a name opens a table of its own."""
    result: dict = {"intervals": {}, "counts": {}}
    for name, estimate in found.items():
        key, _, inner = name.partition(".")
        interval = None
        if estimate.low is not None and estimate.high is not None:
            interval = [round(estimate.low, 4), round(estimate.high, 4)]
        value = None if estimate.value is None else round(estimate.value, 4)
        parts = (
            (result, value),
            (result["intervals"], interval),
            (result["counts"], estimate.count),
        )
        for table, part in parts:
            if inner:
                table.setdefault(key, {})[inner] = part
            else:
                table[key] = part
    return result
