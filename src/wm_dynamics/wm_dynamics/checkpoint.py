"""A model on disk: a directory of ``model.safetensors``, ``config.yaml`` and ``metadata.json``.

Files are written beside their place and moved there, metadata last; its ``weights_sha256`` says
which weights it belongs to, so a half-written or altered directory is recognised on loading.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from importlib import metadata as package_metadata
from pathlib import Path

import torch
import yaml
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from wm_dynamics.config import ModelConfig
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel

WEIGHTS, CONFIG, METADATA = "model.safetensors", "config.yaml", "metadata.json"


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def config_hash(config: ModelConfig) -> str:
    """Short hash of a configuration."""
    text = json.dumps(config.model_dump(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def code_version() -> str:
    """Version of the installed distribution, with the git commit when run from a checkout."""
    try:
        version = package_metadata.version("wm-drive")
    except package_metadata.PackageNotFoundError:
        version = "unknown"
    here = Path(__file__).resolve().parent
    command = ["git", "-C", str(here), "rev-parse", "--short", "HEAD"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return version
    return f"{version}+{commit.stdout.strip()}"


def save_checkpoint(model: WorldModel, path: Path | str, **metadata) -> None:
    """Write ``model`` to the directory ``path``, replacing what was there file by file.

    Args:
        model: the model.
        path: directory, created if needed.
        metadata: JSON-able facts to keep (``data_hash``, ``metrics`` ...).
    """
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    draft = path / (WEIGHTS + ".tmp")
    draft.write_bytes(save(tensors))
    facts = {
        "weights_sha256": file_sha256(draft),
        "config_hash": config_hash(model.config),
        "code_version": code_version(),
        **metadata,
    }
    os.replace(draft, path / WEIGHTS)
    _write(path / CONFIG, yaml.safe_dump(model.config.model_dump(), sort_keys=False))
    _write(path / METADATA, json.dumps(facts, indent=2) + "\n")


def load_checkpoint(path: Path | str) -> WorldModel:
    """Read a model directory.

    Raises:
        UserError: missing or incomplete directory, unknown config key, weights that are not the
            ones the metadata names, or weights of another shape.
    """
    path = Path(path)
    if not path.is_dir():
        raise UserError(f"no model at {path}; give a directory made by `wm train`")
    for name in (WEIGHTS, CONFIG, METADATA):
        if not (path / name).is_file():
            raise UserError(f"{path} is no complete model directory: {name} is missing")
    config = read_config(path / CONFIG)
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
    model = WorldModel.untrained(config)
    _check_shapes(path, model.state_dict(), tensors)
    model.load_state_dict(tensors)
    model.metadata = metadata
    return model.eval()


def _check_shapes(path: Path, wanted: dict[str, torch.Tensor], found: dict) -> None:
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


def read_config(file: Path) -> ModelConfig:
    """The model configuration in a YAML file.

    Raises:
        UserError: not YAML, or not a valid configuration.
    """
    try:
        content = yaml.safe_load(file.read_text())
        return ModelConfig.model_validate(content)
    except yaml.YAMLError as error:
        raise UserError(f"{file} is not valid YAML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"{file}: {key}: {first['msg']}") from None


def _read_metadata(file: Path) -> dict:
    try:
        metadata = json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise UserError(f"{file} is not valid JSON: {error}") from None
    if not isinstance(metadata, dict):
        raise UserError(f"{file} should hold one JSON object")
    return metadata


def _write(path: Path, text: str) -> None:
    draft = path.with_name(path.name + ".tmp")
    draft.write_text(text)
    os.replace(draft, path)
