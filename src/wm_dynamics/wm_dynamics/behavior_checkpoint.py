"""A behaviour on disk: an artefact directory (see ``artefact``), usually inside its world model's.

A behaviour reads the latent states of one world model and means nothing to another one, so its
metadata names the world model by the hash of its weights.
"""

from __future__ import annotations

from pathlib import Path

from wm_dynamics.artefact import read_artefact, write_artefact
from wm_dynamics.behavior import Behavior, BehaviorConfig
from wm_dynamics.checkpoint import code_version
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel

FOLDER = "behavior"  # in the directory of the world model
COMMAND = "wm train behavior"


def save_behavior(behavior: Behavior, path: Path | str, world_hash: str, **metadata) -> None:
    """Write ``behavior`` to the directory ``path``, replacing what was there file by file.

    Args:
        behavior: the behaviour.
        path: directory, created if needed.
        world_hash: ``WorldModel.hash`` of the model it was trained in.
        metadata: JSON-able facts to keep (``data_hash``, ``training`` ...).
    """
    facts = {"world_model": world_hash, "code_version": code_version(), **metadata}
    write_artefact(Path(path), behavior, behavior.config, facts)


def load_behavior(path: Path | str, model: WorldModel) -> Behavior:
    """Read a behaviour directory.

    Args:
        path: the directory.
        model: the world model it is to be used with.

    Raises:
        UserError: missing, incomplete or altered directory, or another world model's behaviour.
    """
    found = read_artefact(Path(path), BehaviorConfig, "behavior", COMMAND)
    owner = found.metadata.get("world_model")
    if owner != model.hash:
        raise UserError(
            f"the behavior in {path} was trained in world model {owner}, this one is {model.hash}; "
            f"train one for it with `{COMMAND}`"
        )
    behavior = Behavior.untrained(found.config, model.config)
    found.load_into(behavior)
    behavior.metadata = found.metadata
    return behavior.eval()
