"""A world model on disk: an artefact directory (see ``artefact``) with what it was made from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch

from wm_dynamics.artefact import (
    CONFIG,
    METADATA,
    WEIGHTS,
    file_sha256,
    load_tensors,
    read_artefact,
    read_yaml,
    write_artefact,
)
from wm_dynamics.config import ModelConfig
from wm_dynamics.model import WorldModel
from wm_dynamics.novelty_file import FILE as NOVELTY
from wm_dynamics.novelty_file import load_novelty
from wm_dynamics.provenance import code_version
from wm_dynamics.weights import Weights

__all__ = [
    "CONFIG",
    "METADATA",
    "WEIGHTS",
    "file_sha256",
    "load_checkpoint",
    "model_of",
    "read_config",
    "save_checkpoint",
]


def config_hash(config: ModelConfig) -> str:
    """Short hash of a configuration."""
    text = json.dumps(config.model_dump(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def save_checkpoint(model: WorldModel, path: Path | str, **metadata) -> None:
    """Write ``model`` to the directory ``path``, replacing what was there file by file.

    Args:
        model: the model.
        path: directory, created if needed.
        metadata: JSON-able facts to keep (``data_hash``, ``metrics`` ...).
    """
    facts = {"config_hash": config_hash(model.config), "code_version": code_version(), **metadata}
    (Path(path) / NOVELTY).unlink(missing_ok=True)  # what was usual to the weights before
    write_artefact(Path(path), model, model.config, facts)


def load_checkpoint(path: Path | str) -> WorldModel:
    """Read a model directory.

    Raises:
        UserError: missing or incomplete directory, unknown config key, weights that are not the
            ones the metadata names, weights of another shape, or a measure of novelty of others.
    """
    found = read_artefact(Path(path), ModelConfig)
    model = WorldModel.untrained(found.config)
    found.load_into(model)
    model.metadata = found.metadata
    model.novelty = load_novelty(Path(path), found.metadata["weights_sha256"])
    return model.eval()


def model_of(weights: Weights) -> WorldModel:
    """The model that has these weights.

    Raises:
        UserError: they have other names or shapes than the configuration says.
    """
    model = WorldModel.untrained(weights.config)
    tensors = {name: torch.from_numpy(values.copy()) for name, values in weights.tensors.items()}
    load_tensors(model, tensors, "the model")
    model.metadata, model.novelty = dict(weights.metadata), weights.novelty
    return model.eval()


def read_config(file: Path) -> ModelConfig:
    """The model configuration in a YAML file.

    Raises:
        UserError: not YAML, or not a valid configuration.
    """
    return read_yaml(file, ModelConfig)
