"""A model's weights as numpy arrays, for runtimes that do without torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from wm_dynamics.artefact_files import WEIGHTS, read_folder
from wm_dynamics.config import ModelConfig
from wm_dynamics.errors import UserError
from wm_dynamics.novelty import Novelty
from wm_dynamics.novelty_file import load_novelty


@dataclass(frozen=True)
class Weights:
    """What a model directory holds.

    Attributes:
        config: shapes and time step.
        tensors: float32 by their names in ``model.safetensors``.
        metadata: provenance of the weights, empty when untrained.
        novelty: what usual driving looks like to them; None where nobody has measured it.
    """

    config: ModelConfig
    tensors: Mapping[str, np.ndarray]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    novelty: Novelty | None = None

    @cached_property
    def hash(self) -> str:
        """The same as :attr:`wm_dynamics.model.WorldModel.hash`."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.tensors.items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(tensor).tobytes())
        return digest.hexdigest()[:16]


def read_weights(path: Path | str) -> Weights:
    """Read a model directory.

    Raises:
        UserError: missing or incomplete directory, unknown config key, weights that are not the
            ones the metadata names, not float32 or not finite, or a measure of novelty of others.
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
    novelty = load_novelty(Path(path), found.metadata["weights_sha256"])
    return Weights(found.config, tensors, found.metadata, novelty)


def weights_of(model) -> Weights:
    """Those of a :class:`~wm_dynamics.model.WorldModel`; they share its memory."""
    tensors = {name: t.detach().cpu().numpy() for name, t in model.state_dict().items()}
    return Weights(model.config, tensors, model.metadata, model.novelty)
