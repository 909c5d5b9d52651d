"""Shape of a world model: one frozen, validated object, and the named sizes.

Symbols used in every shape comment of this package:

====== =========================================================
B      batch (independent sequences)
T      time steps of a training window
N      candidate action sequences of one plan
H      imagined steps (horizon)
D      width of the deterministic state
G, C   groups and classes of the discrete stochastic state
Z      width of the continuous stochastic state
S      pixels per side of a bird's-eye view
W      steps a transformer looks back
M      rows, whatever they are made of (B, or B * T)
K      members of the prior ensemble
L      learned heads (rows of ``heads.HEADS``)
====== =========================================================
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class CameraConfig(BaseModel):
    """RGB cameras: one network for all of them, one learned vector for each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    names: tuple[str, ...] = Field(("front",), min_length=1)  # stream "camera_" + name
    height: int = Field(64, ge=32, multiple_of=16)  # pixels
    width: int = Field(64, ge=32, multiple_of=16)
    encoder: Literal["cnn", "resnet", "vit"] = "cnn"
    features: int = Field(128, ge=8)  # of one camera
    # Channels after the 4x4 patch stem; of a resnet at a quarter of the size, a multiple of 8.
    cnn_channels: int = Field(32, ge=1)
    draw_full: bool = False  # reconstruct every pixel; else the image at half resolution
    vit_patch: int = Field(8, ge=2)  # pixels per side of a token
    vit_width: int = Field(96, ge=8)
    vit_layers: int = Field(3, ge=1)
    vit_heads: int = Field(4, ge=1)

    @model_validator(mode="after")
    def _check(self) -> CameraConfig:
        if len(set(self.names)) != len(self.names):
            raise ValueError("two cameras have the same name")
        if self.height % self.vit_patch or self.width % self.vit_patch:
            raise ValueError("vit_patch must divide height and width")
        if self.encoder == "resnet" and self.cnn_channels % 8:
            raise ValueError("a resnet's cnn_channels must be a multiple of 8")
        if self.vit_width % self.vit_heads:
            raise ValueError("vit_heads must divide vit_width")
        return self


class LidarConfig(BaseModel):
    """Lidar returns counted in the cells of a bird's-eye view, one channel per height band."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: int = Field(3, ge=1)
    size: int = Field(64, ge=32, multiple_of=16)  # cells per side
    cnn_channels: int = Field(24, ge=1)


class ModelConfig(BaseModel):
    """Everything that fixes the weights' shapes and meaning. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Observation streams: which there are ...
    bev: bool = True
    state: bool = True
    route: bool = True
    camera: CameraConfig | None = None
    lidar: LidarConfig | None = None
    modality_dropout: float = Field(0.0, ge=0.0, lt=1.0)  # P(a stream is hidden) in training
    decode_bev: bool = True  # masks are reconstructed, also from other streams alone
    # ... and their shapes.
    bev_channels: int = Field(6, ge=1, le=8)  # bits of one bird's-eye-view byte
    bev_size: int = Field(64, ge=32, multiple_of=32)  # pixels per side
    bev_metres_per_px: float = Field(0.8, gt=0.0)
    bev_ego_row: float = Field(0.78, ge=0.0, le=1.0)  # where the vehicle stands, share of height
    state_dim: int = Field(5, ge=5, le=5)  # speed/10, yaw rate, steer, accel echo, accel/5
    route_dim: int = Field(20, ge=1)  # flattened ego-frame way points
    # Latent dynamics.
    core: Literal["gru", "block_gru", "transformer"] = "gru"
    latent: Literal["discrete", "gaussian"] = "discrete"
    deter: int = Field(192, ge=8)  # D
    groups: int = Field(16, ge=1)  # G
    classes: int = Field(16, ge=2)  # C
    gaussian_width: int = Field(32, ge=1)  # Z
    gaussian_min_std: float = Field(0.1, gt=0.0)
    core_blocks: int = Field(8, ge=1)  # of the block GRU
    core_layers: int = Field(2, ge=1)  # of the transformer
    core_heads: int = Field(4, ge=1)
    core_window: int = Field(16, ge=1)  # W
    hidden: int = Field(192, ge=8)  # width of every perceptron
    embed: int = Field(256, ge=8)  # width of the observation embedding
    ensemble: int = Field(3, ge=1)  # K
    unimix: float = Field(0.01, ge=0.0, lt=1.0)  # share of uniform mixed into categoricals
    vector_hidden: int = Field(128, ge=8)  # width of the state-and-route encoder
    cnn_channels: int = Field(40, ge=1)  # channels after the 4x4 patch stem
    decoder_channels: int = Field(48, ge=1)
    forecast_channels: int = Field(0, ge=0)  # of the net that moves the last masks; 0: none
    # Ego dynamics.
    ego_hidden: int = Field(128, ge=8)
    # Time.
    dt: float = Field(0.2, gt=0.0)  # seconds per model step
    horizon: int = Field(15, ge=1)  # imagined steps a planner should ask for

    @model_validator(mode="after")
    def _check(self) -> ModelConfig:
        if not self.streams:
            raise ValueError("the model sees nothing: switch on at least one stream")
        if self.forecast_channels and not (self.bev and self.decode_bev):
            raise ValueError("forecast_channels moves seen masks: it needs bev and decode_bev")
        if self.core == "block_gru" and self.deter % self.core_blocks:
            raise ValueError("core_blocks must divide deter")
        if self.core == "transformer" and self.deter % self.core_heads:
            raise ValueError("core_heads must divide deter")
        return self

    @property
    def stoch(self) -> int:
        """Width of the stochastic state as networks read it: G * C one-hot, or Z."""
        return self.gaussian_width if self.latent == "gaussian" else self.groups * self.classes

    @property
    def stoch_classes(self) -> int:
        """C of a discrete stochastic state, 0 for a continuous one."""
        return 0 if self.latent == "gaussian" else self.classes

    @property
    def memory_shape(self) -> tuple[int, ...]:
        """Shape of what one belief remembers beside ``deter``; () where that is nothing."""
        if self.core != "transformer":
            return ()
        heads = self.core_heads
        return (self.core_layers, 2, heads, self.core_window, self.deter // heads)

    @property
    def belief(self) -> int:
        """Numbers in the deterministic part of a belief: ``deter`` and the memory."""
        return self.deter + (math.prod(self.memory_shape) if self.memory_shape else 0)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Stream names of the cameras."""
        return tuple(f"camera_{name}" for name in self.camera.names) if self.camera else ()

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of all observation streams the model was made for."""
        streams = (*self.cameras, *(["lidar_bev"] if self.lidar else []))
        wanted = (("bev", self.bev), ("state", self.state), ("route", self.route))
        return (*streams, *(name for name, used in wanted if used))


SIZES: dict[str, ModelConfig] = {
    "tiny": ModelConfig(
        deter=32,
        groups=4,
        classes=8,
        hidden=32,
        embed=32,
        vector_hidden=16,
        cnn_channels=8,
        decoder_channels=8,
        ego_hidden=32,
    ),
    "small": ModelConfig(),
    "medium": ModelConfig(deter=256, hidden=256),
    "large": ModelConfig(
        vector_hidden=256, deter=512, hidden=384, groups=24, embed=512, cnn_channels=64
    ),
    # As the published "12M" Dreamers: one 64 px camera, block GRU of 2048; see training_speed.md.
    "dreamer12m": ModelConfig(
        bev=False,
        decode_bev=False,
        camera=CameraConfig(features=512, draw_full=True),
        core="block_gru",
        deter=2048,
        groups=32,
        classes=16,
        hidden=256,
        embed=512,
        ensemble=1,
        decoder_channels=48,
    ),
}
