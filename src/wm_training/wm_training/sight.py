"""Learning to see before learning to expect: an encoder that is asked what one moment shows.

A recurrent model looks at few scenes per step, each for seconds, and learns towns by heart before
it can see. A moment alone costs a tenth of that, so that an encoder meets many more scenes. It
answers in masks and distances, through networks that are thrown away afterwards.

Masks as the target of cameras: Hu et al. 2022, "Model-Based Imitation Learning for Urban Driving",
arXiv 2210.07729.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from wm_dynamics.bev import unpack_bev
from wm_dynamics.config import ModelConfig
from wm_dynamics.decoder import Decoder
from wm_dynamics.encoder import Encoder
from wm_dynamics.heads import HEADS, head_values
from wm_dynamics.networks import perceptron
from wm_dynamics.streams import network_inputs
from wm_training.head_losses import head_losses, weighted_sum
from wm_training.losses import SEEN, mask_error
from wm_training.sampler import CLOSE_M
from wm_training.train_config import LossConfig
from wm_training.validation import auroc

DISTANCES = (("leader_gap", "leader_present"), ("stop_distance", "stop_present"))


class Sight(nn.Module):
    """A model's encoder, and what reads its embedding while it learns.

    Args:
        encoder: is trained in place.
        config: of its model.
    """

    def __init__(self, encoder: Encoder, config: ModelConfig):
        super().__init__()
        self.config, self.encoder = config, encoder
        side = config.bev_size
        self.masks = Decoder(
            config.embed, config.decoder_channels, config.bev_channels, side, side
        ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.head = perceptron(config.embed, config.hidden, len(HEADS))

    def forward(self, streams: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Raw streams (M, ...) -> mask logits (M, C, S/2, S/2), head outputs (M, L)."""
        kind = next(self.parameters()).device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
        embedding = self.encoder(network_inputs(streams, self.config, dtype))
        return self.masks(embedding).float(), self.head(embedding).float()


def sight_loss(
    sight: Sight,
    batch: Mapping[str, torch.Tensor],
    columns: dict[str, int],
    loss: LossConfig,
    hide_state: float = 0.0,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Loss of a batch of moments, and its parts for logging.

    Who stands mostly stands at a red light. An encoder that knows the speed need not look, and
    stands for ever (de Haan et al. 2019, "Causal Confusion in Imitation Learning", 1905.11979).

    Args:
        sight: the encoder and its readers.
        batch: windows (B, T, ...) as ``WindowSampler`` cuts them; every step is a moment.
        columns: label name -> column.
        loss: weights, as of a world model.
        hide_state: share of the moments whose state is taken for the usual one.
    """
    flat = {name.removeprefix(SEEN): x.flatten(0, 1) for name, x in moments(batch, sight.config)}
    if hide_state and "state" in flat and sight.encoder.vector is not None:
        state = flat["state"]
        hidden = torch.rand(len(state), 1, device=state.device) < hide_state
        flat["state"] = torch.where(hidden, sight.encoder.vector.mean[: state.shape[1]], state)
    drawn, raw = sight(flat)
    truth = unpack_bev(batch["bev"].flatten(0, 1), sight.config.bev_channels, torch.float32)
    masks = mask_error(drawn, truth).mean()
    heads = head_losses(raw.unflatten(0, batch["mask"].shape), batch["labels"], batch["mask"],
                        columns)  # fmt: skip
    total = loss.reconstruction * masks + loss.heads_now * weighted_sum(heads, loss)
    parts = {"loss": total, "recon_loss": masks, **{f"heads/{k}": v for k, v in heads.items()}}
    return total, {name: value.detach() for name, value in parts.items()}


def moments(
    batch: Mapping[str, torch.Tensor], config: ModelConfig
) -> list[tuple[str, torch.Tensor]]:
    """The streams that the encoder sees; where augmentation changed one, the changed one last."""
    seen = [(name, batch[name]) for name in config.streams]
    return seen + [(name, x) for name, x in batch.items() if name.startswith(SEEN)]


@torch.no_grad()
def measure(
    sight: Sight, batch: Mapping[str, torch.Tensor], columns: dict[str, int], loss: LossConfig
) -> dict[str, float]:
    """What is seen on held-out moments: the loss, errors of near distances (m), AUROCs."""
    flat = {name: x.flatten(0, 1) for name, x in moments(batch, sight.config)}
    outputs = [
        sight({name: x[rows] for name, x in flat.items()})[1]
        for rows in torch.arange(batch["mask"].numel()).split(128)
    ]
    values = {k: v.cpu().numpy() for k, v in head_values(torch.cat(outputs)).items()}
    labels = batch["labels"].flatten(0, 1).cpu().numpy()
    total, parts = sight_loss(sight, batch, columns, loss)
    found = {"loss": float(total), "recon_loss": float(parts["recon_loss"])}
    for name, presence in DISTANCES:
        truth = labels[:, columns[name]]
        close = (labels[:, columns[presence]] > 0.5) & (truth < CLOSE_M)
        if close.any():
            found[f"{name}_now_m"] = float(np.abs(values[name] - truth)[close].mean())
        area = auroc(values[presence.replace("present", "presence")], close)
        if area is not None:
            found[f"auroc_{presence}_now"] = area
    return {name: round(value, 4) for name, value in found.items()}
