"""Settings of a training run, validated; unknown keys are errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from wm_dynamics.errors import UserError
from wm_training.sampler import Kind


class LossConfig(BaseModel):
    """Weights of the loss terms."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # KL(stop(posterior) || prior) moves the prior, KL(posterior || stop(prior)) the posterior.
    dynamics: float = Field(0.8, ge=0.0)
    representation: float = Field(0.1, ge=0.0)
    free_nats: float = Field(1.0, ge=0.0)
    kl_anneal_steps: int = Field(0, ge=0)  # steps in which both KLs come to their weight
    reconstruction: float = Field(24.0, ge=0.0)  # per-pixel mean, summed over channels
    camera_reconstruction: float = Field(50.0, ge=0.0)  # per-pixel mean, summed over colours
    decode_fraction: float = Field(0.25, gt=0.0, le=1.0)
    heads_now: float = Field(10.0, ge=0.0)
    heads_imagined: float = Field(12.0, ge=0.0)
    logit_share: float = Field(0.5, ge=0.0)
    horizon: int = Field(15, ge=1)  # imagined steps of overshooting
    starts: int = Field(2, ge=1)  # imagined rollouts per window
    forecast: float = Field(24.0, ge=0.0)  # per-pixel mean, summed over channels
    forecasts: int = Field(8, ge=1)  # imagined rollouts that are drawn, per step


class AugmentConfig(BaseModel):
    """How training windows are changed, see ``wm_training.augmentation``; 0 leaves it out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # What cameras see; models without cameras are left alone.
    colour: float = Field(0.2, ge=0.0, lt=1.0)  # brightness, contrast, saturation, each +- this
    cutout: float = Field(0.25, ge=0.0, le=1.0)  # a grey rectangle, sides up to this share
    shift_px: int = Field(2, ge=0)
    # Where the vehicle stood.
    sideways_m: float = Field(0.0, ge=0.0, le=2.0)
    turn_rad: float = Field(0.0, ge=0.0, le=0.3)


class TrainConfig(BaseModel):
    """One training run. The budget is ``steps`` (deterministic) or ``minutes`` (wall clock)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # The model, see ``wm_dynamics.variants``.
    size: str = "small"
    core: str = "gru"
    latent: str = "discrete"
    inputs: str = "bev"
    changes: tuple[str, ...] = ()  # fields of the model's configuration, "field=value"
    learn: tuple[str, ...] = ()  # parts of the model that learn, "forecast"; all if none is named
    freeze: tuple[str, ...] = ()  # parts that do not, "encoder.cameras"
    seed: int = 0
    steps: int | None = Field(None, ge=1)
    minutes: float | None = Field(None, gt=0.0)
    sampler: Kind = "mixture"  # of windows, see ``wm_training.sampler.make_sampler``
    batch: int = Field(16, ge=1)
    length: int = Field(24, ge=2)  # T, model steps per window
    learning_rate: float = Field(1e-3, gt=0.0)
    final_learning_rate: float = Field(
        0.05, ge=0.0, le=1.0
    )  # fraction of learning_rate at the end of the cosine
    warmup: int = Field(100, ge=1)
    weight_decay: float = Field(1e-3, ge=0.0)
    clip_kind: Literal["norm", "adaptive"] = "norm"
    clip: float = Field(20.0, gt=0.0)  # norm of all gradients together
    adaptive_clip: float = Field(0.3, gt=0.0)  # share of each weight's norm
    ema: float = Field(0.998, ge=0.0, lt=1.0)
    # Of the world model, by autocast; weights and moments stay float32.
    precision: Literal["bf16", "fp16", "float32"] = "bf16"
    ego_steps: int = Field(2200, ge=1)
    ego_batch: int = Field(512, ge=1)
    ego_horizon: int = Field(6, ge=1)
    ego_learning_rate: float = 3e-3
    log_every: int = Field(50, ge=1)
    save_every_s: float = Field(120.0, gt=0.0)
    # Validation, with held-out data: at each save, and every so many steps.
    validate_every: int | None = Field(None, ge=1)
    patience: int | None = Field(None, ge=1)  # validations without a lower loss, then stop
    keep: int = Field(1, ge=0)  # best checkpoints to keep beside the latest
    loss: LossConfig = LossConfig()
    augment: AugmentConfig = AugmentConfig()

    @model_validator(mode="before")
    @classmethod
    def _read_old(cls, settings: Any) -> Any:
        """Runs were begun when there was only bf16 or not."""
        if isinstance(settings, dict) and "bf16" in settings:
            settings = dict(settings)
            settings["precision"] = "bf16" if settings.pop("bf16") else "float32"
        return settings


PARTS = ("loss", "augment")  # settings that have settings of their own
MODEL_KEYS = ("size", "core", "latent", "inputs")  # settings that name the model


def make_config(settings: Mapping[str, Any]) -> TrainConfig:
    """Validated settings.

    Raises:
        UserError: naming the setting and what is wrong with it.
    """
    try:
        return TrainConfig.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join(map(str, first["loc"])).replace("_", "-")
        raise UserError(f"--{option} {first['input']}: {first['msg']}") from None


def check_same_settings(config: TrainConfig, asked: Mapping[str, Any], run: str) -> None:
    """Refuse settings that are not those a run began with; those that name the model aside.

    Args:
        config: of the run.
        asked: settings by name; those of a part under its name.
        run: name of the run, for the message.

    Raises:
        UserError: naming the first that differs.
    """
    has = config.model_dump()
    flat = {key: (has[key], value) for key, value in asked.items() if key not in PARTS}
    for part in PARTS:
        given = asked.get(part, {})
        flat |= {f"{part}.{key}": (has[part][key], value) for key, value in given.items()}
    for key, (old, new) in flat.items():
        if key not in MODEL_KEYS and old != new:
            raise UserError(
                f"the run in {run} has {key} = {old}, asked for is {new}; a run goes on "
                "with the settings it began with, leave the option out"
            )
