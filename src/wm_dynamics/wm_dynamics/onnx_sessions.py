"""The graphs of an export in onnxruntime, each made ready when it is first asked for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnxruntime

from wm_dynamics.errors import UserError
from wm_dynamics.export.folder import Export, Port


class Sessions:
    """Runs the graphs of one export on the CPU.

    Args:
        export: where they are.
        threads: of one graph. They sleep between graphs: spinning ones would take the processor
            from the nodes around, and with two cores that costs more than waking them.
    """

    def __init__(self, export: Export, threads: int = 1):
        self._export = export
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = threads
        self._options.inter_op_num_threads = 1
        self._options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._options.log_severity_level = 3  # errors: they are raised besides
        self._made: dict[str, onnxruntime.InferenceSession] = {}

    def run(self, name: str, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs of graph ``name`` by their names.

        Args:
            name: of the graph, as in the sidecar.
            feed: values by name; those the graph does not know are left out.

        Raises:
            UserError: no such graph, an altered file, one that onnxruntime cannot run, or a value
                of another shape than the graph was made for.
        """
        session = self._made.get(name)
        if session is None:
            session = self._made[name] = self._make(name)
        graph = self._export.graphs[name]
        ready = {port.name: _fitting(port, feed[port.name]) for port in graph.inputs}
        found = session.run(None, ready)
        return {port.name: value for port, value in zip(graph.outputs, found, strict=True)}

    def _make(self, name: str) -> onnxruntime.InferenceSession:
        data = self._export.read(name)
        try:
            return onnxruntime.InferenceSession(
                data, self._options, providers=["CPUExecutionProvider"]
            )
        # What it raises has no class of its own to name (its errors derive from RuntimeError ...).
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                f"onnxruntime cannot run {self._export.graphs[name].file} on this machine "
                f"({reason}); choose another precision, fp32 runs everywhere"
            ) from None


def _fitting(port: Port, value: np.ndarray) -> np.ndarray:
    """A value as the graph wants it."""
    if len(value.shape) != len(port.shape) or any(
        wanted not in ("N", size) for wanted, size in zip(port.shape, value.shape, strict=True)
    ):
        raise UserError(
            f"{port.name!r} arrives as {value.shape}; the model was made for {port.shape}, change "
            "the source or train a model for it"
        )
    return np.asarray(value, port.dtype, order="C")
