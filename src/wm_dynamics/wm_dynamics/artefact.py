"""Weights on disk: a directory of ``model.safetensors``, ``config.yaml`` and ``metadata.json``.

Files are written beside their place and moved there, metadata last; its ``weights_sha256`` says
which weights it belongs to, so a half-written or altered directory is recognised on loading.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import torch
import yaml
from pydantic import BaseModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from wm_dynamics.artefact_files import (
    CONFIG,
    METADATA,
    WEIGHTS,
    Config,
    file_sha256,
    read_folder,
    read_yaml,
    write_text,
)
from wm_dynamics.errors import UserError

__all__ = [
    "CONFIG",
    "METADATA",
    "WEIGHTS",
    "Artefact",
    "file_sha256",
    "load_tensors",
    "read_artefact",
    "read_yaml",
    "write_artefact",
    "write_text",
]


@dataclass(frozen=True)
class Artefact(Generic[Config]):
    """What a directory holds.

    Attributes:
        path: the directory.
        config: of the network.
        metadata: facts about the weights.
        tensors: the weights by name.
    """

    path: Path
    config: Config
    metadata: dict[str, Any]
    tensors: dict[str, torch.Tensor]

    def load_into(self, network: nn.Module) -> None:
        """Put the weights into a network made from the configuration.

        Raises:
            UserError: they have other names or shapes.
        """
        load_tensors(network, self.tensors, str(self.path))


def write_artefact(
    path: Path, network: nn.Module, config: BaseModel, facts: Mapping[str, Any]
) -> None:
    """Write weights, configuration and facts to a directory, replacing file by file.

    Args:
        path: directory, created if needed.
        network: whose weights to keep.
        config: of the network.
        facts: JSON-able metadata; ``weights_sha256`` is added.
    """
    path.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.detach().cpu().contiguous() for name, t in network.state_dict().items()}
    draft = path / (WEIGHTS + ".tmp")
    draft.write_bytes(save(tensors))
    facts = {"weights_sha256": file_sha256(draft), **facts}
    os.replace(draft, path / WEIGHTS)
    write_text(path / CONFIG, yaml.safe_dump(config.model_dump(), sort_keys=False))
    write_text(path / METADATA, json.dumps(facts, indent=2) + "\n")


def read_artefact(
    path: Path, kind: type[Config], what: str = "model", command: str = "wm train"
) -> Artefact[Config]:
    """Read a directory.

    Args:
        path: the directory.
        kind: of its configuration.
        what: the directory holds, for messages.
        command: that makes such a directory, for messages.

    Raises:
        UserError: missing or incomplete directory, unknown config key, or weights that are not
            the ones the metadata names.
    """
    found = read_folder(path, kind, what, command)
    try:
        tensors = load_file(path / WEIGHTS)
    except SafetensorError as error:
        raise UserError(f"{path / WEIGHTS} cannot be read: {error}") from None
    return Artefact(path, found.config, found.metadata, tensors)


def load_tensors(network: nn.Module, found: Mapping[str, torch.Tensor], where: str) -> None:
    """Put weights into a network made from the configuration ``where`` they were found.

    Raises:
        UserError: they have other names or shapes.
    """
    wanted = network.state_dict()
    problems = [
        f"{name}: file {tuple(found[name].shape) if name in found else 'absent'}, "
        f"config {tuple(wanted[name].shape) if name in wanted else 'absent'}"
        for name in sorted(set(wanted) | set(found))
        if name not in wanted or name not in found or wanted[name].shape != found[name].shape
    ]
    if problems:
        raise UserError(
            f"weights and {CONFIG} in {where} disagree: {'; '.join(problems[:3])}"
            f"{' ...' if len(problems) > 3 else ''}; use the {CONFIG} the weights were saved with"
        )
    network.load_state_dict(found)
