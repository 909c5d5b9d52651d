"""What an imagined step is worth: predicted quantities, weighed at run time.

The head "reward" knows one fixed mixture and, being a regression over rare and large penalties,
blurs it. Here each quantity comes from whoever predicts it best: the way along the route and its
comfort from the ego net and geometry (centimetres), dangers from their own heads (calibrated
probabilities), what the model does not know from its ensemble. What is wanted can be changed
without training the world model again.

Each term maps :class:`ImaginedSteps` to (N, H), before its weight: "progress" is to be gained, all
others are costs. The terms are those of the planner (``wm_planner.costs``), per step and with
gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from wm_dynamics.dream import Dream
from wm_dynamics.heads import head_values
from wm_dynamics.model import WorldModel
from wm_dynamics.route_view import on_route
from wm_dynamics.scales import DISAGREEMENT_STEPS
from wm_dynamics.time_major import by_rows
from wm_training.behavior_config import RewardConfig

SHORTFALL_CAP = 25.0  # m^2: one hopeless step must not hide all others
LATERAL_CAP = 9.0  # m^2
MOVING_MPS = 0.5  # who stands still does no harm; in between, in proportion


@dataclass(frozen=True)
class ImaginedSteps:
    """N futures of H steps in the form the terms share; each (N, H) unless said.

    Attributes:
        dt: s per step.
        gained: route metres gained in the step.
        lateral: offset from the route, m.
        heading: heading error, rad.
        speed: m/s.
        yaw_rate: rad/s.
        change: (N, H, 2) difference of the command to the one before.
        heads: head values by name.
        disagreement: of the ensemble.
    """

    dt: float
    gained: torch.Tensor
    lateral: torch.Tensor
    heading: torch.Tensor
    speed: torch.Tensor
    yaw_rate: torch.Tensor
    change: torch.Tensor
    heads: dict[str, torch.Tensor]
    disagreement: torch.Tensor

    @property
    def moving(self) -> torch.Tensor:
        """0 at standstill to 1 from ``MOVING_MPS`` on, without gradient."""
        return (self.speed.detach() / MOVING_MPS).clamp(0.0, 1.0)


def imagined_steps(
    model: WorldModel, dreamt: Dream, before: torch.Tensor, unsure: bool
) -> ImaginedSteps:
    """What the terms need of a dream.

    Args:
        model: who imagined it.
        dreamt: N futures of H steps.
        before: (N, 2) the command in force at the start.
        unsure: whether the disagreement is wanted; else it is 0.
    """
    features = dreamt.features[:, 1:]
    station, lateral, heading = on_route(dreamt.path, dreamt.line)
    # The start is beside the first point of the route, but for the curvature of the last metres.
    start, _, _ = on_route(torch.zeros_like(dreamt.path[:, :1]), dreamt.line)
    actions = torch.cat([before[:, None], dreamt.actions], 1)
    spread = disagreements(model, features) if unsure else torch.zeros_like(station)
    return ImaginedSteps(
        dt=model.config.dt,
        gained=torch.cat([start, station], 1).diff(dim=1),
        lateral=lateral,
        heading=heading,
        speed=dreamt.speed.clamp_min(0.0),
        yaw_rate=dreamt.motions[..., 2] / model.config.dt,
        change=actions.diff(dim=1),
        heads=head_values(by_rows(model.head, features).float()),
        disagreement=spread,
    )


def disagreements(model: WorldModel, features: torch.Tensor) -> torch.Tensor:
    """Of the ensemble along imagined features (N, H, D + width of stoch), (N, H).

    Measured where the planner measures it, at three of the steps; each stands for those before it.
    """
    rssm, horizon = model.rssm, features.shape[1]
    if len(rssm.priors) == 1:
        return features.new_zeros(features.shape[:2])
    ends = [round((i + 1) * horizon / DISAGREEMENT_STEPS) for i in range(DISAGREEMENT_STEPS)]
    ends = sorted({end for end in ends if end})
    deter = features[:, [end - 1 for end in ends], : model.config.deter].flatten(0, 1)
    raw = torch.stack([prior(deter) for prior in rssm.priors]).float()
    spread = rssm.latent.spread(raw).unflatten(0, (len(features), len(ends)))
    lengths = torch.tensor([0, *ends], device=features.device).diff()
    return spread.repeat_interleave(lengths, 1)


def progress(steps: ImaginedSteps, c: RewardConfig) -> torch.Tensor:
    """Route metres gained, in units of what a step at cruising speed gains; no more than that."""
    return (steps.gained / (c.cruise_mps * steps.dt)).clamp_max(1.0)


def speeding(steps: ImaginedSteps, c: RewardConfig) -> torch.Tensor:
    """Squared excess over the cruising speed."""
    return (steps.speed - c.cruise_mps).clamp_min(0.0).square()


def lateral(steps: ImaginedSteps, c: RewardConfig) -> torch.Tensor:
    """Squared distance from the route."""
    return steps.lateral.square().clamp_max(LATERAL_CAP)


def heading(steps: ImaginedSteps, c: RewardConfig) -> torch.Tensor:
    """Squared heading error, worse at speed."""
    return steps.heading.square() * (1.0 + steps.speed)


def lateral_acceleration(steps: ImaginedSteps, c: RewardConfig) -> torch.Tensor:
    """Squared excess over the comfortable lateral acceleration."""
    excess = (steps.speed * steps.yaw_rate).abs() - c.max_lateral_acceleration
    return excess.clamp_min(0.0).square()


def smoothness(steps: ImaginedSteps, c: RewardConfig) -> torch.Tensor:
    """Squared changes of the command; steering counts most."""
    return steps.change.square() @ steps.change.new_tensor([3.0, 0.25])


def _shortfall(
    steps: ImaginedSteps, gap: torch.Tensor, ahead_mps: torch.Tensor, margin: torch.Tensor | float,
    c: RewardConfig,
) -> torch.Tensor:  # fmt: skip
    """Squared shortfall of a gap against the braking distance plus a margin."""
    braking = (steps.speed.square() - ahead_mps.square()).clamp_min(0.0)
    braking = braking / (2.0 * c.comfortable_deceleration)
    short = (braking + margin - gap).clamp_min(0.0).square().clamp_max(SHORTFALL_CAP)
    return short * steps.moving


def leader(steps: ImaginedSteps, c: RewardConfig) -> torch.Tensor:
    """Too close to the vehicle ahead to brake behind it."""
    heads, margin = steps.heads, c.leader_margin_m + c.leader_headway_s * steps.speed
    short = _shortfall(steps, heads["leader_gap"], heads["leader_speed"], margin, c)
    return short * heads["leader_presence"]


def stop_line(steps: ImaginedSteps, c: RewardConfig) -> torch.Tensor:
    """Too close to a red or yellow stop line to stop before it."""
    heads = steps.heads
    standing = torch.zeros_like(steps.speed)
    short = _shortfall(steps, heads["stop_distance"], standing, c.stop_margin_m, c)
    return short * heads["stop_presence"]


def near(steps: ImaginedSteps, c: RewardConfig) -> torch.Tensor:
    """Probability of being within arm's reach of somebody, while moving."""
    return steps.heads["near"] * steps.moving


def collision(steps: ImaginedSteps, c: RewardConfig) -> torch.Tensor:
    """Probability of touching something."""
    return steps.heads["collision"]


def off_road(steps: ImaginedSteps, c: RewardConfig) -> torch.Tensor:
    """Probability of leaving the road."""
    return steps.heads["off_road"]


def red_light(steps: ImaginedSteps, c: RewardConfig) -> torch.Tensor:
    """Probability of having run a red light, while moving."""
    return steps.heads["red_violation"] * steps.moving


def disagreement(steps: ImaginedSteps, c: RewardConfig) -> torch.Tensor:
    """What the ensemble cannot agree on (MOPO, arXiv 2005.13239): stay where the model knows."""
    return steps.disagreement


TERMS: dict[str, Callable[[ImaginedSteps, RewardConfig], torch.Tensor]] = {
    term.__name__: term
    for term in (
        progress, speeding, lateral, heading, lateral_acceleration, smoothness, leader, stop_line,
        near, collision, off_road, red_light, disagreement,
    )
}  # fmt: skip
GAINS = ("progress",)


def weighted_terms(steps: ImaginedSteps, config: RewardConfig) -> dict[str, torch.Tensor]:
    """What each term with a weight adds to the reward, (N, H) by name; their sum is the reward."""
    if config.source == "head":
        return {"head": steps.heads["reward"]}
    weights = config.weights.model_dump()
    return {
        name: (1.0 if name in GAINS else -1.0) * weights[name] * term(steps, config)
        for name, term in TERMS.items()
        if weights[name]
    }
