"""Weights on disk as files, whatever reads them: the parts of a directory that need no torch.

Files are written beside their place and moved there, metadata last; its ``weights_sha256`` says
which weights it belongs to, so a half-written or altered directory is recognised on loading.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from wm_dynamics.errors import UserError

WEIGHTS, CONFIG, METADATA = "model.safetensors", "config.yaml", "metadata.json"
Config = TypeVar("Config", bound=BaseModel)


@dataclass(frozen=True)
class Folder(Generic[Config]):
    """A directory whose files belong together.

    Attributes:
        path: the directory.
        config: of the network.
        metadata: facts about the weights.
    """

    path: Path
    config: Config
    metadata: dict[str, Any]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def read_folder(
    path: Path, kind: type[Config], what: str = "model", command: str = "wm train"
) -> Folder[Config]:
    """Read all of a directory but the weights, and check that these are the ones it names.

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
    return Folder(path, config, metadata)


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


def _read_metadata(file: Path) -> dict[str, Any]:
    try:
        metadata = json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise UserError(f"{file} is not valid JSON: {error}") from None
    if not isinstance(metadata, dict):
        raise UserError(f"{file} should hold one JSON object")
    return metadata
