"""One optimiser step of the world model, in one process or shared by several."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_dynamics.ranks import Share, sharing
from wm_training.losses import world_model_loss
from wm_training.optimiser import clip_gradients, kl_scale, learning_rate
from wm_training.train_config import LossConfig, TrainConfig

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Batch = dict[str, torch.Tensor]


class WindowLoss(nn.Module):
    """The loss as the one forward pass by which gradients find their way between processes."""

    def __init__(self, model: WorldModel, columns: dict[str, int], loss: LossConfig):
        super().__init__()
        self.model, self.columns, self.loss = model, columns, loss

    def forward(self, batch: Batch, scale: float) -> tuple[torch.Tensor, Batch]:
        """See :func:`wm_training.losses.world_model_loss`."""
        return world_model_loss(self.model, batch, self.columns, self.loss, scale)


def choose_learning(
    model: WorldModel, parts: tuple[str, ...], frozen: tuple[str, ...] = ()
) -> None:
    """Let only the named parts of a model learn; without a name all of it.

    Args:
        model: the model.
        parts: its attributes, or theirs: "forecast", "encoder.cameras".
        frozen: parts that do not learn.

    Raises:
        UserError: the model has no such part, or none but the ego net would learn.
    """
    names = [name for name, _ in model.named_parameters()]

    def within(name: str, chosen: tuple[str, ...]) -> bool:
        return any(name == part or name.startswith(part + ".") for part in chosen)

    for option, chosen in (("learn", parts), ("freeze", frozen)):
        for part in chosen:
            if not any(within(name, (part,)) for name in names):
                known = ", ".join(sorted({name.partition(".")[0] for name in names}))
                raise UserError(f"--{option} {part}: the model's parts are {known}")
    learning = {n for n in names if (not parts or within(n, parts)) and not within(n, frozen)}
    if all(within(name, ("ego",)) for name in learning):
        raise UserError("this leaves the second phase nothing to learn; name more parts with "
                        "--learn, or fewer with --freeze")  # fmt: skip
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in learning)


class Learner:
    """Model, moving average of its weights, and optimiser.

    Args:
        model: the model; is moved to the device.
        config: settings of the run.
        columns: label name -> column.
        fabric: what to compute on.
    """

    def __init__(
        self, model: WorldModel, config: TrainConfig, columns: dict[str, int], fabric: Fabric
    ):
        self.model, self.config, self.fabric = model.to(fabric.device).train(), config, fabric
        self.ema = copy.deepcopy(model).eval().requires_grad_(False)
        choose_learning(model, config.learn, config.freeze)
        # The ego net has its own phase and optimiser.
        self.learned = [
            p for n, p in model.named_parameters() if p.requires_grad and not n.startswith("ego.")
        ]
        self.optimizer = torch.optim.AdamW(
            self.learned,
            config.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=config.weight_decay,
        )
        self.share = Share(fabric.global_rank, fabric.world_size, config.batch // fabric.world_size)
        self._loss = WindowLoss(model, columns, config.loss)
        self._begun = False

    def begin(self) -> None:
        """Make ready to step; the weights are those to start from, here or in rank 0."""
        if self._begun:
            return
        self.model.ego.requires_grad_(False)
        self._shared_loss = self.fabric.setup_module(self._loss)
        self._stepper: Any = self.fabric.setup_optimizers(self.optimizer)
        self._begun = True

    def step(self, batch: Batch, number: int, fraction: float) -> Batch:
        """Step ``number`` of the run, on this process' share of the batch.

        Args:
            batch: windows, on any device.
            number: steps taken before.
            fraction: share of the budget spent.

        Returns:
            The parts of the loss, see :func:`wm_training.losses.world_model_loss`, "learning_rate"
            and "grad_norm".

        Raises:
            FloatingPointError: the loss is not finite; the weights are as before.
        """
        rate = learning_rate(self.config, number, fraction)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = self.fabric.to_device(batch)
        with sharing(self.share):
            loss, parts = self._shared_loss(batch, kl_scale(self.config.loss, number))
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()} at step {number}")
        self.optimizer.zero_grad()
        # Processes average their gradients, which are to be added up, see wm_dynamics.ranks.
        self.fabric.backward(loss * self.share.ranks if self.share.ranks > 1 else loss)
        self.fabric.strategy.precision.unscale_gradients(self.optimizer)
        parts["learning_rate"] = torch.tensor(rate)
        parts["grad_norm"] = clip_gradients(self.learned, self.config)
        self._stepper.step()
        self._average(number + 1)
        if "window_loss" in parts:
            gathered: Any = self.fabric.all_gather(parts["window_loss"])
            parts["window_loss"] = gathered.flatten()
        return parts

    @torch.no_grad()
    def _average(self, steps: int) -> None:
        """Move the average towards the weights."""
        decay = min(self.config.ema, steps / (steps + 10))
        torch._foreach_lerp_(
            list(self.ema.parameters()), list(self.model.parameters()), 1.0 - decay
        )
