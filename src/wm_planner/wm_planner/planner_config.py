"""Parameters of the planner. ``config/planner.yaml`` and the ROS parameters are read into these."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class CostWeights(BaseModel):
    """Weights of the cost terms, see :mod:`wm_planner.costs`. Zero switches a term off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lateral: float = Field(0.6, ge=0)
    heading: float = Field(0.4, ge=0)
    speed: float = Field(0.1, ge=0)
    lateral_acceleration: float = Field(0.6, ge=0)
    leader: float = Field(1.0, ge=0)
    stop_line: float = Field(0.8, ge=0)
    collision: float = Field(60.0, ge=0)
    near: float = Field(20.0, ge=0)
    off_road: float = Field(8.0, ge=0)
    red_light: float = Field(40.0, ge=0)
    smoothness: float = Field(1.0, ge=0)
    disagreement: float = Field(0.3, ge=0)


class PlannerConfig(BaseModel):
    """Parameters of the sampling optimiser and of what it aims for.

    Source of the optimiser: Pinneri et al., "Sample-efficient Cross-Entropy Method for Real-time
    Planning" (iCEM), 2020.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    candidates: int = Field(96, ge=8, description="sampled action sequences per iteration")
    iterations: int = Field(1, ge=1, description="refinements per frame; the plan is warm-started")
    horizon: int = Field(15, ge=2, description="imagined steps")
    elites: int = Field(12, ge=2)
    kept_elites: int = Field(6, ge=0, description="elites carried into the next frame")
    noise_beta: float = Field(2.0, ge=0, description="colour of the noise; 0 is white")
    steer_std: float = Field(0.3, gt=0)
    accel_std: float = Field(0.6, gt=0)
    min_std: float = Field(0.03, gt=0)
    momentum: float = Field(0.1, ge=0, lt=1, description="weight of the old mean and deviation")
    frame_dt: float = Field(0.1, gt=0, description="s between frames; the plan is shifted by it")
    cruise_mps: float = Field(8.3, gt=0)
    max_lateral_acceleration: float = Field(2.2, gt=0, description="m/s^2, comfort")
    comfortable_deceleration: float = Field(2.5, gt=0, description="m/s^2, for braking distances")
    leader_margin_m: float = Field(4.0, ge=0)
    leader_headway_s: float = Field(0.6, ge=0)
    stop_margin_m: float = Field(3.5, ge=0)
    deadline_ms: float = Field(100.0, gt=0, description="counted, and reported when missed")
    seed: int = 0
    weights: CostWeights = CostWeights()
