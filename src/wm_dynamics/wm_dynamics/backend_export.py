"""An export's graphs in onnxruntime behind the interface of ``TorchBackend``: torch filters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from wm_dynamics.array_latent import ArrayFutures, ArrayLatent
from wm_dynamics.backend import TorchBackend
from wm_dynamics.backend_onnx import OnnxBackend
from wm_dynamics.export.folder import open_export
from wm_dynamics.rollout import End, LatentState
from wm_dynamics.self_test import check_backend
from wm_dynamics.weights import weights_of


class ExportBackend(TorchBackend):
    """A world model whose futures come from its export.

    Args:
        model: the model.
        export: folder that `wm export` made of it.
        precision: one that was exported.
        threads: of onnxruntime.

    Raises:
        UserError: no export of this model and precision, or its numbers are not those of the
            specification.
    """

    def __init__(self, model, export: Path, precision: str = "fp32", threads: int = 1):
        super().__init__(model)
        opened = open_export(export, model.metadata.get("weights_sha256"))
        self._graphs = OnnxBackend(opened, precision, threads)
        self.name = f"onnxruntime ({precision}, {threads} threads)"
        check_backend(self, weights_of(model), exact=precision == "fp32")

    def imagine(
        self, latent: LatentState, ego_state: np.ndarray, actions: np.ndarray
    ) -> ArrayFutures:
        """See :meth:`wm_dynamics.backend.TorchBackend.imagine`."""
        return _imagined(self._graphs.imagine(_arrays(latent), ego_state, actions))

    def imagine_members(
        self, latent: LatentState, ego_state: np.ndarray, actions: np.ndarray
    ) -> ArrayFutures:
        """See :meth:`wm_dynamics.backend.TorchBackend.imagine_members`."""
        return _imagined(self._graphs.imagine_members(_arrays(latent), ego_state, actions))


def _arrays(latent: LatentState) -> ArrayLatent:
    memory = None if latent.memory is None else latent.memory.numpy()
    return ArrayLatent(latent.deter.numpy(), latent.stoch.numpy(), memory)


def _imagined(futures: ArrayFutures) -> ArrayFutures:
    """The same, with an end that a critic of torch's can read."""
    end = futures.end
    latent = LatentState(torch.from_numpy(end.latent.deter), torch.from_numpy(end.latent.stoch))
    return replace(futures, end=End(latent, torch.from_numpy(end.ego_state)))
