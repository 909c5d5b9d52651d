"""Shape of a world model: one frozen, validated object, and the named sizes.

Symbols used in every shape comment of this package:

====== =========================================================
B      batch (independent sequences)
T      time steps of a training window
N      candidate action sequences of one plan
H      imagined steps (horizon)
D      width of the deterministic state
G, C   groups and classes of the discrete stochastic state
K      members of the prior ensemble
L      learned heads (rows of ``heads.HEADS``)
====== =========================================================
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ModelConfig(BaseModel):
    """Everything that fixes the weights' shapes and meaning. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Observation streams.
    bev_channels: int = Field(6, ge=1, le=8)  # bits of one bird's-eye-view byte
    bev_size: int = Field(64, ge=32, multiple_of=32)  # pixels per side
    state_dim: int = Field(5, ge=5, le=5)  # speed/10, yaw rate, steer, accel echo, accel/5
    route_dim: int = Field(20, ge=1)  # flattened ego-frame way points
    # Recurrent state-space model.
    deter: int = Field(192, ge=8)  # D
    groups: int = Field(16, ge=1)  # G
    classes: int = Field(16, ge=2)  # C
    hidden: int = Field(192, ge=8)  # width of every perceptron
    embed: int = Field(256, ge=8)  # width of the observation embedding
    ensemble: int = Field(3, ge=1)  # K
    unimix: float = Field(0.01, ge=0.0, lt=1.0)  # share of uniform mixed into categoricals
    vector_hidden: int = Field(128, ge=8)  # width of the state-and-route encoder
    cnn_channels: int = Field(40, ge=1)  # channels after the 4x4 patch stem
    decoder_channels: int = Field(48, ge=1)
    # Ego dynamics.
    ego_hidden: int = Field(128, ge=8)
    # Time.
    dt: float = Field(0.2, gt=0.0)  # seconds per model step
    horizon: int = Field(15, ge=1)  # imagined steps a planner should ask for

    @property
    def stoch(self) -> int:
        """Width of the flattened one-hot stochastic state, G * C."""
        return self.groups * self.classes


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
}
