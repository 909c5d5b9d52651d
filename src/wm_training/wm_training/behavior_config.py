"""Settings of behaviour learning, validated; unknown keys are errors."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from wm_dynamics.behavior import BehaviorConfig


class RewardWeights(BaseModel):
    """Weights of the terms of the composed reward, see ``behavior_reward.TERMS``; 0 is off.

    A step at cruising speed along the route is worth ``progress``; all others are costs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    progress: float = Field(1.0, ge=0.0)
    speeding: float = Field(0.1, ge=0.0)
    lateral: float = Field(0.4, ge=0.0)
    heading: float = Field(0.1, ge=0.0)
    lateral_acceleration: float = Field(0.3, ge=0.0)
    smoothness: float = Field(0.3, ge=0.0)
    leader: float = Field(0.15, ge=0.0)
    stop_line: float = Field(0.15, ge=0.0)
    near: float = Field(3.0, ge=0.0)
    collision: float = Field(20.0, ge=0.0)
    off_road: float = Field(1.5, ge=0.0)
    red_light: float = Field(10.0, ge=0.0)
    disagreement: float = Field(0.05, ge=0.0)


class RewardConfig(BaseModel):
    """What an imagined step is worth."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Composed at run time from predicted quantities and the ego path, or the head "reward".
    source: Literal["composed", "head"] = "composed"
    cruise_mps: float = Field(8.3, gt=0.0)
    max_lateral_acceleration: float = Field(2.2, gt=0.0)  # m/s^2
    comfortable_deceleration: float = Field(2.5, gt=0.0)  # m/s^2, for braking distances
    leader_margin_m: float = Field(4.0, ge=0.0)
    leader_headway_s: float = Field(0.6, ge=0.0)
    stop_margin_m: float = Field(3.5, ge=0.0)
    weights: RewardWeights = RewardWeights()


class BehaviorLossConfig(BaseModel):
    """The objectives of actor and critic."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    starts: int = Field(16, ge=1)  # steps of a window that futures are imagined from
    warm: int = Field(4, ge=0)  # steps of a window that only warm the belief up
    horizon: int = Field(15, ge=1)  # imagined steps
    discount: float = Field(0.97, gt=0.0, le=1.0)  # per step
    trace: float = Field(0.95, ge=0.0, le=1.0)  # lambda of the returns
    # Backpropagation through the dynamics (DreamerV1/V2) or the score function (DreamerV3).
    gradient: Literal["dynamics", "reinforce"] = "dynamics"
    entropy: float = Field(3e-4, ge=0.0)
    slow_regulariser: float = Field(1.0, ge=0.0)  # critic towards its moving average
    # Conservatism: log-likelihood of what was really done, where it went well.
    clone_weight: float = Field(0.1, ge=0.0)
    return_decay: float = Field(0.99, ge=0.0, lt=1.0)  # of the range returns are divided by
    reward: RewardConfig = RewardConfig()


class BehaviorTraining(BaseModel):
    """One training run. The budget is ``steps`` (deterministic) or ``minutes`` (wall clock)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: BehaviorConfig = BehaviorConfig()
    loss: BehaviorLossConfig = BehaviorLossConfig()
    seed: int = 0
    steps: int | None = Field(None, ge=1)
    minutes: float | None = Field(None, gt=0.0)
    clone_steps: int = Field(300, ge=0)  # at the start: only imitate
    batch: int = Field(16, ge=1)  # windows
    length: int = Field(24, ge=2)  # model steps per window
    learning_rate: float = Field(6e-4, gt=0.0)
    final_learning_rate: float = Field(0.1, ge=0.0, le=1.0)  # fraction, at the end of the cosine
    warmup: int = Field(100, ge=1)
    clip_kind: Literal["norm", "adaptive"] = "adaptive"
    clip: float = Field(10.0, gt=0.0)
    adaptive_clip: float = Field(0.3, gt=0.0)
    ema: float = Field(0.98, ge=0.0, lt=1.0)  # of actor and critic; the average is kept
    bf16: bool = True
    log_every: int = Field(50, ge=1)
    save_every_s: float = Field(60.0, gt=0.0)
    # Online rounds: after each part of the budget but the last, the actor drives.
    rounds: int = Field(0, ge=0)
    fresh_frames: int = Field(4000, ge=1)  # per town and round
