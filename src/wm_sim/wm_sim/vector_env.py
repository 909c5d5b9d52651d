"""Several driving environments at once, each in a process of its own."""

from __future__ import annotations

from functools import partial
from typing import Any

from gymnasium.vector import AsyncVectorEnv, AutoresetMode

from wm_dynamics.errors import UserError
from wm_sim.env import DrivingEnv


def make_vec(
    n: int,
    *,
    context: str = "spawn",
    autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP,
    **config: Any,
) -> AsyncVectorEnv:
    """``n`` driving environments in ``n`` processes.

    ``reset(seed=s)`` gives environment i the seed ``s + i``. A script that calls this must guard
    its entry with ``if __name__ == "__main__":``, because new processes import it.

    Args:
        n: number of environments.
        context: how processes are started, see :mod:`multiprocessing`. "fork" starts faster but
            must not be used once this process has threads, OpenGL or CUDA.
        autoreset_mode: when an environment starts its next episode.
        **config: see :class:`wm_sim.env_config.EnvConfig`.

    Raises:
        UserError: ``n`` is not positive, or an argument of the environment is not possible.
    """
    if n < 1:
        raise UserError(f"a vector needs 1 environment or more, not {n}")
    DrivingEnv(**config)  # reports a bad argument here and not from within a process
    make = partial(DrivingEnv, **config)
    return AsyncVectorEnv([make] * n, context=context, autoreset_mode=autoreset_mode)
