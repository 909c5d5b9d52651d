"""Which model a run trains: chosen by name, started from the data, and never changed on the way."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from wm_dynamics.config import SIZES, ModelConfig
from wm_dynamics.errors import UserError
from wm_dynamics.heads import HEADS
from wm_dynamics.model import WorldModel
from wm_dynamics.streams import VECTORS
from wm_training.store import Store

STREAMS = ("bev", *VECTORS)  # what training windows hold
CUSTOM = "custom"  # the size of a model that has none of the named shapes


def kind_of(config: ModelConfig) -> dict[str, str]:
    """The names under which a model is chosen: "size", "core" and "latent"."""
    names = {"core": config.core, "latent": config.latent}
    sizes = (name for name, size in SIZES.items() if size.model_copy(update=names) == config)
    return {"size": next(sizes, CUSTOM), **names}


def check_kind(config: ModelConfig, asked: Mapping[str, str | None], owner: str) -> None:
    """Refuse a model that is not of the kind asked for.

    Args:
        config: what there is.
        asked: names as :func:`kind_of` has them; None or absent where anything will do.
        owner: who has this model, for the message.

    Raises:
        UserError: saying what ``owner`` has and what was asked for.
    """
    for key, has in kind_of(config).items():
        wanted = asked.get(key)
        if wanted is not None and wanted != has:
            raise UserError(
                f"{owner} has {key} {has!r}, asked for is {wanted!r}; leave out --{key}, or train "
                "anew with another --out"
            )


def model_facts(model: WorldModel) -> dict:
    """The model's configuration as JSON holds it."""
    return model.config.model_dump(mode="json")


def fresh_model(config: ModelConfig, seed: int, store: Store) -> WorldModel:
    """Random weights, with the inputs standardised to the data."""
    model = WorldModel.untrained(config, seed)
    vectors = {name: torch.from_numpy(np.array(store.columns[name])) for name in VECTORS}
    model.encoder.standardise(vectors)
    return model


def check_fits(store: Store, config: ModelConfig) -> None:
    """Refuse data the model cannot be trained on.

    Raises:
        UserError: naming the column and both shapes.
    """
    labels = {head.label for head in HEADS} | {h.presence for h in HEADS if h.presence}
    missing = sorted(labels - set(store.labels))
    if missing:
        raise UserError(f"the training store lacks the labels {missing}; build it again")
    unseen = sorted(set(config.streams) - set(STREAMS))
    if unseen:
        raise UserError(
            f"the model wants {', '.join(unseen)}, training windows hold {', '.join(STREAMS)}; "
            "choose a model that sees only these"
        )
    side, route = store.bev[0].shape[-1], store.columns["route"].shape[1]
    if side != config.bev_size or route != config.route_dim:
        raise UserError(
            f"the training store has {side} px masks and {route} route numbers, this model size "
            f"wants {config.bev_size} and {config.route_dim}; build the store again"
        )
    stride = config.dt / store.frame_dt
    if abs(stride - round(stride)) > 1e-6:
        raise UserError(
            f"frames {store.frame_dt} s apart do not divide the model's step of {config.dt} s"
        )
