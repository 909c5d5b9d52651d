"""PilotNet: end-to-end behaviour cloning, the classic to compare a planner with.

Bojarski et al. 2016, arXiv 1604.07316: five convolutions and three dense layers turn one front
picture into a command. Three things differ. The original steers only and keeps to its lane; this
one also sets the pedals and, because a net that sees no goal cannot follow a route, gets the route
points of the ``route`` stream beside the flattened picture. Pictures are 144 x 80 RGB, not
200 x 66 YUV, and non-linear units are ELU as in the paper's public re-implementations.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from wm_dynamics.artefact import read_artefact, write_artefact
from wm_dynamics.checkpoint import code_version
from wm_dynamics.errors import UserError
from wm_dynamics.variants import CAMERA_HEIGHT, CAMERA_WIDTH
from wm_perception.observation import ROUTE_POINTS

Inputs = Literal["image", "image+speed"]
KIND = "pilotnet"
COMMAND = "wm train pilotnet"
# Channels, side of the kernel, stride: table of the paper.
CONVOLUTIONS = ((24, 5, 2), (36, 5, 2), (48, 5, 2), (64, 3, 1), (64, 3, 1))
DENSE = (100, 50, 10)
OUTPUTS = ("steer", "accel")


class PilotNetConfig(BaseModel):
    """Shape of a PilotNet.

    Attributes:
        inputs: what it sees beside the route: the picture, or the picture and the own speed.
        height, width: of the picture, px.
        route: numbers of the ``route`` stream.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    inputs: Inputs = "image+speed"
    height: int = Field(CAMERA_HEIGHT, ge=61)
    width: int = Field(CAMERA_WIDTH, ge=61)
    route: int = Field(2 * ROUTE_POINTS, ge=0)


class PilotNet(nn.Module):
    """Picture, route and speed in; steer and accel out.

    Attributes:
        config: its shape.
        metadata: facts about the weights, empty for new ones.
    """

    def __init__(self, config: PilotNetConfig):
        super().__init__()
        self.config = config
        self.metadata: dict[str, Any] = {}
        layers: list[nn.Module] = []
        channels = 3
        for out, side, stride in CONVOLUTIONS:
            layers += [nn.Conv2d(channels, out, side, stride), nn.ELU()]
            channels = out
        self.eyes = nn.Sequential(*layers, nn.Flatten())
        with torch.no_grad():
            seen = self.eyes(torch.zeros(1, 3, config.height, config.width)).shape[1]
        width = seen + config.route + (config.inputs == "image+speed")
        dense: list[nn.Module] = []
        for out in DENSE:
            dense += [nn.Linear(width, out), nn.ELU()]
            width = out
        self.hands = nn.Sequential(*dense, nn.Linear(width, len(OUTPUTS)), nn.Tanh())

    def forward(
        self, picture: torch.Tensor, route: torch.Tensor, speed: torch.Tensor
    ) -> torch.Tensor:
        """(B, 2) steer (left-positive) and accel in [-1, 1].

        Args:
            picture: (B, h, w, 3) uint8 RGB.
            route: (B, 20) route points as in ``Observation.route``.
            speed: (B, 1) speed / 10 m/s; not looked at when the inputs are "image".
        """
        pixels = picture.permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1.0
        parts = [self.eyes(pixels), route]
        if self.config.inputs == "image+speed":
            parts.append(speed)
        return self.hands(torch.cat(parts, 1))


def save_pilotnet(network: PilotNet, path: Path, **metadata: Any) -> None:
    """Write a network to a directory (see ``wm_dynamics.artefact``), replacing file by file."""
    facts = {"kind": KIND, "code_version": code_version(), **metadata}
    write_artefact(path, network, network.config, facts)


def load_pilotnet(path: Path) -> PilotNet:
    """Read a directory made by ``wm train pilotnet``.

    Raises:
        UserError: missing, incomplete or altered directory, or one that holds something else.
    """
    try:
        found = read_artefact(path, PilotNetConfig, "PilotNet", COMMAND)
    except UserError as error:
        raise UserError(f"{error}; a PilotNet is made by `{COMMAND}`") from None
    if found.metadata.get("kind") != KIND:
        raise UserError(f"{path} holds no PilotNet; give a directory made by `{COMMAND}`")
    network = PilotNet(found.config)
    found.load_into(network)
    network.metadata = found.metadata
    return network.eval()
