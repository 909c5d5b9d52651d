"""Weights on disk: a directory of ``model.safetensors``, ``config.yaml`` and ``metadata.json``.

Files are written beside their place and moved there, metadata last; its ``weights_sha256`` says
which weights it belongs to, so a half-written or altered directory is recognised on loading.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
import yaml
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from wm_dynamics.errors import UserError

WEIGHTS, CONFIG, METADATA = "model.safetensors", "config.yaml", "metadata.json"
Config = TypeVar("Config", bound=BaseModel)


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
        _check_shapes(self.path, network.state_dict(), self.tensors)
        network.load_state_dict(self.tensors)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


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
    if not path.is_dir():
        raise UserError(f"no {what} at {path}; give a directory made by `{command}`")
    for name in (WEIGHTS, CONFIG, METADATA):
        if not (path / name).is_file():
            raise UserError(f"{path} is no complete {what} directory: {name} is missing")
    config = read_yaml(path / CONFIG, kind)
    metadata = _read_metadata(path / METADATA)
    actual = file_sha256(path / WEIGHTS)
    if metadata.get("weights_sha256") != actual:
        raise UserError(
            f"{path / WEIGHTS} is not the file {METADATA} describes (sha256 {actual[:12]}, "
            f"expected {str(metadata.get('weights_sha256'))[:12]}); copy the whole directory again"
        )
    try:
        tensors = load_file(path / WEIGHTS)
    except SafetensorError as error:
        raise UserError(f"{path / WEIGHTS} cannot be read: {error}") from None
    return Artefact(path, config, metadata, tensors)


def read_yaml(file: Path, kind: type[Config]) -> Config:
    """The configuration in a YAML file.

    Raises:
        UserError: not YAML, or not a valid configuration.
    """
    try:
        return kind.model_validate(yaml.safe_load(file.read_text()))
    except yaml.YAMLError as error:
        raise UserError(f"{file} is not valid YAML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"{file}: {key}: {first['msg']}") from None


def write_text(path: Path, text: str) -> None:
    """Write a file beside its place and move it there."""
    draft = path.with_name(path.name + ".tmp")
    draft.write_text(text)
    os.replace(draft, path)


def _check_shapes(
    path: Path, wanted: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]
) -> None:
    problems = [
        f"{name}: file {tuple(found[name].shape) if name in found else 'absent'}, "
        f"config {tuple(wanted[name].shape) if name in wanted else 'absent'}"
        for name in sorted(set(wanted) | set(found))
        if name not in wanted or name not in found or wanted[name].shape != found[name].shape
    ]
    if problems:
        raise UserError(
            f"weights and {CONFIG} in {path} disagree: {'; '.join(problems[:3])}"
            f"{' ...' if len(problems) > 3 else ''}; use the {CONFIG} the weights were saved with"
        )


def _read_metadata(file: Path) -> dict[str, Any]:
    try:
        metadata = json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise UserError(f"{file} is not valid JSON: {error}") from None
    if not isinstance(metadata, dict):
        raise UserError(f"{file} should hold one JSON object")
    return metadata
