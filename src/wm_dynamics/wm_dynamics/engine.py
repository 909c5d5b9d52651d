"""Imagination by the C++ engine, numpy arrays in and out; see ``runtime/`` and docs/runtime.md.

It computes what :func:`wm_dynamics.reference.imagine` does. Without the extension (no compiler when
the project was installed) everything but :class:`Engine` still works.
"""

from __future__ import annotations

import importlib
from types import ModuleType

import numpy as np

from wm_dynamics.engine_image import engine_image
from wm_dynamics.errors import UserError
from wm_dynamics.reference import Futures
from wm_dynamics.runtime_names import Precision
from wm_dynamics.scales import checked_steps
from wm_dynamics.weights import Weights

INTERFACE = 3  # of the compiled module


def extension() -> ModuleType:
    """The compiled module.

    Raises:
        UserError: there is none, or it was built from other sources than these.
    """
    try:
        module = importlib.import_module("_wm_runtime")
    except ImportError as error:
        raise UserError(
            f"the C++ engine was not built ({error}); install g++ and set up again"
        ) from None
    if (found := getattr(module, "INTERFACE", 1)) != INTERFACE:
        raise UserError(
            f"the C++ engine was built from other sources (interface {found}, not {INTERFACE}); "
            "build it again: make setup, or pip install ."
        )
    return module


def instruction_sets() -> list[str]:
    """Those of this processor that the engine was built for, best first; [] without an engine."""
    try:
        return list(extension().instruction_sets())
    except UserError:
        return []


class Engine:
    """Packed weights and the threads that imagine with them.

    One rollout at a time; a second caller waits. Python's lock is free meanwhile.
    """

    def __init__(
        self,
        weights: Weights,
        precision: Precision = "fp32",
        threads: int = 1,
        isa: str = "auto",
    ):
        """Pack the weights.

        Args:
            weights: of the model.
            precision: of the large matrix products; norms, gates and sums are always float32.
            threads: including the caller's.
            isa: one of :func:`instruction_sets`, or the best of them.

        Raises:
            UserError: no engine, or not for this model, precision or processor.
        """
        image = engine_image(weights)
        module = extension()
        try:
            self._engine = module.Engine(image, isa, precision, threads)
        except ValueError as error:
            raise UserError(f"the C++ engine refuses: {error}") from None

    @property
    def description(self) -> str:
        """Instruction set, precision and threads, for logs."""
        engine = self._engine
        return f"{engine.isa}, {engine.precision}, {engine.threads} threads"

    def imagine(
        self,
        deter: np.ndarray,
        stoch: np.ndarray,
        ego_state: np.ndarray,
        actions: np.ndarray,
        every_member: bool = False,
        uniforms: np.ndarray | None = None,
    ) -> Futures:
        """See :func:`wm_dynamics.reference.imagine`.

        Raises:
            ValueError: an array has a shape or a class that does not fit the model.
        """
        path, speed, heads, spreads, end, stoch, ego = self._engine.imagine(
            _belief(deter, np.float32),
            _stoch(stoch),
            np.ascontiguousarray(ego_state, np.float32),
            np.ascontiguousarray(actions, np.float32),
            every_member,
            None if uniforms is None else np.ascontiguousarray(uniforms, np.float32),
            [] if every_member else checked_steps(np.shape(actions)[1]),
        )
        stoch = stoch if stoch.dtype == np.float32 else stoch.astype(np.int64)
        return Futures(path, speed, heads, spreads, end, stoch, ego)

    def heads(self, deter: np.ndarray, stoch: np.ndarray) -> np.ndarray:
        """(L,) heads at a belief (D,) and (G,) or (Z,) itself."""
        return self._engine.look(_belief(deter, np.float32), _stoch(stoch))


def _belief(values: np.ndarray, dtype) -> np.ndarray:
    return np.ascontiguousarray(np.atleast_2d(values), dtype)


def _stoch(values: np.ndarray) -> np.ndarray:
    kind = np.int64 if np.issubdtype(np.asarray(values).dtype, np.integer) else np.float32
    return _belief(values, kind)
