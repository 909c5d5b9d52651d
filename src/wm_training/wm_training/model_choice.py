"""Which model a run trains: chosen by name, started from the data, and never changed on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import yaml
from pydantic import ValidationError

from wm_dynamics.config import SIZES, ModelConfig
from wm_dynamics.errors import UserError
from wm_dynamics.heads import HEADS
from wm_dynamics.model import WorldModel
from wm_dynamics.streams import VECTORS, input_shape
from wm_dynamics.variants import INPUTS, variant
from wm_training.store import Store
from wm_training.train_config import TrainConfig

STREAMS = ("bev", *VECTORS)  # what every training store holds
CUSTOM = "custom"  # the size (inputs) of a model that has none of the named ones
# Fields that make a size; the others may be set without changing its name.
SIZED = (
    "deter", "groups", "classes", "hidden", "embed", "vector_hidden", "cnn_channels",
    "decoder_channels", "ego_hidden",
)  # fmt: skip


def kind_of(config: ModelConfig) -> dict[str, str]:
    """The names under which a model is chosen: "size", "core", "latent" and "inputs"."""
    names: dict[str, str] = {"core": config.core, "latent": config.latent}
    inputs = (name for name in INPUTS if _senses(variant(inputs=name)) == _senses(config))
    names["inputs"] = next(inputs, CUSTOM)
    shape = {field: getattr(config, field) for field in SIZED}
    sizes = (n for n, c in SIZES.items() if all(getattr(c, f) == x for f, x in shape.items()))
    return {"size": next(sizes, CUSTOM), **names}


def _senses(config: ModelConfig) -> tuple:
    """What a kind of input fixes: the sensors, and which network looks at the cameras."""
    return config.streams, config.camera.encoder if config.camera else None


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


def change_config(config: ModelConfig, changes: Sequence[str]) -> ModelConfig:
    """``config`` with some fields set anew.

    Args:
        config: of a model.
        changes: "field=value" each; the value as YAML, a field of a part as "camera.height".

    Raises:
        UserError: no such field, or a value that is not allowed.
    """
    fields = config.model_dump()
    for change in changes:
        key, sign, value = change.partition("=")
        *parts, last = key.split(".")
        place = fields
        for part in parts:
            inner = place.get(part)
            if not isinstance(inner, dict):
                raise UserError(f"--set {change}: the model has no {part!r} to change")
            place = inner
        if not sign or last not in place:
            raise UserError(
                f"--set {change}: write field=value; the fields are {', '.join(sorted(place))}"
            )
        try:
            place[last] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UserError(f"--set {change}: the value is not YAML") from None
    try:
        return ModelConfig.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "model"
        raise UserError(f"--set {key}: {first['msg']}") from None


def choose_model(config: TrainConfig, store: Store) -> ModelConfig:
    """The model that a new run trains: the kind named, for pictures as the data has them."""
    model = variant(config.size, config.core, config.latent, config.inputs)
    shapes: list[str] = []
    seen = [name for name in model.cameras if name in store.streams]
    if seen:
        height, width = store.pictures(seen[0])[0].shape[1:3]
        shapes += [f"camera.height={height}", f"camera.width={width}"]
    if model.lidar and store.lidar:
        channels, cells = store.lidar[0].shape[1:3]
        shapes += [f"lidar.channels={channels}", f"lidar.size={cells}"]
    return change_config(model, [*shapes, *config.changes])


@dataclass(frozen=True)
class WarmStart:
    """A model that begins with the weights of another.

    Attributes:
        model: the model.
        fresh: names of its weights that the other lacks; these are random.
        dropped: names of the other's weights that it has no place for.
    """

    model: WorldModel
    fresh: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    def account(self) -> str:
        """What became of the weights, by part of the model."""

        def parts(names: Sequence[str]) -> str:
            return ", ".join(sorted({name.partition(".")[0] for name in names})) or "nothing"

        taken = len(self.model.state_dict()) - len(self.fresh)
        return (
            f"{taken} weights taken over; fresh: {parts(self.fresh)} ({len(self.fresh)}); "
            f"left behind: {parts(self.dropped)} ({len(self.dropped)})"
        )


def warm_start(config: ModelConfig, model: WorldModel, seed: int) -> WarmStart:
    """A model of another configuration with the weights of ``model`` wherever it has the same.

    A model that sees something else keeps what it knows of the world and learns to see anew: of its
    encoder it takes over what fits.

    Args:
        config: of the new model.
        model: whose weights to take.
        seed: of the weights that ``model`` lacks.

    Raises:
        UserError: a weight both have has another shape.
    """
    if config == model.config:
        return WarmStart(model)
    new, old = WorldModel.untrained(config, seed), model.state_dict()
    wanted = new.state_dict()
    sees_else = config.streams != model.config.streams
    shared = {name: value for name, value in old.items() if name in wanted}
    for name, value in list(shared.items()):
        if value.shape != wanted[name].shape:
            if sees_else and name.startswith("encoder."):
                del shared[name]
                continue
            raise UserError(
                f"the weights to start from do not fit: {name} is {tuple(value.shape)}, the new "
                f"model wants {tuple(wanted[name].shape)}; change only what adds or removes whole "
                "parts, or train anew without --init"
            )
    new.load_state_dict(shared, strict=False)
    return WarmStart(
        new,
        tuple(n for n in wanted if n not in shared),
        tuple(n for n in old if n not in shared),
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
    unseen = sorted(set(config.streams) - set(store.streams))
    if unseen:
        raise UserError(
            f"the model wants {', '.join(unseen)}, the training store holds "
            f"{', '.join(store.streams)}; build the store with what is missing, or choose a model "
            "that sees only these"
        )
    for name in sorted(set(config.streams) - set(STREAMS)):
        _check_pictures(store, config, name)
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


def _check_pictures(store: Store, config: ModelConfig, name: str) -> None:
    """Refuse pictures of another size or kind than the model's stream ``name`` has.

    Raises:
        UserError: naming both shapes.
    """
    channels, height, width = input_shape(name, config)
    wanted = (height, width, channels) if name in config.cameras else (channels, height, width)
    for pictures in store.pictures(name):
        if pictures.shape[1:] != wanted or pictures.dtype != np.uint8:
            raise UserError(
                f"the training store has {name} as {pictures.shape[1:]} {pictures.dtype}, the "
                f"model wants {wanted} uint8; build the store at this size, or choose a model "
                "made for the store's"
            )
