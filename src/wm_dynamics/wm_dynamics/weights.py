"""A model's weights as numpy arrays, for runtimes that do without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from wm_dynamics.artefact_files import WEIGHTS, read_folder
from wm_dynamics.config import ModelConfig
from wm_dynamics.errors import UserError


@dataclass(frozen=True)
class Weights:
    """What a model directory holds.

    Attributes:
        config: shapes and time step.
        tensors: float32 by their names in ``model.safetensors``.
    """

    config: ModelConfig
    tensors: Mapping[str, np.ndarray]


def read_weights(path: Path | str) -> Weights:
    """Read a model directory.

    Raises:
        UserError: as :func:`wm_dynamics.checkpoint.load_checkpoint`; or weights that are not
            float32, or not finite.
    """
    found = read_folder(Path(path), ModelConfig)
    file = Path(path) / WEIGHTS
    try:
        tensors = load_file(file)
    except (SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"{file} cannot be read: {error}") from None
    for name, tensor in tensors.items():
        if tensor.dtype != np.float32:
            raise UserError(f"{file}: {name} is {tensor.dtype}, not float32")
        if not np.isfinite(tensor).all():
            raise UserError(f"{file}: {name} is not finite; train the model again")
    return Weights(found.config, tensors)


def weights_of(model) -> Weights:
    """Those of a :class:`~wm_dynamics.model.WorldModel`; they share its memory."""
    tensors = {name: t.detach().cpu().numpy() for name, t in model.state_dict().items()}
    return Weights(model.config, tensors)
