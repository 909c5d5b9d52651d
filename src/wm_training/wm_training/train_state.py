"""Everything a training run needs to continue exactly, in one safetensors file (no pickle)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from wm_dynamics.errors import UserError

CUDA_RNG = "rng_cuda"


def save_state(
    path: Path,
    model: nn.Module,
    ema: nn.Module,
    optimizer: torch.optim.Optimizer,
    facts: dict,
) -> None:
    """Write weights, moving average, optimiser moments, torch's random states and ``facts``.

    One file, moved into place when complete; ``facts`` (JSON-able) travel in its header.
    """
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"ema.{k}": v for k, v in ema.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": v for k, v in moments.items()}
    tensors["rng"] = torch.get_rng_state()
    device = next(model.parameters()).device
    if device.type == "cuda":
        tensors[CUDA_RNG] = torch.cuda.get_rng_state(device)
    tensors = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
    draft = path.with_name(path.name + ".tmp")
    draft.write_bytes(save(tensors, metadata={"facts": json.dumps(facts)}))
    os.replace(draft, path)


def read_facts(path: Path) -> dict:
    """The facts saved with a state.

    Raises:
        UserError: nothing to resume from.
    """
    if not path.is_file():
        raise UserError(f"nothing to resume: {path} does not exist; train without --resume first")
    try:
        with safe_open(path, "pt") as file:
            return json.loads(file.metadata()["facts"])
    except (SafetensorError, TypeError, KeyError) as error:
        raise UserError(f"{path} cannot be resumed from ({error}); start anew") from None


def restore_state(
    path: Path, model: nn.Module, ema: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Put back what :func:`save_state` wrote."""
    groups: dict[str, dict] = {"model": {}, "ema": {}}
    moments: dict[int, dict[str, torch.Tensor]] = {}
    with safe_open(path, "pt") as file:
        for key in file.keys():  # noqa: SIM118 (safe_open is no dict)
            kind, _, name = key.partition(".")
            if kind in groups:
                groups[kind][name] = file.get_tensor(key)
            elif kind == "optimizer":
                index, _, moment = name.partition(".")
                moments.setdefault(int(index), {})[moment] = file.get_tensor(key)
        torch.set_rng_state(file.get_tensor("rng"))
        device = next(model.parameters()).device
        if device.type == "cuda" and CUDA_RNG in file.keys():  # noqa: SIM118
            torch.cuda.set_rng_state(file.get_tensor(CUDA_RNG), device)
    model.load_state_dict(groups["model"])
    ema.load_state_dict(groups["ema"])
    state = optimizer.state_dict()
    optimizer.load_state_dict({"state": moments, "param_groups": state["param_groups"]})
