"""Where a run computes: the device, how many processes, the arithmetic. By Lightning Fabric."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from wm_dynamics.errors import UserError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Precision = Literal["bf16", "fp16", "float32"]
_NAMES = {"bf16": "bf16-mixed", "fp16": "16-mixed", "float32": "32-true"}


@dataclass(frozen=True)
class Devices:
    """What to compute on.

    Attributes:
        kind: "cpu", "cuda", "cuda:1" or "auto": a GPU where there is one.
        count: processes; each has a GPU of its own, or they share the CPU.
        strategy: "auto" or "ddp": whether one process alone is to be run as one of several.
    """

    kind: str = "cpu"
    count: int = 1
    strategy: Literal["auto", "ddp"] = "auto"

    def start(self, precision: Precision) -> Fabric:
        """Start the other processes, if there are to be any: each runs this program anew.

        Raises:
            UserError: there is no such device, or no such arithmetic on it.
        """
        kind, _, index = self._kind().partition(":")
        if kind == "cuda":
            self._check_gpus()
        if precision == "fp16" and kind != "cuda":
            raise UserError("fp16 is for GPUs; take --precision bf16 or float32")
        from lightning_fabric import Fabric  # takes a second to import
        from lightning_fabric.strategies import DDPStrategy

        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
        strategy: Any = "auto"
        if self.count > 1 or self.strategy == "ddp":
            backend = "nccl" if kind == "cuda" else "gloo"
            strategy = DDPStrategy(process_group_backend=backend)
        options: dict[str, Any] = {"precision": "32-true"}
        if precision != "float32":
            options = {"plugins": _autocast(_NAMES[precision], kind)}
        fabric = Fabric(
            accelerator=kind,
            devices=[int(index)] if index else self.count,
            strategy=strategy,
            **options,
        )
        threads = torch.get_num_threads()
        fabric.launch()
        torch.set_num_threads(threads)  # the launcher has views of its own
        return fabric

    def _kind(self) -> str:
        if self.kind == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        if self.kind.partition(":")[0] not in ("cpu", "cuda"):
            raise UserError(f"unknown device {self.kind!r}; choose cpu, cuda or auto")
        return self.kind

    def _check_gpus(self) -> None:
        there = torch.cuda.device_count()
        if not there:
            raise UserError(f"device {self.kind} is not available here; leave out --device")
        if self.count > there:
            raise UserError(f"{self.count} GPUs asked for, {there} there; lower --devices")


def _autocast(name: str, kind: str) -> Any:
    """Fabric's autocast without its cast of all inputs: 16 bits are too few for metres."""
    from lightning_fabric.plugins import MixedPrecision

    class Autocast(MixedPrecision):
        def convert_input(self, data: Any) -> Any:
            return data

    return Autocast(name, kind)  # type: ignore[arg-type]


def first_process() -> bool:
    """Whether this is the process that prints and writes, known before any other is started."""
    return os.environ.get("LOCAL_RANK", "0") == "0"
