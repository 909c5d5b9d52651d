"""Parameters of the planner. ``config/planner.yaml`` and the ROS parameters are read into these.

What each is good for, and what was measured: docs/planner.md.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from wm_dynamics.runtime_names import BackendName, Precision


class CostWeights(BaseModel):
    """Weights of the cost terms, see :mod:`wm_planner.terms`. Zero switches a term off."""

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
    value: float = Field(0.0, ge=0, description="needs the model's learned behaviour")


class RiskConfig(BaseModel):
    """What the planner makes of futures that the members of the ensemble see differently."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    finalists: int = Field(
        6, ge=1, description="sequences that every member imagines before one is chosen"
    )
    beta: float = Field(
        0.0, ge=0, description="cost = mean + beta * deviation over the members; 0 is off"
    )
    cvar_alpha: float = Field(
        1.0, gt=0, le=1, description="mean over this worst share of the members; 1 is all"
    )
    max_collision_probability: float = Field(
        0.2,
        gt=0,
        le=1,
        description="in any step while moving, by the worst member; 1 is off",
    )
    horizon_budget: float = Field(
        2.0,
        ge=0,
        description="steps count less where the median disagreement exceeds so many times its "
        "99th percentile in usual driving, and not at all beyond twice that; 0 is off",
    )
    least_steps: int = Field(5, ge=1, description="that always count")
    firm_deceleration: float = Field(
        4.0, gt=0, description="m/s^2; the wanted speed lets it stop within the steps that count"
    )

    @property
    def asks_members(self) -> bool:
        """Whether anything depends on what each member imagines."""
        return self.members_rank or self.max_collision_probability < 1

    @property
    def members_rank(self) -> bool:
        """Whether what they imagine ranks the finalists, rather than only rules some out."""
        return self.beta > 0 or self.cvar_alpha < 1


class DoubtConfig(BaseModel):
    """When the planner doubts its model, and what follows; see :mod:`wm_planner.doubt`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    on_after: int = Field(3, ge=1, description="frames above the 99th percentile begin doubt")
    off_after: int = Field(20, ge=1, description="frames below the 95th percentile end it")
    risk_factor: float = Field(1.3, ge=1, description="on the weights of the risk terms, in doubt")
    speed_cap_mps: float = Field(5.0, gt=0, description="in doubt")
    stop_ratio: float = Field(
        4.0, ge=1, description="novelty above so many times its 99th percentile asks for a stop"
    )
    stop_after: int = Field(10, ge=0, description="... after so many frames; 0 is never")


class PlannerConfig(BaseModel):
    """Parameters of the sampling optimiser and of what it aims for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    optimiser: Literal["icem", "mppi"] = "icem"
    candidates: int = Field(96, ge=8, description="sampled action sequences per iteration")
    iterations: int = Field(1, ge=1, description="refinements per frame; the plan is warm-started")
    decay: float = Field(1.25, ge=1, description="each iteration samples so many times fewer")
    horizon: int = Field(15, ge=2, description="imagined steps")
    knots: int = Field(
        0, ge=0, description="of the splines that are searched; 0: every step is one"
    )
    elites: int = Field(12, ge=2)
    kept_elites: int = Field(6, ge=0, description="elites carried into the next frame")
    noise_beta: float = Field(2.0, ge=0, description="colour of the noise; 0 is white")
    steer_std: float = Field(0.3, gt=0)
    accel_std: float = Field(0.6, gt=0)
    min_std: float = Field(0.03, gt=0, description="icem")
    momentum: float = Field(
        0.1, ge=0, lt=1, description="icem: weight of the old mean and deviation"
    )
    effective_share: float = Field(
        0.1, gt=0, le=1, description="mppi: share of the sequences that its temperature lets count"
    )
    actor_proposals: int = Field(
        0, ge=0, description="sequences of the model's learned behaviour among the candidates"
    )
    hazards: Literal["imagined", "perceived"] = Field(
        "imagined", description="perceived: others as seen now, at constant speed; a baseline"
    )
    backend: BackendName = Field(
        "auto",
        description="who imagines: auto and cpp are the C++ engine, onnxruntime an export, torch "
        "the training code; what cannot run is replaced, and said",
    )
    precision: Precision = Field(
        "fp32", description="of the large products; others are faster, not better: docs/runtime.md"
    )
    frame_dt: float = Field(0.1, gt=0, description="s between frames; the plan is shifted by it")
    input_delay_s: float = Field(
        0.0,
        ge=0,
        description="s from a command to its effect, beyond the next frame; what is under way is "
        "planned around",
    )
    cruise_mps: float = Field(8.3, gt=0)
    lane_slack_m: float = Field(
        0.6, ge=0, description="m off the route; from there on the body comes near the lane's edge"
    )
    max_lateral_acceleration: float = Field(2.2, gt=0, description="m/s^2, comfort")
    comfortable_deceleration: float = Field(2.5, gt=0, description="m/s^2, for braking distances")
    leader_margin_m: float = Field(4.0, ge=0)
    leader_headway_s: float = Field(0.6, ge=0)
    stop_margin_m: float = Field(3.5, ge=0)
    deadline_ms: float = Field(100.0, gt=0, description="counted, and reported when missed")
    anytime: bool = Field(
        False,
        description="begin no iteration that would end after the deadline. Off: the same plan "
        "however slow the machine, as lockstep wants it",
    )
    seed: int = 0
    weights: CostWeights = CostWeights()
    risk: RiskConfig = RiskConfig()
    doubt: DoubtConfig = DoubtConfig()

    @model_validator(mode="after")
    def _check(self) -> PlannerConfig:
        if self.knots == 1 or self.knots > self.horizon:
            raise ValueError("knots must be 0, or from 2 to horizon")
        return self
