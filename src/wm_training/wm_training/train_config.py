"""Settings of a training run, validated; unknown keys are errors."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LossConfig(BaseModel):
    """Weights of the loss terms."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dynamics: float = 0.8  # KL(stop(posterior) || prior): moves the prior
    representation: float = 0.1  # KL(posterior || stop(prior)): moves the posterior
    free_nats: float = 1.0
    reconstruction: float = 24.0  # per-pixel mean, summed over channels
    decode_fraction: float = Field(0.25, gt=0.0, le=1.0)
    heads_now: float = 10.0
    heads_imagined: float = 12.0
    logit_share: float = 0.5
    horizon: int = Field(15, ge=1)  # imagined steps of overshooting
    starts: int = Field(2, ge=1)  # imagined rollouts per window


class TrainConfig(BaseModel):
    """One training run. The budget is ``steps`` (deterministic) or ``minutes`` (wall clock)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: str = "small"
    seed: int = 0
    steps: int | None = Field(None, ge=1)
    minutes: float | None = Field(None, gt=0.0)
    batch: int = Field(16, ge=1)
    length: int = Field(24, ge=2)  # T, model steps per window
    learning_rate: float = 1e-3
    final_learning_rate: float = 0.05  # fraction of learning_rate at the end of the cosine
    warmup: int = Field(100, ge=1)
    weight_decay: float = 1e-3
    clip: float = 20.0
    ema: float = Field(0.998, ge=0.0, lt=1.0)
    bf16: bool = True
    ego_steps: int = Field(2200, ge=1)
    ego_batch: int = Field(512, ge=1)
    ego_horizon: int = Field(6, ge=1)
    ego_learning_rate: float = 3e-3
    log_every: int = Field(50, ge=1)
    save_every_s: float = Field(120.0, gt=0.0)
    loss: LossConfig = LossConfig()
