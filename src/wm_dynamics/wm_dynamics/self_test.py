"""Whether a backend imagines what the specification says: asked before it is used."""

from __future__ import annotations

import numpy as np

from wm_dynamics.errors import UserError
from wm_dynamics.heads import HEADS
from wm_dynamics.reference import imagine
from wm_dynamics.weights import Weights

CLOSE = 1e-4  # float32, over a whole horizon
CLOSE_REDUCED = 0.03  # other precisions: deterministic state after one step; later a class may flip
FUTURES = 3


def check_backend(backend, weights: Weights, exact: bool) -> None:
    """A few futures must be those of the specification.

    Args:
        backend: a :class:`~wm_dynamics.backend.TorchBackend` or one like it.
        weights: of its model.
        exact: it computes in float32.

    Raises:
        UserError: they are not, or the specification cannot run the model.
    """
    latent = backend.initial()
    deter, stoch = (np.asarray(part)[0] for part in (latent.deter, latent.stoch))
    rng = np.random.default_rng(0)
    horizon = weights.config.horizon if exact else 1
    actions = rng.uniform(-1, 1, (FUTURES, horizon, 2)).astype(np.float32)
    state = np.array([0.5, 0.0, 0.0, 0.0, 0.0], np.float32)
    compared = ("path", "speed", "deter", "heads", "spreads") if exact else ("path", "deter")
    close = CLOSE if exact else CLOSE_REDUCED
    for every_member in (False, weights.config.ensemble > 1):
        ask = backend.imagine_members if every_member else backend.imagine
        imagined = ask(latent, state, actions)
        wanted = imagine(weights, deter, stoch, state, actions, every_member)
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
