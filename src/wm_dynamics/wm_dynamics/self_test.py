"""Whether a backend sees and imagines what the specification says: asked before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from wm_dynamics.errors import UserError
from wm_dynamics.heads import HEADS
from wm_dynamics.reference import imagine
from wm_dynamics.reference_encoder import stream_shape
from wm_dynamics.reference_filter import Filter
from wm_dynamics.reference_int8 import int8_weights
from wm_dynamics.weights import Weights

CLOSE = 1e-4  # float32, over a whole horizon
CLOSE_REDUCED = 0.03  # other precisions: deterministic state after one step; later a class may flip
CLOSE_INT8 = 0.01  # of what is specified in int8: a number between two integers may fall either way
FUTURES = 3


@dataclass(frozen=True)
class _Sight:
    """Something to look at, see :class:`wm_dynamics.seen.SensorSight`."""

    bev: np.ndarray
    state: np.ndarray
    route: np.ndarray
    sensors: Mapping[str, np.ndarray] = field(default_factory=dict)


def check_backend(backend, weights: Weights, exact: bool, int8: bool = False) -> None:
    """A look at the world and a few futures must be those of the specification.

    Args:
        backend: an :class:`~wm_dynamics.backend_array.ArrayBackend`.
        weights: of its model.
        exact: it computes in float32.
        int8: its futures are those that :mod:`wm_dynamics.reference_int8` specifies.

    Raises:
        UserError: they are not, or the specification cannot run the model.
    """
    _check_filter(backend, weights)
    latent = backend.initial()
    deter, stoch = (np.asarray(part)[0] for part in (latent.deter, latent.stoch))
    rng = np.random.default_rng(0)
    horizon = weights.config.horizon if exact else 1
    actions = rng.uniform(-1, 1, (FUTURES, horizon, 2)).astype(np.float32)
    state = np.array([0.5, 0.0, 0.0, 0.0, 0.0], np.float32)
    compared = ("path", "speed", "deter", "heads", "spreads") if exact else ("path", "deter")
    close = CLOSE if exact else CLOSE_INT8 if int8 else CLOSE_REDUCED
    specified = int8_weights(weights) if int8 else weights
    for every_member in (False, weights.config.ensemble > 1):
        ask = backend.imagine_members if every_member else backend.imagine
        imagined = ask(latent, state, actions)
        wanted = imagine(specified, deter, stoch, state, actions, every_member)
        for name in compared:
            if name == "deter":
                found = np.asarray(imagined.end.latent.deter)
            elif name == "heads":
                found = np.stack([imagined.heads[head.name] for head in HEADS], -1)
            else:
                found = getattr(imagined, name)
            due = getattr(wanted, name)
            if found.shape != due.shape or not np.allclose(found, due, atol=close, rtol=close):
                raise UserError(f"{backend.name} failed its self-test: {name} is off")


def _check_filter(backend, weights: Weights) -> None:
    rng, config = np.random.default_rng(1), weights.config
    streams = {
        name: rng.integers(0, 256, stream_shape(name, config)).astype(np.uint8)
        if name == "bev" or name in config.cameras
        else rng.normal(size=stream_shape(name, config)).astype(np.float32)
        for name in dict.fromkeys((*config.streams, "bev", "state", "route"))
    }
    sensors = {n: x for n, x in streams.items() if n not in ("bev", "state", "route")}
    sight = _Sight(streams["bev"], streams["state"], streams["route"], sensors)
    action, motion = (rng.uniform(-1, 1, size).astype(np.float32) for size in (2, 3))
    specified = Filter(weights)
    wanted = specified.observe(
        specified.initial(),
        action[None],
        motion[None],
        {name: values[None] for name, values in streams.items()},
    )
    found, surprise = backend.observe(backend.initial(), action, motion, sight)
    # Classes are not compared: of two that are equally likely either may be taken.
    for name, value, due in (
        ("belief", found.deter, wanted.latent.deter),
        ("surprise", surprise, wanted.surprise[0]),
    ):
        if not np.allclose(value, due, atol=CLOSE, rtol=CLOSE):
            raise UserError(f"{backend.name} failed its self-test: {name} is off")
