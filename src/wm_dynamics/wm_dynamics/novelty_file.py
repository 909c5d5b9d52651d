"""What is usual, on disk beside the model: ``novelty.safetensors``, its facts in the header."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from wm_dynamics.errors import UserError
from wm_dynamics.novelty import Novelty, Usual

FILE = "novelty.safetensors"
_HEADER = "novelty"


def save_novelty(novelty: Novelty, folder: Path, weights_sha256: str) -> None:
    """Write it into a model's directory, at once or not at all.

    Args:
        novelty: what is usual.
        folder: of the model.
        weights_sha256: of the model's weights, as its metadata names them.
    """
    tensors: dict[str, np.ndarray] = {}
    for name, usual in novelty.groups.items():
        tensors |= {f"{name}.centre": usual.centre, f"{name}.whiten": usual.whiten}
        tensors[f"{name}.level"] = np.array([usual.level, usual.spread])
    facts = {
        "weights_sha256": weights_sha256,
        "threshold": novelty.threshold,
        "dt": novelty.dt,
        "facts": novelty.facts,
    }
    draft = folder / (FILE + ".tmp")
    draft.write_bytes(save(tensors, {_HEADER: json.dumps(facts)}))
    os.replace(draft, folder / FILE)


def load_novelty(folder: Path, weights_sha256: str) -> Novelty | None:
    """Read it from a model's directory; None where there is none.

    Args:
        folder: of the model.
        weights_sha256: of the model's weights, as its metadata names them.

    Raises:
        UserError: the file is broken, or belongs to other weights.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, "numpy") as file:
            facts = json.loads((file.metadata() or {})[_HEADER])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        groups = {
            name: Usual(
                tensors[f"{name}.centre"],
                tensors[f"{name}.whiten"],
                *map(float, tensors[f"{name}.level"]),
            )
            for name in sorted({key.rpartition(".")[0] for key in tensors})
        }
        found = Novelty(groups, facts["threshold"], facts["dt"], facts["facts"])
        owner = facts["weights_sha256"]
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); make it again: wm calibrate") from None
    if owner != weights_sha256:
        raise UserError(f"{path} belongs to other weights; make it again: wm calibrate, or delete")
    return found
