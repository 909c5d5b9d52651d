"""What a recording does not say, measured in the embedded simulator: novelty, other actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_training.inspect_drives import counterfactual_store
from wm_training.inspect_unusual import Detection, detect
from wm_training.store import Store

NO_TOWNS = "needs the simulator: name towns with --towns"
NO_NOVELTY = "nobody has measured what is usual to this model: wm calibrate"


@dataclass(frozen=True)
class Beyond:
    """What was measured, or why not.

    Attributes:
        detection: of disturbed observations; None: see ``no_detection``.
        counterfactual: as ``counterfactual_eval.measure_counterfactual`` gives it; None: see
            ``no_counterfactual``.
        figure: of the latter.
    """

    detection: Detection | None = None
    no_detection: str = NO_TOWNS
    counterfactual: dict | None = None
    no_counterfactual: str = NO_TOWNS
    figure: Path | None = None


def measure_beyond(
    model: WorldModel, towns: Sequence[str], branches: Sequence[Path], root: Path, out: Path
) -> Beyond:
    """Measure what can be.

    Args:
        model: the model.
        towns: that it has not seen, to drive in; none: nothing is driven.
        branches: stores of ``wm dataset counterfactual``; none: recorded in the towns.
        root: folder of what is recorded.
        out: folder for the figure.
    """
    from wm_training.counterfactual_eval import measure_counterfactual

    detection, no_detection = None, NO_TOWNS
    if towns and model.novelty is None:
        no_detection = NO_NOVELTY
    elif towns and model.novelty is not None:
        detection = detect(model, model.novelty, list(towns), root)
    stores = list(branches)
    if not stores and towns:
        camera = bool(model.config.cameras)
        stores = [counterfactual_store(town, camera, root) for town in towns]
    if not stores:
        return Beyond(detection, no_detection)
    figure = out / "counterfactual.png"
    try:
        result = measure_counterfactual(model, Store.open(*stores), figure)
    except UserError as error:
        if branches:
            raise
        return Beyond(detection, no_detection, None, str(error))
    return Beyond(detection, no_detection, result, "", figure)
