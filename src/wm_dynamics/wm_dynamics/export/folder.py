"""An export on disk: a model directory with ONNX graphs and one sidecar, ``export.json``, beside.

====================== =============================================================
export.json            format and code version, hashes, configuration, and of each
                       graph its file, hash, precision, inputs and outputs
model.safetensors ...  copies of the model's own files: what other engines read
initial.safetensors    the belief before anything was seen
observe.onnx ...       the filter, see :mod:`wm_dynamics.export.graphs`
step.PRECISION.onnx    the imagined steps, once for each precision
====================== =============================================================

Everything is written to a folder beside the wanted one, which takes its place when complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file

from wm_dynamics.artefact_files import CONFIG, METADATA, WEIGHTS, file_sha256
from wm_dynamics.config import ModelConfig
from wm_dynamics.errors import UserError
from wm_dynamics.novelty import Novelty
from wm_dynamics.novelty_file import FILE as NOVELTY
from wm_dynamics.novelty_file import load_novelty

SIDECAR = "export.json"
INITIAL = "initial.safetensors"
FORMAT = 1  # of the folder; raised whenever a reader must know about a change
COPIED = (WEIGHTS, CONFIG, METADATA, NOVELTY)


@dataclass(frozen=True)
class Port:
    """An input or output of a graph.

    Attributes:
        name: of the value.
        dtype: numpy's name of its type.
        shape: its sizes; "N" where it is dynamic.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class GraphFile:
    """What the sidecar says of one graph.

    Attributes:
        file: its name.
        sha256: of the file.
        precision: "fp32", "fp16", "bf16" or "int8".
        inputs, outputs: in their order.
    """

    file: str
    sha256: str
    precision: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


@dataclass(frozen=True)
class Export:
    """An opened export.

    Attributes:
        path: the folder.
        facts: the sidecar as it is.
        config: of the model.
        graphs: by name; those of imagined steps with their precision, "step.fp32".
    """

    path: Path
    facts: Mapping[str, Any]
    config: ModelConfig
    graphs: Mapping[str, GraphFile]

    @property
    def hash(self) -> str:
        """Of the model, see :attr:`wm_dynamics.model.WorldModel.hash`."""
        return str(self.facts["model_hash"])

    @property
    def precisions(self) -> tuple[str, ...]:
        """That imagined steps were exported in."""
        return tuple(self.facts["precisions"])

    @cached_property
    def initial(self) -> dict[str, np.ndarray]:
        """Outputs of the graph "initial"."""
        return load_file(self.path / INITIAL)

    def novelty(self) -> Novelty | None:
        """What is usual to the model, None where nobody has measured it."""
        return load_novelty(self.path, self.facts["weights_sha256"])

    def read(self, name: str) -> bytes:
        """The graph ``name``, serialised.

        Raises:
            UserError: there is none, or the file is not the one the sidecar describes.
        """
        if (graph := self.graphs.get(name)) is None:
            raise UserError(
                f"{self.path} has no graph {name!r}, only {', '.join(sorted(self.graphs))}; "
                "export the model again with the precision you want: wm export --precision"
            )
        file = self.path / graph.file
        if not file.is_file():
            raise UserError(f"{self.path} is incomplete: {graph.file} is missing; export it again")
        data = file.read_bytes()
        if hashlib.sha256(data).hexdigest() != graph.sha256:
            raise UserError(f"{file} is not the file {SIDECAR} describes; export the model again")
        return data


def open_export(path: Path | str, weights_sha256: str | None = None) -> Export:
    """Open an export and check that its parts belong together.

    Args:
        path: the folder.
        weights_sha256: of the weights that it must be of, as a model's ``metadata.json`` names
            them; None: of any.

    Raises:
        UserError: no export, one of another format or of other weights, or an altered one.
    """
    path = Path(path)
    file = path / SIDECAR
    if not file.is_file():
        raise UserError(f"no export at {path}: {SIDECAR} is missing; make one with `wm export`")
    try:
        facts = json.loads(file.read_text())
        written = facts["format"]
        if written != FORMAT:
            raise UserError(
                f"{file} has format {written}, this version reads {FORMAT}; export the model again"
            )
        found = Export(
            path,
            facts,
            ModelConfig.model_validate(facts["config"]),
            {name: _graph_file(graph) for name, graph in facts["graphs"].items()},
        )
        weights, initial = str(facts["weights_sha256"]), str(facts["initial_sha256"])
        str(facts["model_hash"]), list(facts["precisions"])
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{file} cannot be read ({reason}); export the model again") from None
    if weights_sha256 is not None and weights != weights_sha256:
        raise UserError(
            f"{path} was exported from other weights ({weights[:12]}, wanted "
            f"{weights_sha256[:12]}); export the model again"
        )
    for name, wanted in ((WEIGHTS, weights), (INITIAL, initial)):
        if not (path / name).is_file() or file_sha256(path / name) != wanted:
            raise UserError(
                f"{path / name} is not the file {SIDECAR} describes; export the model again"
            )
    try:
        _ = found.initial
    except SafetensorError as error:
        raise UserError(f"{path / INITIAL} cannot be read: {error}") from None
    return found


def _graph_file(facts: Mapping[str, Any]) -> GraphFile:
    ports = (
        tuple(Port(p["name"], p["dtype"], tuple(p["shape"])) for p in facts[side])
        for side in ("inputs", "outputs")
    )
    if Path(facts["file"]).name != facts["file"]:
        raise ValueError(f"{facts['file']!r} is no file name")
    return GraphFile(facts["file"], facts["sha256"], facts["precision"], *ports)


def graph_entry(
    file: Path, precision: str, inputs: Iterable[Port], outputs: Iterable[Port]
) -> dict:
    """The sidecar's entry of a graph that was written to ``file``."""
    entry = GraphFile(file.name, file_sha256(file), precision, tuple(inputs), tuple(outputs))
    return asdict(entry)


class FolderDraft:
    """A folder in the making, used as a context: it takes its place if nothing goes wrong.

    Args:
        path: where it is to be; an export there is replaced.

    Raises:
        UserError: something else is there.
    """

    def __init__(self, path: Path):
        self.target = path.absolute()
        if self.target.exists() and not (self.target / SIDECAR).is_file():
            raise UserError(f"{path} exists and is no export; choose another folder with --out")

    def __enter__(self) -> Path:
        self.target.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{self.target.name}."
        self._draft = Path(tempfile.mkdtemp(prefix=prefix, dir=self.target.parent))
        return self._draft

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            shutil.rmtree(self._draft)
            return
        self._draft.chmod(0o777 & ~_umask())
        if self.target.exists():
            old = self._draft.with_name(self._draft.name + ".old")
            os.replace(self.target, old)
            os.replace(self._draft, self.target)
            shutil.rmtree(old)
        else:
            os.replace(self._draft, self.target)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
